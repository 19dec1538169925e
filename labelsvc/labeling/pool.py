"""What a model says of the pool, block by block, written as Parquet in the run's folder and read back for selection.

Predicting is a pure function of a block of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelsvc.labeling.calibrate import probabilities
from labelsvc.labeling.unknown import Neighbourhood
from labelsvc.networks import Classifier
from labelsvc.records import PseudoLabels, SampleNumbers
from labelsvc.training.predict import answer_blocks
from labelsvc.training.rows import Rows
from labelsvc.workspace import written_beside

BLOCK = 1 << 16  # rows read at a time
VALUES = 1 << 22  # probabilities read at a time

Answers = tuple[PseudoLabels, NDArray[np.float64]]  # of a block of rows: the two likeliest classes, and all scores


def schema(classes: Sequence[str]) -> pa.Schema:
    """Return the columns of a predictions file; ``label`` and ``runner_up`` are class names.

    ``familiarity`` is null where nobody asked how alike to the labeled rows a row is.
    """
    return pa.schema(
        [
            ("sample_no", pa.int64()),
            ("label", pa.string()),
            ("confidence", pa.float64()),
            ("runner_up", pa.string()),
            ("runner_up_probability", pa.float64()),
            ("familiarity", pa.float64()),
            ("probabilities", pa.list_(pa.float32(), len(classes))),
        ]
    )


def candidates(numbers: SampleNumbers, scores: NDArray[np.float64]) -> PseudoLabels:
    """Return the two likeliest classes of each row of ``scores`` [rows, classes]; of equals, the first class."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :2].astype(np.int32)
    rows = np.arange(len(scores))
    first, second = order[:, 0], order[:, -1]
    return PseudoLabels(numbers, first, scores[rows, first], second, scores[rows, second])


def predict_rows(
    network: Classifier, rows: Rows, temperature: float, neighbourhood: Neighbourhood | None = None
) -> Iterator[Answers]:
    """Yield, block by block in order, what the network says of rows, and all its probabilities."""
    start = 0
    for logits, features in answer_blocks(network, rows):
        scores = probabilities(logits, temperature)
        block = candidates(rows.numbers[start : start + len(scores)], scores)
        if neighbourhood is not None:
            block = replace(block, familiarity=neighbourhood.familiarity(features, block.classes))
        yield block, scores
        start += len(scores)


def write_predictions(path: Path, blocks: Iterator[Answers], classes: Sequence[str]) -> Iterator[int]:
    """Write predictions to ``path``, yielding how many rows are done; the file has its name when all are."""
    names = pa.array(classes)
    done = 0
    with (
        written_beside(path) as partial,
        pq.ParquetWriter(partial, schema(classes), compression="zstd") as writer,
    ):
        for block, scores in blocks:
            writer.write_table(_table(block, scores, names))
            done += len(block)
            yield done


def _table(block: PseudoLabels, scores: NDArray[np.float64], names: pa.Array) -> pa.Table:
    flat = pa.array(scores.astype(np.float32).ravel())
    columns = [
        pa.array(block.numbers),
        names.take(pa.array(block.classes)),
        pa.array(block.confidence),
        names.take(pa.array(block.runner_up)),
        pa.array(block.runner_up_probability),
        pa.nulls(len(block), pa.float64()) if block.familiarity is None else pa.array(block.familiarity),
        pa.FixedSizeListArray.from_arrays(flat, scores.shape[1]),
    ]
    return pa.table(columns, schema=schema(names.to_pylist()))


def read_distributions(path: Path, rows: int) -> tuple[SampleNumbers, NDArray[np.float64]]:
    """Return the sample numbers and probabilities [rows, classes] of the first ``rows`` of a predictions file."""
    batch = next(pq.ParquetFile(path).iter_batches(rows, columns=["sample_no", "probabilities"]), None)
    if batch is None:
        return np.empty(0, np.int64), np.empty((0, 0))
    probabilities = batch["probabilities"]
    flat = probabilities.flatten().to_numpy().astype(np.float64)
    return batch["sample_no"].to_numpy(), flat.reshape(len(batch), probabilities.type.list_size)


def prediction_blocks(path: Path, classes: Sequence[str]) -> Iterator[PseudoLabels]:
    """Yield what a predictions file says of each sample, some ten thousand at a time, without full distributions."""
    names = pa.array(classes)
    for block in _blocks(path, schema(classes).names[:-1], BLOCK):
        yield _said(block, names)


def answers(path: Path, classes: Sequence[str]) -> Iterator[Answers]:
    """Yield what a predictions file says of each sample, block by block, with full distributions."""
    names = pa.array(classes)
    for block in _blocks(path, schema(classes).names, min(BLOCK, VALUES // len(classes))):
        flat = block["probabilities"].flatten().to_numpy().astype(np.float64)
        yield _said(block, names), flat.reshape(len(block), len(classes))


def _blocks(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as parquet:
        yield from parquet.iter_batches(rows, columns=columns)


def _said(block: pa.RecordBatch, names: pa.Array) -> PseudoLabels:
    codes = {name: pc.index_in(block[name], names) for name in ("label", "runner_up")}
    return PseudoLabels(
        block["sample_no"].to_numpy(),
        codes["label"].to_numpy().astype(np.int32),
        block["confidence"].to_numpy(),
        codes["runner_up"].to_numpy().astype(np.int32),
        block["runner_up_probability"].to_numpy(),
        None if block["familiarity"].null_count else block["familiarity"].to_numpy(),
    )


def read_predictions(path: Path, classes: Sequence[str]) -> PseudoLabels:
    """Return what a predictions file says of each sample, without the full distributions."""
    return joined(prediction_blocks(path, classes))


def joined(blocks: Iterable[PseudoLabels]) -> PseudoLabels:
    """Return blocks on end."""
    parts = [*blocks]
    if not parts:
        nothing = np.empty(0)
        return PseudoLabels(
            nothing.astype(np.int64), nothing.astype(np.int32), nothing, nothing.astype(np.int32), nothing
        )
    columns: dict[str, Any] = {}
    for name in PseudoLabels.__dataclass_fields__:
        pieces = [getattr(part, name) for part in parts]
        columns[name] = None if pieces[0] is None else np.concatenate(pieces)
    return PseudoLabels(**columns)
