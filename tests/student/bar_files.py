"""Bars in files of their own and in Parquet, and a student's answers to them, for the tests of predicting."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from training.bars import bars

from labelsvc.data.columns import ColumnNames
from labelsvc.data.sources import find_sources, survey
from labelsvc.student.answers import Question, Tally
from labelsvc.student.infer import Student
from labelsvc.student.metadata import StudentPolicy
from labelsvc.student.parts import parts_beside
from labelsvc.student.predict import Prediction, Work, predict, prepare

ALL = Question(StudentPolicy(0.0))
ANY = ColumnNames()


def pictures(count: int) -> list[bytes | None]:
    """Return bars as PNGs."""
    files: list[bytes | None] = []
    for pixels in bars(count, seed=5)[0]:
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0]).save(file, "PNG")
        files.append(file.getvalue())
    return files


def written(
    path: Path, images: Sequence[bytes | None], *, row_group_size: int | None = None, **columns: object
) -> Path:
    """Write a Parquet file with an image column after the others."""
    table = pa.table({**columns, "image": pa.array(images, pa.binary())})
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def raw(path: Path, count: int, *, row_group_size: int | None = None) -> Path:
    """Write bars as raw bytes."""
    column = pa.array([pixels.tobytes() for pixels in bars(count, seed=5)[0]], pa.binary(64))
    pq.write_table(pa.table({"image": column}), path, row_group_size=row_group_size)
    return path


def prepared(
    student: Student,
    sources: Sequence[Path],
    folder: Path,
    *,
    question: Question = ALL,
    wanted: ColumnNames = ANY,
) -> Work:
    """Return the work of predicting files, in a folder of parts."""
    found = survey(find_sources(sources), wanted, student.shape, folder)
    return prepare(Prediction(student, "digest", question, found), folder)


def steps(
    student: Student,
    sources: Sequence[Path],
    target: Path,
    *,
    question: Question = ALL,
    wanted: ColumnNames = ANY,
) -> Iterator[Tally]:
    """Predict files, yielding after each batch."""
    with parts_beside(target) as folder:
        yield from predict(prepared(student, sources, folder, question=question, wanted=wanted), target)


def predicted(
    student: Student, *sources: Path, question: Question = ALL, wanted: ColumnNames = ANY
) -> tuple[pa.Table, list[Tally]]:
    """Return what the student says of files, and the tallies that it gave on the way."""
    target = sources[0].with_name("out.parquet")
    tallies = list(steps(student, sources, target, question=question, wanted=wanted))
    return pq.read_table(target), tallies
