"""Rows add up, or nothing is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelsvc.cli import closing
from labelsvc.records import RowCount

counts = st.integers(min_value=0, max_value=10**9)


@given(labeled=counts, abstained=counts, failed=counts, skipped=counts)
def test_the_sum_is_what_came_in(labeled: int, abstained: int, failed: int, skipped: int) -> None:
    """The numbers to the right of the equals sign add up to the one to its left."""
    rows = RowCount(labeled + abstained + failed + skipped, labeled, abstained, failed, skipped)
    for word in ("abstained", None):
        total, *parts = (
            int(number.replace(",", "")) for number in re.findall(r"[\d,]+", closing.accounting(rows, "taken", word))
        )
        assert total == sum(parts) == rows.given


def test_it_reads_as_a_person_would_write_it() -> None:
    """Thousands are separated, and skipped rows are named where there are any."""
    assert (
        closing.accounting(RowCount(59_000, 56_412, 2_588)) == "59,000 in = 56,412 labeled + 2,588 abstained + 0 failed"
    )
    assert closing.accounting(RowCount(3, 1, 1, 0, 1), abstained="unlabeled").endswith("0 failed + 1 skipped")


@pytest.mark.parametrize("rows", [RowCount(3, 1, 1), RowCount(1, 2, -1), RowCount(0, 0, 0, 1, -1)])
def test_what_does_not_add_up_is_never_printed(rows: RowCount) -> None:
    """A wrong sum and a negative count are mistakes of ours, and loud."""
    with pytest.raises(ValueError, match="add up"):
        closing.accounting(rows)
