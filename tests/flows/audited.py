"""Label sets of digits of which it is known which labels are wrong, and judges who know the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelsvc import flows
from labelsvc.config import AuditConfig
from labelsvc.flows._audit import AuditOutcome
from labelsvc.records import LabelSet, Model, PictureShape, Policy, Preprocessing, PseudoLabels
from labelsvc.store import audits, label_sets, models, runs, samples
from labelsvc.store.identifiers import new_id
from labelsvc.store.runs import NewRun

from .digits import POOL, Digits, ask, store_of

Row = tuple[str, int, str]  # id, occurrence, proposed class
Judge = Callable[[Row], tuple[str, str | None]]  # says a verdict, and a class or none


def write_labels(
    workspace: Path,
    digits: Digits,
    pool: Sequence[int] = POOL,
    *,
    wrong: int = 0,
    confidence: float = 0.97,
    calibrated: bool = False,
) -> LabelSet:
    """Write a label set of the pool that is right but for ``wrong`` labels, and make it current."""
    store = store_of(workspace)
    classes = samples.class_names(store)
    ids = [f"digit-{row:04d}" for row in pool]
    truth = np.array([classes.index(digits.classes[row]) for row in pool], np.int32)
    said = truth.copy()
    said[:wrong] = (said[:wrong] + 1) % 10
    numbers = samples.numbers(store, ids)
    order = np.argsort(numbers)
    shape = Preprocessing(PictureShape(8, 8, 1), (0.5,), (0.25,))
    run_id = runs.start(store, NewRun("label", {}, ""))
    runs.finish(store, run_id, "done")
    made = Model(new_id(), run_id, "teacher", "none", "none", "x", "0", classes, shape, calibrated=calibrated)
    models.add(store, made)
    policy = Policy(new_id(), made.run_id, made.model_id, 0.9)
    rows = len(numbers)
    labels = PseudoLabels(
        numbers[order], said[order], np.full(rows, confidence), (said[order] + 2) % 10, np.full(rows, 0.01)
    )
    label_set = LabelSet(new_id(), made.run_id, made.model_id, policy.policy_id, 0, "")
    return label_sets.write(store, label_set, policy, labels, make_current=True)


def truth_of(digits: Digits) -> Mapping[str, str]:
    """Return the class of each digit by its id."""
    return {f"digit-{row:04d}": label for row, label in enumerate(digits.classes)}


def knowing(digits: Digits, but: Mapping[Row | str, tuple[str, str | None]] | None = None) -> Judge:
    """Return a judge who says the truth, but for what is said of some ids."""
    truth, said = truth_of(digits), but or {}

    def judge(row: Row) -> tuple[str, str | None]:
        if row[0] in said:
            return said[row[0]]
        return ("right", None) if row[2] == truth[row[0]] else ("wrong", truth[row[0]])

    return judge


def rows_of(workspace: Path, outcome: AuditOutcome) -> list[Row]:
    """Return what a page shows, in its order."""
    store = store_of(workspace)
    classes = samples.class_names(store)
    shown = audits.sheet(store, outcome.audit, outcome.stage)
    places = sorted(
        (place, row.sample_id, turn, classes[row.class_code])
        for row in shown
        for turn, place in enumerate(row.places, 1)
    )
    return [row[1:] for row in places]


def verdicts(workspace: Path, outcome: AuditOutcome, judge: Judge) -> dict[str, Any]:
    """Return what a page saves when somebody judged it."""
    said = []
    for row in rows_of(workspace, outcome):
        verdict, label = judge(row)
        said.append({"id": row[0], "occurrence": row[1], "verdict": verdict, "label": label, "lead_time_s": 1.5})
    return {"schema_version": 1, "audit": outcome.audit.audit_id, "stage": outcome.stage, "verdicts": said}


def saved(path: Path, content: object) -> Path:
    """Write what a page saves."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def judged(workspace: Path, outcome: AuditOutcome, judge: Judge) -> AuditOutcome:
    """Judge a page and hand the verdicts in."""
    file = saved(workspace.parent / "verdicts.json", verdicts(workspace, outcome, judge))
    return flows.take_verdicts(workspace, file, actor="ada")


def drawn(workspace: Path, precision: float = 0.95, **told: Any) -> AuditOutcome:  # noqa: ANN401 - settings
    """Draw an audit."""
    return flows.audit(workspace, AuditConfig(precision, **told), workspace.parent / "audit.html")


def first_ids(rows: Sequence[Row], count: int) -> list[str]:
    """Return the ids of some rows that are shown once."""
    again = {row[0] for row in rows if row[1] == 2}
    return [row[0] for row in rows if row[0] not in again][:count]


def counts(workspace: Path) -> list[tuple[Any, ...]]:
    """Return how many rows there are of all that an audit writes."""
    names = ("audit", "audit_row", "audit_verdict", "decision", "certificate")
    return [ask(workspace, f"SELECT count(*) FROM {name}")[0] for name in names]
