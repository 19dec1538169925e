"""Decoded rows as a student's inputs: the way back from what models see to what a table holds."""

from __future__ import annotations

import numpy as np

from labelsvc.records import Column, PictureShape, TableShape, VectorShape
from labelsvc.student.feeding import feeds, input_names
from labelsvc.student.metadata import NO_TIME

TABLE = TableShape(
    (
        Column("n", "number"),
        Column("c", "category", categories=("x", "y")),
        Column("t", "time", origin=1_000_000),
    )
)


def test_each_column_is_fed_as_its_type() -> None:
    """Floats, texts and microseconds; nulls as NaN, empty text and the smallest integer; an unmet text as none."""
    rows = np.array([[1.5, 1, 2], [np.nan, np.nan, np.nan], [0, 2, 0.5]], np.float32)
    fed = feeds(TABLE, rows)
    assert [*fed] == input_names(TABLE) == ["n", "c", "t"]
    assert np.array_equal(fed["n"][:, 0], [1.5, np.nan, 0], equal_nan=True)
    assert fed["c"][:2, 0].tolist() == ["y", ""]
    assert fed["c"][2, 0] not in ("x", "y", "")
    assert fed["t"][:, 0].tolist() == [1_000_000 + 2 * 86_400_000_000, NO_TIME, 1_000_000 + 43_200_000_000]


def test_inputs_are_called_as_their_columns_but_for_two() -> None:
    """One that is called as the output is, and one that has no name, have what no other column has."""
    names = ("size", "probabilities", "probabilities_", "")
    shape = TableShape(tuple(Column(name, "number") for name in names))
    assert input_names(shape) == ["size", "probabilities__", "probabilities_", "_"]
    assert [*feeds(shape, np.zeros((1, 4), np.float32))] == input_names(shape)


def test_pictures_and_vectors_are_fed_as_they_are() -> None:
    """One input, not copied."""
    picture, vector = np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 3), np.float32)
    assert feeds(PictureShape(4, 4, 1), picture)["image"] is picture
    assert feeds(VectorShape(3, 1.0), vector)["vector"] is vector
