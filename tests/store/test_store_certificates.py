"""Certificates and looks: what the calibration labels were asked is spent once, written whole, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from labeling_task import Task, labels

from labelsvc.records import Certificate, LabeledSamples
from labelsvc.store import calibration, certificates, label_sets
from labelsvc.store.datasets import Shares
from labelsvc.store.identifiers import new_id

CAT, DOG = 0, 1


@dataclass
class Judge:
    """A judge that remembers what it was shown, and answers how many labels those were."""

    shown: list[tuple[list[int], list[int]]]

    def __call__(self, seen: LabeledSamples, look: int) -> tuple[float, Mapping[str, Any]]:
        """Answer."""
        self.shown.append((seen.numbers.tolist(), seen.classes.tolist()))
        return 0.045 / look, {"labels": len(seen), "look": look}


def certificate(**parts: Any) -> Certificate:  # noqa: ANN401 - any field
    """Return a valid calibration certificate, but for ``parts``."""
    usual: dict[str, Any] = {
        "certificate_id": new_id(),
        "kind": "calibration",
        "checked": 100,
        "wrong": 1,
        "promised_precision": 0.95,
        "confidence": 0.95,
        "look": 1,
        "rows_digest": "d",
        "valid": True,
    }
    return Certificate(**{**usual, **parts})


@pytest.fixture
def held(task: Task) -> Task:
    """Give a task of 20 labeled cats and dogs, 8 of them kept for calibration, and 4 pool samples."""
    rows = [(f"r{n}", f"h{n}", "cat" if n % 2 else "dog") for n in range(20)]
    task.ingest([*rows, *((f"p{n}", f"hp{n}", None) for n in range(4))], shares=Shares(calibration=8))
    return task


def calibrating(task: Task) -> list[int]:
    """Return the calibration samples."""
    return [number for (number,) in task.ask("SELECT sample_no FROM sample WHERE role = 'calibration' ORDER BY ALL")]


def test_a_look_sees_the_calibration_labels_and_no_others(held: Task) -> None:
    """The judge is shown each calibration row with its class, and its answer is kept with what it spent."""
    judge = Judge([])
    found = calibration.look(held.store, "run-1", "question", judge)
    truth = held.ask("SELECT sample_no, class FROM given_label SEMI JOIN sample USING (sample_no)")
    assert judge.shown == [([*calibrating(held)], [dict(truth)[number] for number in calibrating(held)])]
    assert found == calibration.Look(1, 0.045, {"labels": 8, "look": 1})
    assert held.ask("SELECT look, level, run_id FROM look") == [(1, 0.045, "run-1")]


def test_a_question_is_judged_once(held: Task) -> None:
    """Asked again, the stored answer is given, and neither judge nor δ is troubled."""
    judge = Judge([])
    first = calibration.look(held.store, "run-1", "question", judge)
    again = calibration.look(held.store, "run-2", "question", judge)
    assert again == replace(first, repeated=True)
    assert len(judge.shown) == 1
    assert calibration.look(held.store, "run-2", "another", judge).look == 2


def test_a_judge_that_fails_spends_nothing(held: Task) -> None:
    """Where judging raises, no look is stored, and the next one is still the first."""

    def failing(seen: LabeledSamples, look: int) -> tuple[float, Mapping[str, Any]]:
        raise ZeroDivisionError(len(seen), look)

    with pytest.raises(ZeroDivisionError):
        calibration.look(held.store, "run-1", "question", failing)
    assert held.ask("FROM look") == []
    assert certificates.next_look(held.store) == 1
    assert calibration.look(held.store, "run-1", "question", Judge([])).look == 1
    assert certificates.next_look(held.store) == 2


def test_other_labels_make_another_question(held: Task) -> None:
    """When a calibration label changes, so does the digest, and the same words are a new question."""
    before = calibration.labels_digest(held.store)
    first = calibration.look(held.store, "run-1", "question", Judge([]))
    number = calibrating(held)[0]
    train = held.ask("SELECT min(sample_no) FROM sample WHERE role = 'train'")[0][0]
    held.decide(train, "reject")
    assert calibration.labels_digest(held.store) == before
    (code,) = held.ask(f"SELECT class FROM given_label WHERE sample_no = {number}")[0]
    held.decide(number, "relabel", 1 - code)
    assert calibration.labels_digest(held.store) != before
    again = calibration.look(held.store, "run-1", "question", Judge([]))
    assert (first.look, again.look, again.repeated) == (1, 2, False)


def test_a_rejected_row_is_wrong_for_every_label(held: Task) -> None:
    """A calibration row that fits no class stays among the checked, with a class that no model says."""
    number = calibrating(held)[0]
    held.decide(number, "reject")
    judge = Judge([])
    assert calibration.look(held.store, "run-1", "question", judge).answer["labels"] == 8
    ((numbers, classes),) = judge.shown
    assert dict(zip(numbers, classes, strict=True))[number] == calibration.NO_CLASS
    assert classes.count(calibration.NO_CLASS) == 1


def test_certificates_come_back_as_they_were_written(animals: Task) -> None:
    """Those of all classes come first, then each class's, with every field."""
    made = animals.label([2, 3], [CAT, DOG])
    whole = certificate(label_set_id=made.label_set_id, model_id=made.model_id)
    dogs = replace(whole, certificate_id=new_id(), class_name="dog", valid=False, reason="why not")
    certificates.add(animals.store, [whole, dogs])
    assert certificates.of_label_set(animals.store, made.label_set_id) == (whole, dogs)
    assert certificates.of_label_set(animals.store, "another") == ()


