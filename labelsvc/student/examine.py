"""A student before fresh labeled rows: what it says of each, how sure it is, and whether it is right.

Loads neither torch nor the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelsvc.data.columns import ColumnNames, fitting_columns
from labelsvc.data.decoding import DecodedBatch, decode_batches, rows_per_batch
from labelsvc.data.reading import read_batches, read_schema
from labelsvc.errors import InputError
from labelsvc.student.infer import Student
from labelsvc.student.metadata import best_of


@dataclass(frozen=True)
class Examined:
    """Labeled rows that a student was asked about."""

    confidence: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    hashes: tuple[str, ...]  # of the contents
    groups: NDArray[np.int64]  # rows of one group count once


def examine(student: Student, source: Path, wanted: ColumnNames) -> Examined:
    """Ask a student about every labeled row of a Parquet file.

    A row of a class that the student does not know is wrong, whatever it says. A row that is in no group is in one
    with the rows of the same content.

    Raises:
        InputError: the file has no labels, a row has none, or a picture cannot be decoded.
    """
    columns = fitting_columns(read_schema(source), wanted, student.shape, where=str(source))
    if columns.label is None:
        raise InputError(f"{source} has no column of labels; name it with --label-column")
    batches = decode_batches(read_batches([source], [columns], rows=rows_per_batch(student.shape)), student.shape)
    asked = [_asked(student, batch) for batch in _sound(batches, source)]
    if not asked:
        raise InputError(f"{source} has no rows; bring labeled ones")
    names = [name for *_, batch in asked for name in _groups(batch)]
    return Examined(
        confidence=np.concatenate([confidence for confidence, *_ in asked]),
        wrong=np.concatenate([wrong for _, wrong, _ in asked]),
        hashes=tuple(content for *_, batch in asked for content in batch.hashes),
        groups=np.unique(names, return_inverse=True)[1].astype(np.int64),
    )


def _sound(batches: Iterator[DecodedBatch], source: Path) -> Iterator[DecodedBatch]:
    """Yield the batches as long as every row has its picture and its label."""
    for batch in batches:
        if batch.failures:
            failed = batch.failures[0]
            raise InputError(
                f"{source}, row {failed.row:,} (from 0): {failed.reason}; mend the row, or take it out of the file"
            )
        unlabeled = [int(row) for row, label in zip(batch.rows, batch.labels or [], strict=True) if label is None]
        if unlabeled:
            raise InputError(
                f"{source}, row {unlabeled[0]:,} (from 0): it has no label; label it, or take it out of the file"
            )
        yield batch


def _asked(student: Student, batch: DecodedBatch) -> tuple[NDArray[np.float64], NDArray[np.bool_], DecodedBatch]:
    """Return how sure the student is of each row, and whether it is wrong."""
    best, confidence = best_of(student.probabilities(batch.decoded))
    said = [student.classes[code] for code in best]
    wrong = np.array([one != label for one, label in zip(said, batch.labels or [], strict=True)])
    return confidence, wrong, batch


def _groups(batch: DecodedBatch) -> list[str]:
    groups = batch.groups or [None] * len(batch.hashes)
    return [
        f"content {content}" if group is None else f"group {group}"
        for group, content in zip(groups, batch.hashes, strict=True)
    ]
