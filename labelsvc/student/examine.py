"""A student before fresh labeled rows: what it says of each, how sure it is, and whether it is right.

Loads neither torch nor the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelsvc.data.columns import ColumnNames, find_columns
from labelsvc.data.decoding import DecodedBatch, decode_batches, rows_per_batch
from labelsvc.data.reading import read_batches, read_schema
from labelsvc.errors import InputError
from labelsvc.student.infer import Student


@dataclass(frozen=True)
class Examined:
    """Labeled rows that a student was asked about."""

    confidence: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    hashes: tuple[str, ...]  # of the contents
    groups: NDArray[np.int64] | None


def examine(student: Student, source: Path, wanted: ColumnNames) -> Examined:
    """Ask a student about every labeled row of a Parquet file.

    A row of a class that the student does not know is wrong, whatever it says.

    Raises:
        InputError: the file has no labels, a row has none, or a picture cannot be decoded.
    """
    columns = find_columns(read_schema(source), wanted, where=str(source))
    if columns.label is None:
        raise InputError(f"{source} has no column of labels; name it with --label-column")
    named = replace(columns, missing=wanted.missing)
    batches = decode_batches(read_batches([source], [named], rows=rows_per_batch(student.shape)), student.shape)
    asked = [*_asked(student, batches, source)]
    if not asked:
        raise InputError(f"{source} has no rows; bring labeled ones")
    return Examined(
        confidence=np.concatenate([confidence for _, confidence, _ in asked]),
        wrong=np.concatenate([wrong for *_, wrong in asked]),
        hashes=tuple(content for batch, *_ in asked for content in batch.hashes),
        groups=_numbered([group for batch, *_ in asked for group in batch.groups or []]),
    )


def _asked(
    student: Student, batches: Iterator[DecodedBatch], source: Path
) -> Iterator[tuple[DecodedBatch, NDArray[np.float64], NDArray[np.bool_]]]:
    for batch in batches:
        labels = batch.labels or []
        if batch.failures:
            failed = batch.failures[0]
            raise InputError(f"{source}, row {failed.row:,}: {failed.reason}; a row that is left out would flatter")
        if None in labels:
            row = int(batch.rows[labels.index(None)])
            raise InputError(f"{source}, row {row:,}: it has no label; leave out rows without one")
        scores = student.probabilities(batch.pixels).astype(np.float64)
        said = [student.classes[code] for code in scores.argmax(axis=1)]
        yield batch, scores.max(axis=1), np.array([one != label for one, label in zip(said, labels, strict=True)])


def _numbered(groups: Sequence[str | None]) -> NDArray[np.int64] | None:
    """Return the number of each row's group, a row without one being its own; None without groups."""
    if not any(group is not None for group in groups):
        return None
    names = [f"row {place}" if group is None else f"group {group}" for place, group in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
