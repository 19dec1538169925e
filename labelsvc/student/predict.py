"""New rows through a student: Parquet in, Parquet out, the same rows in the same order, in bounded memory.

Loads neither torch nor the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.data.columns import ColumnNames, Columns, find_columns
from labelsvc.data.decoding import DecodedBatch, decode_batches, rows_per_batch
from labelsvc.data.reading import read_batches, read_schema
from labelsvc.data.threads import in_order
from labelsvc.records import RowCount
from labelsvc.student.infer import Student
from labelsvc.workspace import written_beside

OUTPUT = [("label", pa.string()), ("confidence", pa.float64()), ("error", pa.string())]


@dataclass(frozen=True)
class Predicted:
    """One block of answers: a row of ``table`` for every row that came in."""

    table: pa.Table
    rows: RowCount


def predict_file(
    student: Student, source: Path, target: Path, *, wanted: ColumnNames, threshold: float
) -> Iterator[RowCount]:
    """Write what the student says of every row of ``source``, yielding the count so far after each block.

    The output has the id column (or ``row``, from 0, where there is none), ``label`` (NULL below ``threshold`` and
    for a picture that cannot be decoded), ``confidence`` and ``error``. ``target`` takes its name at the end.
    """
    columns = replace(find_columns(read_schema(source), wanted, where=str(source)), label=None)
    batches = read_batches([source], [columns], rows=rows_per_batch(student.shape))
    total = RowCount()
    with (
        written_beside(target) as partial,
        pq.ParquetWriter(partial, _schema(columns), compression="zstd") as writer,
    ):
        decoded = decode_batches(batches, student.shape)
        # two at a time: while one waits for the interpreter's lock, which decoding holds, the other computes
        for answer in in_order(
            lambda batch: _answer(student, batch, columns, threshold), decoded, workers=2, name="infer"
        ):
            writer.write_table(answer.table)
            total += answer.rows
            yield total


def _schema(columns: Columns) -> pa.Schema:
    key = (columns.id, pa.string()) if columns.id else ("row", pa.int64())
    return pa.schema([key, *OUTPUT])


def _answer(student: Student, batch: DecodedBatch, columns: Columns, threshold: float) -> Predicted:
    """Return the block's answers, failed rows in their places."""
    failed = np.array([failure.row for failure in batch.failures], dtype=np.int64)
    order = np.argsort(np.concatenate([batch.rows, failed]), kind="stable")
    top, confidence = _best(student, batch)
    accepted = confidence >= threshold
    labels = [name if fits else None for name, fits in zip(top, accepted, strict=True)]
    nothing = [None] * len(failed)
    keys = [
        *(batch.ids or batch.rows.tolist()),
        *(failure.id if columns.id else failure.row for failure in batch.failures),
    ]
    parts = [
        keys,
        [*labels, *nothing],
        [*confidence.tolist(), *nothing],
        [None] * len(batch.rows) + [f.reason for f in batch.failures],
    ]
    schema = _schema(columns)
    arrays = [pa.array(part, field.type).take(pa.array(order)) for part, field in zip(parts, schema, strict=True)]
    labeled = int(accepted.sum())
    rows = RowCount(len(order), labeled, len(batch.rows) - labeled, len(failed))
    return Predicted(pa.table(arrays, schema=schema), rows)


def _best(student: Student, batch: DecodedBatch) -> tuple[list[str], np.ndarray]:
    if not len(batch.rows):
        return [], np.empty(0)
    probabilities = student.probabilities(batch.pixels)
    best = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(best)), best].astype(np.float64)
    return [student.classes[code] for code in best], confidence