def test_a_label_set_is_written_with_what_it_promises(animals: Task) -> None:
    """Certificates get the set, its model and the digests of the rows that they cover: all, or those of a class."""
    label_set, policy = animals.plan()
    said = labels([2, 3, 4], [CAT, DOG, DOG])
    promised = [certificate(), certificate(class_name="dog")]
    made = label_sets.write(animals.store, label_set, policy, said, make_current=True, promised=promised)
    whole, dogs = certificates.of_label_set(animals.store, made.label_set_id)
    assert (whole.label_set_id, whole.model_id) == (made.label_set_id, made.model_id)
    assert whole.rows_digest == made.digest == label_sets.digest(said)
    assert dogs.rows_digest == label_sets.digest(labels([3, 4], [DOG, DOG]))
    assert certificates.of_model(animals.store, made.model_id) == ()


def test_the_newest_valid_certificate_is_in_force(animals: Task) -> None:
    """Of a label set's certificates of all classes the newest valid one counts; void ones and classes' do not."""
    first, second, third = (animals.label([2], [CAT]).label_set_id for _ in range(3))
    older, newer = (certificate(label_set_id=first, promised_precision=one) for one in (0.9, 0.95))
    void = certificate(label_set_id=second, valid=False, reason="why not")
    for one in (older, newer, void):
        certificates.add(animals.store, [one])
    certificates.add(animals.store, [certificate(label_set_id=third, class_name="dog")])
    assert certificates.of_label_sets(animals.store) == {first: newer}


def test_questions_about_a_student_are_counted(animals: Task) -> None:
    """Each is told which look of its model it is, void ones count too, and one that fails to be judged does not."""
    model, other = animals.model().model_id, animals.model().model_id

    def judge(look: int) -> Certificate:
        return certificate(kind="student", model_id=model, look=look, valid=look > 1, threshold=0.5)

    def failing(look: int) -> Certificate:
        raise ZeroDivisionError(look)

    first = certificates.look(animals.store, model, judge)
    with pytest.raises(ZeroDivisionError, match="2"):
        certificates.look(animals.store, model, failing)
    second = certificates.look(animals.store, model, judge)
    assert [first.look, second.look] == [1, 2]
    assert certificates.of_model(animals.store, model) == (first, second)
    with pytest.raises(ZeroDivisionError, match="1"):
        certificates.look(animals.store, other, failing)
