"""The gate after a training: a teacher that is worse than what its labels alone would have taught is not used.

The baseline is the same network, trained on the labeled rows for a fifth of the teacher's steps in a run of its own.
Both answer the validation rows; a teacher that is significantly worse there is replaced by its baseline. A comparison
that fails is said and costs no teacher.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from labelsvc.config import TrainConfig, digest
from labelsvc.errors import LabelsvcError
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._models import open_network
from labelsvc.flows._room import Assignment
from labelsvc.flows._session import Session, recorded, versions
from labelsvc.flows._teach import resolved, teach
from labelsvc.labeling.comparison import Comparison, compare
from labelsvc.methods import make
from labelsvc.methods.contract import Method
from labelsvc.records import ClassCodes, Listener, Model, RowCount
from labelsvc.store import models, runs, samples
from labelsvc.store.database import Store
from labelsvc.training.device import describe, find_device
from labelsvc.training.predict import logits_of
from labelsvc.training.rows import Rows

STEPS_FOR_ONE = 5  # of the teacher's, for one of its baseline's, which is no longer than the teacher's
FEWEST = 20  # steps; a shorter baseline has learnt nothing to compare with
TEACHERS_SHARE = STEPS_FOR_ONE / (STEPS_FOR_ONE + 1)  # of a budget


def is_wanted(store: Store, config: TrainConfig, method: Method, listener: Listener) -> bool:
    """Return whether a teacher is to be compared with a baseline, and say so where it would be but cannot."""
    if not (config.baseline and method.needs_pool):
        return False
    if len(samples.given(store, "validation")):
        return True
    listener.note(
        "the teacher is not compared with a supervised baseline, because there are no validation rows; "
        "`labelsvc ingest --validation` keeps some"
    )
    return False


def stand_or_fall(session: Session, assignment: Assignment, teacher: Model, listener: Listener) -> None:
    """Compare a teacher with its baseline, and set in ``session`` what came of it: the model to use, and why."""
    steps = session.outcome["steps"] // STEPS_FOR_ONE
    if steps < FEWEST:
        listener.note(f"too short to be compared with a supervised baseline, which would take {steps} steps")
        return
    try:
        baseline, comparison = _Gate(session, assignment, teacher, steps, listener).compared()
    except LabelsvcError as error:
        listener.note(f"the teacher could not be compared with a supervised baseline: {error}")
        return
    session.outcome |= {"teacher": teacher.model_id, "baseline": baseline.model_id, "comparison": asdict(comparison)}
    if comparison.is_worse:
        session.outcome["model"] = baseline.model_id
        session.stop_reason = f"{session.stop_reason}; worse than the supervised baseline, which takes its place"
    listener.note(verdict(comparison))


def verdict(comparison: Comparison) -> str:
    """Say how a comparison ended.

    >>> verdict(Comparison(100, 90, 85, 9, 4, 0.95))  # doctest: +ELLIPSIS
    'the teacher stands: of 100 validation rows the teacher has 90 right and the supervised baseline 85; ...'
    """
    if not comparison.is_worse:
        return f"the teacher stands: {comparison}"
    return f"the teacher is worse than its labels alone, so the supervised baseline takes its place: {comparison}"


@dataclass(frozen=True)
class _Gate:
    """A teacher before its judges."""

    session: Session
    assignment: Assignment
    teacher: Model
    steps: int
    listener: Listener

    def compared(self) -> tuple[Model, Comparison]:
        """Train the baseline, or go on with it, and compare; what was compared before is read."""
        session, config = self.session, self.config()
        method = make("supervised", config.settings)
        config_hash = digest(config, method, self.teacher.model_id)
        done = runs.find_done(session.store, models.BASELINE, config_hash)
        if done is not None:
            return models.get(session.store, done.outcome["model"]), Comparison(**done.outcome["comparison"])
        told = {**asdict(config), "teacher": self.teacher.model_id}
        device = describe(find_device(config.device))
        run = runs.NewRun(models.BASELINE, told, config_hash, config.seed, versions(), device, session.run_id)
        task = replace(
            self.assignment, method_name="supervised", method=method, config=config, is_baseline=True, budget_share=1.0
        )
        with recorded(session.workspace, run, resumable=True) as child:
            child.rows = RowCount(given=len(task.labeled), labeled=len(task.labeled))
            baseline = teach(child, task, self.listener)
            comparison = self.comparison(baseline)
            replaced = self.teacher.model_id if comparison.is_worse else None
            child.outcome |= {"comparison": asdict(comparison), "replaces": replaced}
        return baseline, comparison

    def config(self) -> TrainConfig:
        """Return what the baseline is told: the teacher's network and views, a fifth of its steps."""
        chosen, recipe = resolved(self.session), self.assignment.method.recipe
        return replace(
            self.assignment.config,
            method="supervised",
            steps=self.steps,
            budget=None,
            network=chosen["network"],
            views=chosen["views"],
            settings={"labeled_batch": str(recipe.labeled_batch)},
            keep_moments=0,
            baseline=False,
            teacher=None,
        )

    def comparison(self, baseline: Model) -> Comparison:
        """Let both answer the validation rows."""
        session = self.session
        exam = samples.given(session.store, "validation")
        rows = rows_to_ask(session.workspace, session.store, exam.numbers, device=self.assignment.config.device)
        return compare(self.answers(self.teacher, rows), self.answers(baseline, rows), exam.classes)

    def answers(self, model: Model, rows: Rows) -> ClassCodes:
        network = open_network(self.session.workspace, model).to(rows.device)
        found: ClassCodes = logits_of(network, rows).argmax(axis=1).astype(np.int32)
        return found
