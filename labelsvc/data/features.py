"""Rows of a table, or vectors, as the numbers that models take: a float32 for each value, NaN for a null in a table.

A column keeps the kind that the workspace gave it. A number that is infinite or beyond single precision, and a vector
that is null, has a gap or another length, is a fault of its row alone. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from labelsvc.data.forms import is_text
from labelsvc.errors import InputError
from labelsvc.records import Column, ColumnKind, TableShape, Values, VectorShape

MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Encoded:
    """Rows as numbers, and why some of them, by their place, are none."""

    values: Values  # [rows, values]
    faults: Mapping[int, str]


def kind_of(kind: pa.DataType) -> ColumnKind | None:
    """Return what a column of a type is to a model by itself, None where it is nothing.

    >>> kind_of(pa.int8()), kind_of(pa.dictionary(pa.int32(), pa.string())), kind_of(pa.list_(pa.int8()))
    ('number', 'category', None)
    """
    types = pa.types
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "time"
    return "category" if is_text(kind) else None


def is_vector(kind: pa.DataType) -> bool:
    """Say whether a column holds vectors: lists of floats, of any of Arrow's types of lists, or tensors of them."""
    if isinstance(kind, pa.FixedShapeTensorType):
        return bool(pa.types.is_floating(kind.value_type))
    types = pa.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and types.is_floating(kind.value_type))


def fits(kind: pa.DataType, column: Column) -> bool:
    """Say whether a column of a type can be read as what it was when the workspace met it.

    Numbers and booleans stand for one another, and numbers may be the names of categories.
    """
    found = kind_of(kind)
    if column.kind in ("number", "boolean"):
        return found in ("number", "boolean")
    if column.kind == "category":
        return found in ("category", "boolean") or pa.types.is_integer(kind) or pa.types.is_null(kind)
    return found == column.kind


def check_columns(schema: pa.Schema, shape: TableShape, *, where: str) -> None:
    """Refuse a file that lacks a column or has it in another type; further columns and their order do not matter.

    Raises:
        InputError: which columns, and what they must be.
    """
    missing = [column.name for column in shape.columns if column.name not in schema.names]
    if missing:
        raise InputError(
            f"{where} has no column {', '.join(map(repr, missing))}, which the models here learnt from; it has "
            f"{', '.join(map(repr, schema.names))}; add it, all null if nothing is known of it"
        )
    for column in shape.columns:
        kind = schema.field(column.name).type
        if not fits(kind, column) and not pa.types.is_null(kind):
            raise InputError(
                f"column {column.name!r} of {where} is {kind}, where this workspace met it as a {column.kind}; "
                "write it in the type that it had"
            )


def encode(rows: pa.RecordBatch, shape: TableShape | VectorShape) -> Encoded:
    """Return rows of a table with the columns of a shape, or a single column of vectors, as numbers."""
    return _vectors(rows.column(0), shape.length) if isinstance(shape, VectorShape) else _table(rows, shape)


def _table(rows: pa.RecordBatch, shape: TableShape) -> Encoded:
    values = np.empty((rows.num_rows, len(shape.columns)), np.float32)
    faults: dict[int, str] = {}
    with np.errstate(over="ignore"):
        for place, column in enumerate(shape.columns):
            values[:, place] = READERS[column.kind](rows[column.name], column)
    for row, place in np.argwhere(np.isinf(values)):
        value = rows[shape.columns[place].name][int(row)].as_py()
        faults.setdefault(
            int(row),
            f"column {shape.columns[place].name!r} is {value}, which is no number in single precision; "
            "write a null where there is none",
        )
    return Encoded(values, faults)


def _numbers(cells: pa.Array, _: Column) -> NDArray[np.float64]:
    return floats(cells)


def floats(cells: pa.Array) -> NDArray[np.float64]:
    """Return numbers and booleans, NaN where one is null."""
    found: NDArray[np.float64] = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def _codes(cells: pa.Array, column: Column) -> NDArray[np.float64]:
    """Return the places of texts among the categories; an empty text is a null."""
    texts = texts_of(cells)
    codes = pc.index_in(texts, pa.array(column.categories, pa.string()))
    codes = pc.if_else(pc.is_null(texts), None, pc.fill_null(codes, len(column.categories)))
    return floats(codes)


def texts_of(cells: pa.Array) -> pa.Array:
    """Return a column as text, null where it is empty."""
    plain = cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
    texts = plain.cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _days(cells: pa.Array, column: Column) -> NDArray[np.float64]:
    """Return how many days after the column's origin each moment is."""
    return floats(pc.subtract(microseconds(cells), column.origin)) / MICROSECONDS_A_DAY


def microseconds(cells: pa.Array) -> pa.Array:
    """Return moments as whole microseconds since 1970, in UTC where they have a zone."""
    zone = getattr(cells.type, "tz", None)
    return pc.cast(cells, pa.timestamp("us", zone), safe=False).cast(pa.int64())


def in_order(cells: pa.Array) -> NDArray[np.float64]:
    """Return numbers, or moments in microseconds, to put rows in order by; NaN where one is null."""
    return floats(microseconds(cells) if kind_of(cells.type) == "time" else cells)


READERS: Mapping[ColumnKind, Callable[[pa.Array, Column], NDArray[np.float64]]] = {
    "number": _numbers,
    "boolean": _numbers,
    "category": _codes,
    "time": _days,
}


def _vectors(column: pa.Array, length: int) -> Encoded:
    lists = lists_of(column)
    values = np.zeros((len(lists), length), np.float32)
    lengths = lengths_of(lists)
    whole = lengths == length
    faults = {int(row): _fault(lists[int(row)], length) for row in np.flatnonzero(~whole)}
    items = lists.filter(pa.array(whole)).flatten()
    with np.errstate(over="ignore"):
        values[whole] = items.cast(pa.float32()).to_numpy(zero_copy_only=False).reshape(-1, length)
    for row in np.flatnonzero(~np.isfinite(values).all(axis=1)):
        place = int(np.flatnonzero(~np.isfinite(values[row]))[0])
        faults[int(row)] = f"value {place} of the vector (from 0) is {values[row, place]}; vectors have no gaps"
    return Encoded(values, faults)


def lists_of(column: pa.Array) -> pa.Array:
    """Return a column of vectors as lists, whether they are tensors or not."""
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def lengths_of(lists: pa.Array) -> NDArray[np.int64]:
    """Return how many values each list has, −1 for a null."""
    found: NDArray[np.int64] = pc.fill_null(pc.list_value_length(lists), -1).to_numpy().astype(np.int64)
    return found


def _fault(cell: pa.Scalar, length: int) -> str:
    if not cell.is_valid:
        return "the vector is null"
    return f"the vector has {len(cell)} values, and those of this workspace have {length}"
