"""distill: a student learns what was given, what was accepted and what people decided, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelsvc import flows
from labelsvc.config import TrainConfig
from labelsvc.errors import InputError
from labelsvc.flows._distill import _syllabus
from labelsvc.store import label_sets, models, samples
from labelsvc.workspace import Workspace

from .digits import QUICK, SHORT, Heard, ask, decide, newest, store_of

HIDDEN_AND_ACCEPTED = (
    "SELECT sample_no, class.class FROM predictions JOIN sample USING (sample_no) "
    "JOIN class ON class.name = predictions.label WHERE role = 'calibration' AND confidence >= 0.9"
)


def lessons(workspace: Path) -> dict[int, int]:
    """Return what a student would learn now: classes by sample number."""
    store = store_of(workspace)
    found = _syllabus(Workspace(workspace), store, label_sets.get(store, "current"))
    return dict(zip(found.numbers.tolist(), found.classes.tolist(), strict=True))


def pairs(rows: list[tuple[int, int]]) -> dict[int, int]:
    """Return rows of number and class by number."""
    return dict(rows)


def test_a_student_learns_given_and_accepted_labels(labeled: Path) -> None:
    """Its rows are the given labels of train, the accepted ones, and the calibration inputs that the rule accepts."""
    store = store_of(labeled)
    given, accepted = samples.given(store, "train"), label_sets.accepted(store, "current")
    expected = dict(zip(given.numbers.tolist(), given.classes.tolist(), strict=True))
    expected |= dict(zip(accepted.numbers.tolist(), accepted.classes.tolist(), strict=True))
    hidden = pairs(ask(labeled, HIDDEN_AND_ACCEPTED))
    assert 0 < len(hidden) <= 20
    assert lessons(labeled) == expected | hidden
    assert flows.distill(labeled, SHORT).rows.given == len(given) + len(accepted) + len(hidden)


def test_validation_and_test_rows_are_not_learnt(labeled: Path) -> None:
    """No lesson is a validation row, and none is a test row."""
    roles = ask(labeled, f"SELECT DISTINCT role FROM sample WHERE sample_no IN {tuple(lessons(labeled))} ORDER BY role")
    assert roles == [("calibration",), ("pool",), ("train",)]


def test_people_have_the_last_word(labeled: Path) -> None:
    """A rejected sample is left out, a relabeled one is learnt as people said, an unsure one as before."""
    numbers = label_sets.accepted(store_of(labeled), "current").numbers[:3].tolist()
    ids = samples.ids(store_of(labeled), np.array(numbers)).to_pylist()
    before = lessons(labeled)
    other = (before[numbers[1]] + 1) % 10
    decide(labeled, ids[0], "reject")
    decide(labeled, ids[1], "relabel", str(other))
    decide(labeled, ids[2], "unsure")
    after = lessons(labeled)
    assert before.keys() - after.keys() == {numbers[0]}
    assert after[numbers[1]] == other
    assert {number for number in after if after[number] != before[number]} == {numbers[1]}
    assert flows.distill(labeled, SHORT).rows.given == len(before) - 1


@pytest.mark.seconds
def test_a_student_takes_as_many_steps_as_its_teacher(taught: Path) -> None:
    """Where neither steps nor a budget are given, the student gets what the labels' teacher got."""
    flows.train(taught, replace(SHORT, steps=4))
    flows.label(taught)
    assert flows.distill(taught, TrainConfig(device="cpu", settings=QUICK.settings)).steps == 4


def test_a_student_knows_its_teacher_and_its_labels(distilled: Path) -> None:
    """The parent of a student is the model that wrote the labels; its run names the label set."""
    student = newest(distilled)
    teacher = models.newest(store_of(distilled), "teacher")
    current = label_sets.current(store_of(distilled))
    assert teacher is not None
    assert current is not None
    assert (student.role, student.method, student.parent_id) == ("student", "supervised", teacher.model_id)
    assert models.student_of(store_of(distilled), current.label_set_id) == student


def test_the_same_call_again_returns_the_same_student(distilled: Path) -> None:
    """Nothing is distilled twice from the same labels, and the method that a teacher would take makes no difference."""
    heard = Heard()
    again = flows.distill(distilled, replace(QUICK, method="softmatch"), listener=heard)
    assert (again.repeated, again.model) == (True, newest(distilled))
    assert not heard.stages


@pytest.mark.seconds
def test_other_labels_make_another_student(distilled: Path) -> None:
    """After another label set, the same call distils anew."""
    flows.label(distilled, replace(flows.LabelConfig(threshold=0.99), model=newest(distilled).model_id))
    assert not flows.distill(distilled, SHORT).repeated


def test_without_labels_nothing_is_distilled(taught: Path) -> None:
    """A student needs a label set, and the error says how to write one."""
    with pytest.raises(InputError, match="labelsvc label"):
        flows.distill(taught)
