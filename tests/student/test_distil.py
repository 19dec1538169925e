"""What a student learns from."""

from __future__ import annotations

import numpy as np

from labelsvc.records import LabeledSamples, PseudoLabels
from labelsvc.student.distil import STUDENT, syllabus


def given(labels: dict[int, int]) -> LabeledSamples:
    """Return given labels, number to class."""
    return LabeledSamples(np.array([*labels], np.int64), np.array([*labels.values()], np.int32))


def accepted(labels: dict[int, int]) -> PseudoLabels:
    """Return accepted labels, number to class."""
    both, sure = given(labels), np.ones(len(labels))
    return PseudoLabels(both.numbers, both.classes, sure, both.classes, 1 - sure)


def joined(labels: LabeledSamples) -> dict[int, int]:
    """Return a syllabus as number to class."""
    return dict(zip(labels.numbers.tolist(), labels.classes.tolist(), strict=True))


def test_given_labels_win() -> None:
    """Where a sample has a given and an accepted label, the given one counts, whatever was accepted."""
    found = syllabus(given({7: 0, 3: 1}), accepted({3: 2, 5: 2}), accepted({7: 2, 1: 1}))
    assert joined(found) == {1: 1, 3: 1, 5: 2, 7: 0}


def test_each_sample_is_learnt_once_in_order() -> None:
    """A syllabus is sorted by number, without repeats, in the records' types."""
    found = syllabus(given({9: 1, 2: 0}), accepted({9: 0, 4: 1, 2: 1}))
    assert found.numbers.tolist() == [2, 4, 9]
    assert [str(array.dtype) for array in (found.numbers, found.classes)] == ["int64", "int32"]


def test_nothing_accepted_is_what_was_given() -> None:
    """Without accepted labels a student learns what its teacher was given."""
    assert joined(syllabus(given({4: 1, 2: 0}))) == {2: 0, 4: 1}
    assert joined(syllabus(given({4: 1}), accepted({}))) == {4: 1}


def test_a_student_is_supervised_in_strong_views() -> None:
    """The student's method wants strong views and no pool."""
    assert STUDENT.labeled_view == "strong"
    assert not STUDENT.needs_pool
