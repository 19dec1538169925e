"""Columns and vectors as numbers: what is null, unseen, infinite or of another length."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from labelsvc.data.features import check_columns, encode, is_vector, kind_of
from labelsvc.errors import InputError
from labelsvc.records import Column, TableShape, VectorShape

JOBS = Column("job", "category", categories=("cook", "miner"))


def encoded(cells: pa.Array, column: Column) -> list[float]:
    """Encode one column."""
    found = encode(pa.record_batch([cells], [column.name]), TableShape((column,)))
    assert not found.faults
    values: list[float] = found.values[:, 0].tolist()
    return values


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1, None, 3], pa.int64()),
        pa.array([1.0, float("nan"), 3.0], pa.float16()),
        pa.array([Decimal("1.00"), None, Decimal("3.00")]),
        pa.array([1, None, 3], pa.uint8()),
    ],
    ids=["int", "half", "decimal", "uint"],
)
def test_numbers_of_any_type_are_floats(cells: pa.Array) -> None:
    """Whatever a number is written as, models see the same float, NaN where it is null."""
    assert np.array_equal(encoded(cells, Column("x", "number")), [1, np.nan, 3], equal_nan=True)


def test_booleans_are_zero_and_one() -> None:
    """True is 1, false is 0, null is NaN."""
    found = encoded(pa.array([True, False, None]), Column("x", "boolean"))
    assert np.array_equal(found, [1, 0, np.nan], equal_nan=True)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_a_category_is_its_place(kind: pa.DataType) -> None:
    """An unmet text is the place after the last; an empty one is a null, in every type of text."""
    cells = pa.array(["miner", "cook", "", None, "poet"]).cast(kind)
    assert np.array_equal(encoded(cells, JOBS), [1, 0, np.nan, np.nan, 2], equal_nan=True)


def test_times_of_any_unit_are_days() -> None:
    """A moment is the days since the column's origin, whatever its unit and zone."""
    origin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    column = Column("t", "time", origin=origin)
    moments = [datetime(2026, 1, 2, 12, tzinfo=UTC), None]
    for kind in (pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC"), pa.timestamp("ms", "Europe/Vienna")):
        assert np.array_equal(encoded(pa.array(moments, kind), column), [1.5, np.nan], equal_nan=True)
    assert encoded(pa.array([date(2025, 12, 31)]), column) == [-1]


def test_an_infinite_number_is_its_rows_fault() -> None:
    """Infinity, and a number beyond single precision, fail their rows, and the message names column and value."""
    cells = pa.array([1.0, float("inf"), 1e300])
    found = encode(pa.record_batch([cells], ["x"]), TableShape((Column("x", "number"),)))
    assert sorted(found.faults) == [1, 2]
    assert "column 'x' is inf" in found.faults[1]
    assert "1e+300" in found.faults[2]


def test_vectors_of_any_list_are_the_same() -> None:
    """Lists, fixed-size lists and tensors of any float hold the same vectors."""
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 2)
    tensor = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2]), fixed)
    for cells in (
        fixed,
        tensor,
        pa.array(rows.tolist(), pa.list_(pa.float16())),
        fixed.cast(pa.large_list(pa.float64())),
    ):
        assert is_vector(cells.type)
        assert np.array_equal(encode(pa.record_batch([cells], ["v"]), VectorShape(2, 1.0)).values, rows)


def test_a_vector_of_another_length_or_with_a_gap_is_its_rows_fault() -> None:
    """The other rows are read all the same, in their places."""
    cells = pa.array([[1.0, 2.0], [1.0], None, [3.0, None], [5.0, 6.0]], pa.list_(pa.float32()))
    found = encode(pa.record_batch([cells], ["v"]), VectorShape(2, 1.0))
    assert sorted(found.faults) == [1, 2, 3]
    assert "has 1 values, and those of this workspace have 2" in found.faults[1]
    assert found.values[[0, 4]].tolist() == [[1, 2], [5, 6]]


def test_columns_may_come_in_another_order_and_with_others() -> None:
    """What is read depends on names alone."""
    shape = TableShape((Column("a", "number"), JOBS))
    rows = pa.record_batch([pa.array(["cook"]), pa.array([9]), pa.array([7.0])], ["job", "more", "a"])
    check_columns(rows.schema, shape, where="f.parquet")
    assert encode(rows, shape).values.tolist() == [[7, 0]]


def test_a_missing_column_or_another_type_is_an_error_that_names_it() -> None:
    """All missing columns are named at once; a text is no number."""
    shape = TableShape((Column("a", "number"), JOBS))
    with pytest.raises(InputError, match=r"f\.parquet has no column 'a', 'job'"):
        check_columns(pa.schema([("b", pa.int8())]), shape, where="f.parquet")
    with pytest.raises(InputError, match=r"column 'a' of f\.parquet is string, where .* a number"):
        check_columns(pa.schema([("a", pa.string()), ("job", pa.string())]), shape, where="f.parquet")
    check_columns(pa.schema([("a", pa.bool_()), ("job", pa.int8())]), shape, where="numbers name categories, too")


def test_lists_and_structs_are_no_features() -> None:
    """What no model can learn from has no kind."""
    assert {kind_of(kind) for kind in (pa.list_(pa.int8()), pa.struct([("a", pa.int8())]), pa.binary())} == {None}
