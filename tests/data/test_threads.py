"""Streams in threads: order is kept, errors come in their place, and nothing is left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from labelsvc.data.threads import ahead, in_order


def counting(until: int, *, fails: bool = False) -> Iterator[int]:
    """Yield numbers, then fail if so asked."""
    yield from range(until)
    if fails:
        raise ValueError("after all")


def slowly(number: int) -> int:
    """Return a number, the earlier ones later."""
    time.sleep(0.005 * (5 - number % 5))
    return number


@pytest.mark.parametrize("workers", [1, 3])
def test_order_is_kept(workers: int) -> None:
    """However long each takes, results come in the order of the items."""
    assert list(in_order(slowly, range(12), workers=workers, name="slow")) == [*range(12)]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_an_error_of_the_items_comes_after_what_came_before(count: int) -> None:
    """All items before the error have their results, through one stage or three."""
    decoded = in_order(slowly, ahead(counting(count, fails=True), name="read"), workers=2, name="decode")
    found = []
    with pytest.raises(ValueError, match="after all"):
        for one in in_order(slowly, decoded, workers=1, name="write"):
            found.append(one)  # noqa: PERF402 - what came before the error is wanted
    assert found == [*range(count)]


def test_at_most_two_are_taken_ahead() -> None:
    """A consumer that waits is not run away from."""
    taken = []

    def noted() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    stream = ahead(noted(), name="ahead")
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(taken) <= 3


def test_who_stops_early_leaves_no_thread() -> None:
    """A stream that is closed, or dropped, ends its threads."""
    before = threading.active_count()
    stream = ahead(counting(100), name="ahead")
    assert next(stream) == 0
    stream.close()
    assert threading.active_count() == before
