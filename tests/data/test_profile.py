"""What the columns of a table are, and which are left out, with what is said of them."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from labelsvc.data.profile import MOST_CATEGORIES, Slice, TableFound, find_table, find_vectors
from labelsvc.errors import InputError

ROWS = 60
RNG = np.random.default_rng(0)
AGE = RNG.normal(40, 10, ROWS)
LABELS = [("yes", "no")[row % 2] for row in range(ROWS)]


def found(columns: dict[str, object], labels: list[str | None] | None = None, *named: str) -> TableFound:
    """Profile columns beside a sound one called age, in two batches."""
    whole = pa.RecordBatch.from_pydict({"age": AGE, **columns})
    halves = [whole.slice(0, ROWS // 2), whole.slice(ROWS // 2)]
    said = labels or LABELS
    parts = [Slice(half, said[at : at + ROWS // 2]) for at, half in zip((0, ROWS // 2), halves, strict=True)]
    return find_table(parts, named=named, where="f.parquet")


def remark(columns: dict[str, object], name: str = "x") -> str:
    """Return why a column was left out."""
    (one,) = [column for column in found(columns).columns if column.name == name]
    assert one.kind is None, f"{one} was taken"
    return one.remark


def test_mean_and_deviation_are_those_of_all_rows() -> None:
    """Batches are joined as if they had been one."""
    (age,) = found({}).shape.columns
    assert (age.mean, age.std) == (pytest.approx(AGE.mean()), pytest.approx(AGE.std()))
    assert not age.has_nulls


def test_kinds_are_told_by_type() -> None:
    """Booleans, texts and times have their own kinds; nulls are marked."""
    start = datetime(2026, 1, 1)
    columns = {
        "member": [True, False, None] * 20,
        "job": ["cook", "miner", None] * 20,
        "since": [start + timedelta(days=row % 7) for row in range(ROWS)],
    }
    kinds = {column.name: (column.kind, column.has_nulls) for column in found(columns).shape.columns}
    assert kinds == {
        "age": ("number", False),
        "member": ("boolean", True),
        "job": ("category", True),
        "since": ("time", False),
    }


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([None] * ROWS, "all null"),
        ([7] * ROWS, "always 7"),
        (["same"] * ROWS, "always 'same'"),
        (list(range(100, 100 + ROWS)), "a number for each row"),
        ([f"row {row}" for row in range(ROWS)], "a text for nearly each row"),
        ([f"{row % 20} " + "a long story " * 9 for row in range(ROWS)], "is prose"),
        ([row % 2 + 5 for row in range(ROWS)], "gives the label away"),
        ([{"yes": "ja", "no": "nein"}[label] for label in LABELS], "gives the label away"),
        ([float("inf")] * ROWS, "all null"),
    ],
    ids=["all null", "constant", "constant text", "ids", "names", "prose", "codes of the label", "copy", "infinite"],
)
def test_a_column_that_says_nothing_or_too_much_is_left_out(cells: list[object], why: str) -> None:
    """It is said why, and it is taken where the user names it, unless there is nothing in it."""
    columns = {"x": pa.array(cells, pa.int64()) if cells[0] is None else cells}
    assert why in remark(columns)
    if why != "all null":
        assert [column.name for column in found(columns, None, "x").shape.columns] == ["age", "x"]


def test_continuous_numbers_are_no_ids() -> None:
    """A fraction that differs in every row is a measurement."""
    assert len(found({"x": RNG.random(ROWS)}).shape.columns) == 2


def test_rare_categories_are_one_and_it_is_said() -> None:
    """At most some hundreds are told apart, the most frequent; the others are what is unmet later."""
    many = 10_000
    names = [f"city {number % many}" for number in range(3 * many)]
    rows = pa.RecordBatch.from_pydict({"city": names, "n": RNG.random(len(names))})
    whole = find_table([Slice(rows, None)], where="f.parquet")
    (city, _) = whole.shape.columns
    assert len(city.categories) <= MOST_CATEGORIES
    assert "the others" in whole.columns[0].remark


def test_nothing_left_is_an_error_that_says_why_of_each() -> None:
    """The message names each column and its fault."""
    rows = pa.RecordBatch.from_pydict({"a": [1] * 5, "b": pa.nulls(5, pa.int8())})
    with pytest.raises(InputError, match=r"f\.parquet has no column .*'a' is always 1; 'b' is all null.*--features"):
        find_table([Slice(rows, None)], where="f.parquet")


def test_vectors_have_the_usual_length_and_their_root_mean_square() -> None:
    """A vector of another length does not decide."""
    shape = find_vectors([pa.array([[3.0, 4.0], [3.0, 4.0], [1.0]], pa.list_(pa.float32()))], where="f")
    assert shape.length == 2
    assert shape.scale == pytest.approx(np.sqrt((9 + 16 + 9 + 16 + 1) / 5))
    with pytest.raises(InputError, match="there is no vector in f"):
        find_vectors([pa.array([None, []], pa.list_(pa.float32()))], where="f")


def test_whole_numbers_beyond_what_floats_hold_are_rounded() -> None:
    """A column of large numbers is a feature like any other, and no error."""
    large = 2**60 + RNG.integers(0, 2**40, ROWS)
    (_, column) = found({"x": pa.array(large, pa.int64())}).shape.columns
    assert column.mean == pytest.approx(float(large.mean()))
