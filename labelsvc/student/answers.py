"""What a student says of a batch of rows, as an Arrow table: a row for every row that came in, in its place.

Loads neither torch nor the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labelsvc.data.decoding import DecodedBatch
from labelsvc.errors import InputError
from labelsvc.records import RowCount
from labelsvc.student.infer import Student
from labelsvc.student.metadata import StudentPolicy, Words, best_of

CHOICE = pa.struct([("label", pa.string()), ("confidence", pa.float64())])


@dataclass(frozen=True)
class Question:
    """What is asked of a student about each row."""

    policy: StudentPolicy
    top_k: int = 0  # how many classes to tell, the likeliest first; 0: none but the label
    probabilities: bool = False  # of all classes


@dataclass(frozen=True)
class Tally:
    """What became of rows, and what the student said of them all; tallies add up."""

    rows: RowCount
    words: Words

    @classmethod
    def none(cls, classes: int) -> Tally:
        """Return the tally of no rows."""
        return cls(RowCount(), Words.none(classes))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, self.words + other.words)


@dataclass(frozen=True)
class Answer:
    """A batch's rows with what the student says of each."""

    table: pa.Table
    tally: Tally


@dataclass(frozen=True)
class _Said:
    """The student's words on a batch, in the rows' places; where ``known`` is false a row has none."""

    probabilities: NDArray[np.float32]  # [rows, classes]
    known: NDArray[np.bool_]

    @property
    def unknown(self) -> NDArray[np.bool_] | None:
        """Which rows have no words; None where all have."""
        return None if self.known.all() else ~self.known


def schema_of(question: Question, classes: Sequence[str], *, key: str, several: bool) -> pa.Schema:
    """Return the columns of answers; ``key`` names the rows, in one of ``several`` files.

    Raises:
        InputError: ``key`` is the name of another of these columns.

    >>> schema_of(Question(StudentPolicy()), ["cat", "dog"], key="row", several=False).names
    ['row', 'label', 'confidence', 'error']
    """
    fields = [("file", pa.string())] if several else []
    fields += [(key, pa.int64() if key == "row" else pa.string()), ("label", pa.string())]
    fields += [("confidence", pa.float64()), ("error", pa.string())]
    if question.top_k:
        fields.append(("top_k", pa.list_(CHOICE)))
    if question.probabilities:
        fields.append(("probabilities", pa.list_(pa.float32(), len(classes))))
    schema = pa.schema(fields)
    if schema.names.count(key) > 1:
        raise InputError(f"the column of ids is called {key!r}, as one of the answers; rename it, or name another")
    return schema


def answer(student: Student, batch: DecodedBatch, question: Question, *, schema: pa.Schema, file: str | None) -> Answer:
    """Ask the student about a batch of rows of ``file`` (None: there is but one); failed rows get an error."""
    said = _said(student, batch)
    best, confidence = best_of(said.probabilities)
    accepted = question.policy.accepts(best, confidence, student.classes) & said.known
    names = pa.array(student.classes, pa.string())
    columns = [] if file is None else [pa.repeat(pa.scalar(file, pa.string()), len(best))]
    columns += [
        _keys(batch),
        names.take(pa.array(best, mask=~accepted)),
        pa.array(confidence, mask=said.unknown),
        _errors(batch, len(best)),
    ]
    if question.top_k:
        columns.append(_choices(said, names, question.top_k))
    if question.probabilities:
        columns.append(_all_probabilities(said))
    return Answer(pa.table(columns, schema=schema), _tally(said, best, confidence, accepted))


def _said(student: Student, batch: DecodedBatch) -> _Said:
    if not batch.failures:
        return _Said(student.probabilities(batch.decoded), np.ones(len(batch.rows), bool))
    known = np.zeros(len(batch.rows) + len(batch.failures), bool)
    known[batch.rows - _first(batch)] = True
    probabilities = np.zeros((len(known), len(student.classes)), np.float32)
    if len(batch.rows):
        probabilities[known] = student.probabilities(batch.decoded)
    return _Said(probabilities, known)


def _first(batch: DecodedBatch) -> int:
    """Return the place of the first of a batch's consecutive rows."""
    return int(min([*batch.rows[:1], *(failure.row for failure in batch.failures[:1])]))


def _keys(batch: DecodedBatch) -> pa.Array:
    """Return the ids of all rows, or their places in the file."""
    if batch.ids is None:
        first = _first(batch)
        return pa.array(np.arange(first, first + len(batch.rows) + len(batch.failures)))
    if not batch.failures:
        return pa.array(batch.ids, pa.string())
    named: dict[int, str | None] = dict(zip(batch.rows.tolist(), batch.ids, strict=True))
    named |= {failure.row: failure.id for failure in batch.failures}
    return pa.array([named[row] for row in sorted(named)], pa.string())


def _errors(batch: DecodedBatch, rows: int) -> pa.Array:
    if not batch.failures:
        return pa.nulls(rows, pa.string())
    reasons: list[str | None] = [None] * rows
    for failure in batch.failures:
        reasons[failure.row - _first(batch)] = failure.reason
    return pa.array(reasons, pa.string())


def _choices(said: _Said, names: pa.Array, most: int) -> pa.Array:
    """Return the likeliest classes of each row, of equals the first in the file's order."""
    order = np.argsort(-said.probabilities, axis=1, kind="stable")[:, :most]
    order = order[said.known]
    confidence = np.take_along_axis(said.probabilities[said.known], order, axis=1).astype(np.float64)
    columns = [names.take(pa.array(order.ravel())), pa.array(confidence.ravel())]
    pairs = pa.StructArray.from_arrays(columns, fields=[*CHOICE])
    ends = np.concatenate([[0], said.known.cumsum() * order.shape[1]]).astype(np.int32)
    mask = None if said.unknown is None else pa.array(said.unknown)
    return pa.ListArray.from_arrays(pa.array(ends), pairs, mask=mask)


def _all_probabilities(said: _Said) -> pa.Array:
    mask = None if said.unknown is None else pa.array(said.unknown)
    values = pa.array(said.probabilities.ravel())
    return pa.FixedSizeListArray.from_arrays(values, said.probabilities.shape[1], mask=mask)


def _tally(said: _Said, best: NDArray[np.int64], confidence: NDArray[np.float64], accepted: NDArray[np.bool_]) -> Tally:
    given, answered, labeled = len(best), int(said.known.sum()), int(accepted.sum())
    words = Words.of(best[said.known], confidence[said.known], said.probabilities.shape[1])
    return Tally(RowCount(given, labeled, answered - labeled, given - answered), words)
