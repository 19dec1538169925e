"""Answers to a batch: columns that agree with one another, and failed rows in their places."""

from __future__ import annotations

import numpy as np
import pytest
from training.bars import bars

from labelsvc.data.decoding import DecodedBatch, FailedRow
from labelsvc.records import RowCount
from labelsvc.student.answers import Answer, Question, answer, schema_of
from labelsvc.student.infer import Student
from labelsvc.student.metadata import StudentPolicy

pytestmark = pytest.mark.seconds

FULL = Question(StudentPolicy(0.0), top_k=2, probabilities=True)


def batch(rows: list[int], failed: list[int], *, ids: bool = True) -> DecodedBatch:
    """Return bars at these rows, and failures at others."""
    pixels = bars(100, seed=5)[0][rows] if rows else bars(1)[0][:0]
    failures = tuple(FailedRow(0, row, f"id {row}" if ids else None, "broken") for row in failed)
    names = [f"id {row}" for row in rows] if ids else None
    return DecodedBatch(0, np.array(rows, np.int64), names, None, [], pixels, failures)


def asked(student: Student, rows: DecodedBatch, question: Question = FULL, file: str | None = None) -> Answer:
    """Return the answer to a batch."""
    key = "row" if rows.ids is None else "id"
    schema = schema_of(question, student.classes, key=key, several=file is not None)
    return answer(student, rows, question, schema=schema, file=file)


@pytest.mark.parametrize("failed", [[], [10], [12], [11, 13], [10, 11, 12, 13]])
@pytest.mark.parametrize("ids", [True, False])
def test_rows_stand_in_their_places(student: Student, failed: list[int], ids: bool) -> None:
    """Wherever rows fail, each row's key, answer or error is in its place."""
    rows = [row for row in range(10, 14) if row not in failed]
    found = asked(student, batch(rows, failed, ids=ids))
    table = found.table.to_pylist()
    assert [row["id"] if ids else row["row"] for row in table] == [f"id {r}" if ids else r for r in range(10, 14)]
    whole = student.probabilities(bars(100, seed=5)[0])
    for place, row in enumerate(table, start=10):
        if place in failed:
            assert row["error"] == "broken"
            assert [row[name] for name in ("label", "confidence", "top_k", "probabilities")] == [None] * 4
        else:
            assert row["error"] is None
            assert row["probabilities"] == pytest.approx(whole[place].tolist(), abs=1e-6)
    assert found.tally.rows == RowCount(4, len(rows), 0, len(failed))
    assert found.tally.words.rows == len(rows)


def test_all_columns_agree(student: Student) -> None:
    """The label is the first of the top classes and the likeliest of all, and its confidence is that probability."""
    for row in asked(student, batch([*range(20)], [])).table.to_pylist():
        likely = sorted(range(3), key=lambda code: -row["probabilities"][code])
        assert [one["label"] for one in row["top_k"]] == [student.classes[code] for code in likely[:2]]
        assert [one["confidence"] for one in row["top_k"]] == [row["probabilities"][code] for code in likely[:2]]
        assert (row["label"], row["confidence"]) == tuple(row["top_k"][0].values())


def test_more_classes_than_there_are(student: Student) -> None:
    """Asked for more classes than there are, all are told."""
    found = asked(student, batch([1, 2], []), Question(StudentPolicy(), top_k=9))
    assert [len(row) for row in found.table["top_k"].to_pylist()] == [3, 3]


def test_classes_have_thresholds_of_their_own(student: Student) -> None:
    """A class's own threshold counts for it, that of the others for the rest."""
    rows = batch([*range(12)], [])
    best = asked(student, rows).table["label"].to_pylist()
    never = student.classes[1]
    table = asked(student, rows, Question(StudentPolicy(0.0, {never: 1.1}))).table
    assert table["label"].to_pylist() == [None if label == never else label for label in best]


def test_rows_of_several_files_name_theirs(student: Student) -> None:
    """Where there are several files the first column says which one."""
    assert asked(student, batch([1, 2], [3]), file="a.parquet").table["file"].to_pylist() == ["a.parquet"] * 3
