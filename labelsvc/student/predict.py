"""New rows through a student: the same rows in the same order as Parquet, in bounded memory, in parts that stay.

Reading, decoding, inference and writing each have threads of their own; what one of them raises ends them all.
Loads neither torch nor the store.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from labelsvc import __version__
from labelsvc.config import digest
from labelsvc.data.decoding import DecodedBatch, decode_batches
from labelsvc.data.reading import SourceBatch, read_span
from labelsvc.data.sources import Source
from labelsvc.data.threads import ahead, in_order
from labelsvc.records import RowCount
from labelsvc.student import parts as beside
from labelsvc.student.answers import Answer, Question, Tally, answer, schema_of
from labelsvc.student.infer import Student
from labelsvc.student.metadata import Words
from labelsvc.student.parts import Part
from labelsvc.student.session import version

KEY, TALLY = "labelsvc.key", "labelsvc.tally"
ANSWERERS = 2  # while one waits for the interpreter's lock, which decoding holds, the other computes


@dataclass(frozen=True)
class Prediction:
    """What is to be done: the answers of a student, known by the digest of its file, to a question about all rows."""

    student: Student
    student_digest: str
    question: Question
    sources: Sequence[Source]

    @property
    def schema(self) -> pa.Schema:
        """The columns of the answers."""
        several = len(self.sources) > 1
        return schema_of(self.question, self.student.classes, key=self.sources[0].key, several=several)

    @property
    def parts(self) -> list[Part]:
        """The parts in which it is done."""
        classes = len(self.student.classes)
        answer_bytes = 64 + 48 * self.question.top_k + 4 * classes * self.question.probabilities
        rows = beside.rows_of_a_part(self.student.shape.bytes, answer_bytes)
        return beside.keyed(beside.divide(self.sources, rows=rows), self.sources, self._made_by)

    @property
    def _made_by(self) -> str:
        names = [*map(str, self.schema), *self.student.classes]
        return digest(self.student_digest, __version__, version(self.student.session), self.question, names)

    @property
    def origin(self) -> dict[str, str]:
        """What the output's metadata says of where its labels come from."""
        return {
            "labelsvc.version": __version__,
            "labelsvc.student_sha256": self.student_digest,
            "labelsvc.model": self.student.origin.get("labelsvc.model", ""),
            "labelsvc.policy": json.dumps(asdict(self.question.policy)),
            "labelsvc.classes": json.dumps(self.student.classes),
        }


@dataclass(frozen=True)
class Work:
    """A prediction before it begins: its parts, those that an earlier process left, and where they lie."""

    prediction: Prediction
    folder: Path
    parts: Sequence[Part]
    left: Sequence[Part]  # those that are not there
    done: Tally  # of those that are
    discarded: int  # parts of other work that were there

    @property
    def key(self) -> str:
        """A digest of all that decides the output."""
        return digest(*(part.key for part in self.parts))


def prepare(prediction: Prediction, folder: Path) -> Work:
    """Divide the work, and see what of it is done; parts of other work are removed."""
    parts = prediction.parts
    discarded = beside.discard(folder, parts)
    found = {part: beside.told_of(folder / part.file_name).get(TALLY) for part in parts}
    done = sum((_tally(told) for told in found.values() if told), Tally.none(len(prediction.student.classes)))
    return Work(prediction, folder, parts, [part for part, told in found.items() if not told], done, discarded)


def finished(work: Work, target: Path) -> Tally | None:
    """Return the tally of ``target`` if it holds just what this work would write, else None.

    Then no part is needed any more, and those that a killed process left are removed.
    """
    told = beside.told_of(target) if target.is_file() else {}
    if told.get(KEY) != work.key:
        return None
    beside.discard(work.folder)
    return _tally(told[TALLY])


def predict(work: Work, target: Path) -> Iterator[Tally]:
    """Do what is left and write ``target``, yielding the tally so far after each batch.

    ``target`` takes its name at the end, when the parts are removed.

    Raises:
        InputError: a file turns out to be damaged, or a store refuses; finished parts stay.
    """
    total = work.done
    yield total
    writer = _PartWriter(work)
    for tally in in_order(writer.take, _answers(work.prediction, work.left), workers=1, name="write"):
        total += tally
        yield total
    metadata = {**work.prediction.origin, KEY: work.key, TALLY: _as_text(total)}
    beside.join(work.folder, work.parts, target, schema=work.prediction.schema.with_metadata(metadata))


def _answers(prediction: Prediction, left: Sequence[Part]) -> Iterator[Answer]:
    student, sources, schema = prediction.student, prediction.sources, prediction.schema

    def answered(batch: DecodedBatch) -> Answer:
        file = sources[batch.file].name if len(sources) > 1 else None
        return answer(student, batch, prediction.question, schema=schema, file=file)

    batches = ahead(_batches(sources, left), name="read")
    decoded = decode_batches(batches, student.shape, hashed=False)
    return in_order(answered, decoded, workers=ANSWERERS, name="infer")


def _batches(sources: Sequence[Source], left: Sequence[Part]) -> Iterator[SourceBatch]:
    for span in beside.runs(left):
        source = sources[span.source]
        yield from read_span(
            source.place, source.columns, first=span.first, count=span.rows, rows=source.step, number=span.source
        )


class _PartWriter:
    """Gathers the answers of parts in their order, and writes each part when it is whole."""

    def __init__(self, work: Work) -> None:
        self._folder = work.folder
        self._left = deque(work.left)
        self._nothing = Tally.none(len(work.prediction.student.classes))
        self._begin()

    def take(self, found: Answer) -> Tally:
        """Take a batch's answers; return their tally."""
        self._held.append(found.table)
        self._total += found.tally
        if self._total.rows.given == self._left[0].rows:
            beside.write_part(self._folder, self._left.popleft(), self._held, {TALLY: _as_text(self._total)})
            self._begin()
        return found.tally

    def _begin(self) -> None:
        self._held: list[pa.Table] = []
        self._total = self._nothing


def _as_text(tally: Tally) -> str:
    return json.dumps(asdict(tally))


def _tally(text: str) -> Tally:
    found = json.loads(text)
    words = {name: tuple(counts) for name, counts in found["words"].items()}
    return Tally(RowCount(**found["rows"]), Words(**words))
