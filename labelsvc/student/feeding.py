"""Decoded inputs as a student's file takes them: its named inputs, as arrays.

The way back from ``data.features``, so that whatever reads rows for training reads them for students too. Loads neither
torch nor the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.data.features import MICROSECONDS_A_DAY
from labelsvc.records import Column, ColumnKind, Decoded, InputShape, TableShape, Values, VectorShape
from labelsvc.student.metadata import NO_TIME, PROBABILITIES, VECTOR

UNMET = "\N{WHITE SQUARE}"  # stands for texts that are none of a column's categories, unless it is one
Feed = NDArray[Any]


def feeds(shape: InputShape, rows: Decoded) -> dict[str, Feed]:
    """Return the inputs of a student's file by their names, for decoded rows [rows, *sides]."""
    if isinstance(shape, TableShape):
        return {
            name: _FEEDS[column.kind](rows[:, place], column)[:, None]
            for place, (name, column) in enumerate(zip(input_names(shape), shape.columns, strict=True))
        }
    return {VECTOR if isinstance(shape, VectorShape) else "image": rows}


def input_names(shape: InputShape) -> list[str]:
    """Return the names of the inputs of a student of such a shape: of a table, those of its columns.

    But no graph has an input that is called as its output, or not at all: ``_`` is put behind such a column's name.

    >>> input_names(TableShape((Column("size", "number"), Column("probabilities", "number"))))
    ['size', 'probabilities_']
    """
    if isinstance(shape, TableShape):
        names = [column.name for column in shape.columns]
        return [_free(name, names) if name in (PROBABILITIES, "") else name for name in names]
    return [VECTOR if isinstance(shape, VectorShape) else "image"]


def _free(name: str, taken: Sequence[str]) -> str:
    while name in ("", *taken):
        name += "_"
    return name


def _numbers(values: Values, _: Column) -> Feed:
    return np.ascontiguousarray(values)


def _texts(values: Values, column: Column) -> Feed:
    unmet = UNMET
    while unmet in column.categories:
        unmet += UNMET
    texts = np.array([*column.categories, unmet, ""], dtype=object)
    codes = np.where(np.isnan(values), len(texts) - 1, values).astype(np.int64)
    return texts[codes]


def _times(values: Values, column: Column) -> Feed:
    known = ~np.isnan(values)
    moments = np.full(len(values), NO_TIME, np.int64)
    days = values[known].astype(np.float64)
    moments[known] = np.round(days * MICROSECONDS_A_DAY).astype(np.int64) + column.origin
    return moments


_FEEDS: Mapping[ColumnKind, Callable[[Values, Column], Feed]] = {
    "number": _numbers,
    "boolean": _numbers,
    "category": _texts,
    "time": _times,
}
