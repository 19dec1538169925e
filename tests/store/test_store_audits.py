"""Audits in the store: what was drawn is found again, and a stage's verdicts are written whole, once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from labeling_task import Task

from labelsvc.errors import InputError, UsageError
from labelsvc.records import Audit, AuditPlan, Certificate, Drawn, LabelSet, RowCount, Shown, Verdict
from labelsvc.store import audits, decisions
from labelsvc.store.audits import JudgedStage
from labelsvc.store.identifiers import new_id

ROWS = [Drawn(3, 1, (0, 2)), Drawn(2, 1, (1,)), Drawn(4, 2, (0,))]


@pytest.fixture
def animals(task: Task) -> Task:
    """Give a task with two labeled samples and three in the pool, numbered 2, 3 and 4."""
    pool = [(f"p{number}", f"{number:064d}", None) for number in (2, 3, 4)]
    task.ingest([("a", "a" * 64, "cat"), ("b", "b" * 64, "dog"), *pool])
    return task


@pytest.fixture
def label_set(animals: Task) -> LabelSet:
    """Give a label set of the pool: cat, dog, dog."""
    numbers = [number for (number,) in animals.ask("SELECT sample_no FROM sample WHERE role = 'pool' ORDER BY 1")]
    assert numbers == [2, 3, 4]
    return animals.label(numbers, [0, 1, 1])


@pytest.fixture
def audit(animals: Task, label_set: LabelSet) -> Audit:
    """Give an audit of two stages."""
    drawn = Audit(new_id(), new_id(), label_set.label_set_id, 7, AuditPlan(0.5, 0.9, (2, 3)))
    audits.add(animals.store, drawn, ROWS)
    return drawn


def certificate(label_set: LabelSet) -> Certificate:
    """Return a certificate of a label set."""
    return Certificate(new_id(), "audit", 2, 1, 0.5, 0.9, 1, label_set.digest, True, None, label_set.label_set_id)


def judged(audit: Audit, *said: tuple[str, str, str | None], stage: int = 1) -> JudgedStage:
    """Return a stage's verdicts with decisions of id, decision and label."""
    verdicts = (Verdict(3, 1, "right", None, 2.5), Verdict(2, 1, "wrong", 1), Verdict(3, 2, "unsure"))
    names = ("sample_id", "decision", "label")
    rows = [dict(zip(names, one, strict=True)) | {"actor": "ada", "lead_time_s": None} for one in said]
    return JudgedStage(audit, stage, verdicts, pa.Table.from_pylist(rows, schema=decisions.SCHEMA), "ada")


def test_an_audit_is_found_again(animals: Task, label_set: LabelSet, audit: Audit) -> None:
    """By its whole identifier, by an ending, and by its label set, with its plan as it was declared."""
    assert audits.find(animals.store, audit.audit_id) == audit
    assert audits.get(animals.store, audit.audit_id[-6:]) == audit
    assert audits.get(animals.store, "latest") == audit
    assert audits.of_label_set(animals.store, label_set.label_set_id) == (audit,)
    assert audits.of_label_set(animals.store, "other") == ()
    assert audits.find(animals.store, audit.audit_id[-6:]) is None
    assert animals.ask("SELECT n, seed FROM audit") == [(3, 7)]
    with pytest.raises(UsageError, match="no audit ends in 'xyz'"):
        audits.get(animals.store, "xyz")


def test_a_sheet_shows_what_the_audited_set_says(animals: Task, audit: Audit) -> None:
    """The rows of a stage come in the order of their showings, with the classes of the audited set and no other."""
    animals.label([2, 3, 4], [1, 0, 0])
    animals.decide(3, "reject")
    assert audits.sheet(animals.store, audit, 1) == (Shown(3, "p3", 1, 0.95, (0, 2)), Shown(2, "p2", 0, 0.95, (1,)))
    assert [row.sample_id for row in audits.sheet(animals.store, audit, 2)] == ["p4"]
    assert audits.sheet(animals.store, audit, 3) == ()


def test_a_stage_is_recorded_whole(animals: Task, label_set: LabelSet, audit: Audit) -> None:
    """Verdicts, decisions on the audited set and the certificate are written together, and read back."""
    animals.label([2, 3, 4], [1, 0, 0])
    stage = judged(audit, ("p3", "confirm", None), ("p2", "relabel", "dog"))
    assert audits.record(animals.store, stage, certificate(label_set)) == RowCount(given=2, labeled=2)
    told = (stage.verdicts[0], stage.verdicts[1], stage.verdicts[2])
    assert audits.verdicts(animals.store, audit) == {1: told}
    kept = "SELECT sample_no, decision, class, actor, label_set_id FROM decision ORDER BY decision_no"
    shown = label_set.label_set_id
    assert animals.ask(kept) == [(3, "confirm", 1, "ada", shown), (2, "relabel", 1, "ada", shown)]
    assert animals.ask("SELECT label_set_id, checked, wrong, valid FROM certificate") == [(shown, 2, 1, True)]
    assert animals.ask("SELECT certified FROM label_sets ORDER BY created_at") == [(True,), (False,)]


def test_a_stage_is_recorded_once(animals: Task, label_set: LabelSet, audit: Audit) -> None:
    """A second writer of the same stage is refused, and nothing of his is kept."""
    audits.record(animals.store, judged(audit, ("p3", "confirm", None)), certificate(label_set))
    with pytest.raises(InputError, match="was judged meanwhile, so nothing was written"):
        audits.record(animals.store, judged(audit, ("p2", "reject", None)), certificate(label_set))
    assert animals.ask("SELECT (SELECT count(*) FROM decision), (SELECT count(*) FROM certificate)") == [(1, 1)]


def test_a_wrong_decision_undoes_the_stage(animals: Task, label_set: LabelSet, audit: Audit) -> None:
    """Where a decision is refused, neither verdicts nor a certificate are kept."""
    with pytest.raises(InputError, match="there is no such sample"):
        audits.record(animals.store, judged(audit, ("nobody", "reject", None)), certificate(label_set))
    assert audits.verdicts(animals.store, audit) == {}
    assert animals.ask("SELECT count(*) FROM certificate") == [(0,)]


def test_one_who_is_shown_a_set_confirms_its_label(animals: Task, label_set: LabelSet) -> None:
    """``append`` measures a confirmation by the set that was shown, ``add`` by the label in force."""
    animals.label([2, 3, 4], [1, 0, 0])
    words = judged(Audit("", "", "", 0, AuditPlan(0.5, 0.9, (1,))), ("p2", "confirm", "cat")).decisions
    with pytest.raises(InputError, match="it shows the label 'dog', and 'cat' is confirmed"):
        decisions.add(animals.store, words)
    with animals.store.writing() as connection:
        decisions.append(connection, words, ("cat", "dog"), shown_set=label_set.label_set_id)
    assert animals.ask("SELECT class FROM decision") == [(0,)]
