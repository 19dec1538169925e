"""evaluate: how often is it right? The only flow that reads test rows; nothing is chosen by what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from labelsvc.config import digest
from labelsvc.data.label_files import read_labels
from labelsvc.errors import InputError
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._models import in_use, open_network
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.labeling.score import UNLABELED, Score, score
from labelsvc.labeling.select import among
from labelsvc.records import SILENCE, ClassCodes, LabeledSamples, Listener, MetricPoint, Model, RowCount
from labelsvc.store import held_out, label_sets, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.training.predict import logits_of
from labelsvc.training.rows import Rows
from labelsvc.workspace import Workspace, find

NEXT = "labelsvc runs"


@dataclass(frozen=True)
class EvaluateOutcome:
    """Scores of a model on test rows, or of the current labels against a file of truth."""

    run_id: str
    subject: str  # what was scored
    score: Score
    moments: tuple[MetricPoint, ...]
    rows: RowCount
    next_command: str = NEXT


def evaluate(
    workspace: str | Path,
    *,
    model: str | None = None,
    truth: str | Path | None = None,
    moments: bool = False,
    listener: Listener = SILENCE,
) -> EvaluateOutcome:
    """Score a model on the test rows or, with ``truth``, the current label set against a file of (id, label).

    Args:
        workspace: the task's folder.
        model: any unique ending of a model's id; without it the current set's student, else its teacher.
        truth: a Parquet or CSV file with the columns ``id`` and ``label``; samples it does not name are left out.
        moments: also score the weights that ``train --keep-moments`` kept, into the run's curves.
        listener: hears which model is scored.

    Raises:
        InputError: there are no test rows, or none of the truth's ids is known.
    """
    place = find(Path(workspace))
    store = open_store(place)
    settings = {"model": model, "truth": str(truth) if truth else None, "moments": moments}
    run = NewRun("evaluate", settings, digest(settings), versions=versions())
    with recorded(place, run) as session:
        if truth is not None:
            return _outcome(session, *_score_labels(store, Path(truth)), moments=[])
        chosen = in_use(store, model, listener)
        exam = _Exam.open(place, store)
        found = exam.score(chosen)
        points = exam.score_moments(chosen) if moments else []
        runs.add_metrics(store, chosen.run_id, points)
        subject = f"{chosen.role} {chosen.model_id} on {found.rows:,} test rows"
        return _outcome(session, found, subject, moments=points)


@dataclass(frozen=True)
class _Exam:
    """The test rows, ready to be shown to networks."""

    workspace: Workspace
    classes: tuple[str, ...]
    truth: LabeledSamples
    rows: Rows

    @classmethod
    def open(cls, workspace: Workspace, store: Store) -> _Exam:
        truth = held_out.test_labels(store)
        if not len(truth):
            raise InputError("this workspace has no test rows; ingest some with --test FILE, or give --truth FILE")
        rows = rows_to_ask(workspace, store, truth.numbers, device="auto")
        return cls(workspace, held_out.class_names(store), truth, rows)

    def score(self, model: Model, *, path: Path | None = None) -> Score:
        network = open_network(self.workspace, model, path=path).to(self.rows.device)
        answers = logits_of(network, self.rows).argmax(axis=1).astype(np.int32)
        return score(answers, self.truth.classes, self.classes)

    def score_moments(self, model: Model) -> list[MetricPoint]:
        """Score every kept moment, oldest first.

        Raises:
            InputError: none was kept.
        """
        kept = sorted((self.workspace.root / model.path).parent.glob("moments/step-*.safetensors"))
        if not kept:
            raise InputError(f"run {model.run_id} kept no moments; train with --keep-moments N")
        return [
            MetricPoint(int(path.stem.removeprefix("step-")), "test accuracy", self.score(model, path=path).accuracy)
            for path in kept
        ]


def _score_labels(store: Store, path: Path) -> tuple[Score, str]:
    """Score the current label set's labels of the samples that the truth names."""
    label_set = label_sets.get(store, "current")
    accepted = label_sets.accepted(store, label_set.label_set_id)
    classes = samples.class_names(store)
    truth = _named_in(store, path, classes)
    found = among(truth.numbers, accepted.numbers)
    answers: ClassCodes = np.full(len(truth), UNLABELED, dtype=np.int32)
    answers[found] = accepted.classes[np.searchsorted(accepted.numbers, truth.numbers[found])]
    subject = f"label set {label_set.label_set_id} on {len(truth):,} rows of {path}"
    return score(answers, truth.classes, classes), subject


def _named_in(store: Store, path: Path, classes: Sequence[str]) -> LabeledSamples:
    """Return the pool samples that a file of truth names, with their classes."""
    file = read_labels(path)
    numbers = samples.numbers(store, file.ids)
    codes: dict[str | None, int] = {name: code for code, name in enumerate(classes)}
    truth = np.array([codes.get(name, UNLABELED - 1) for name in file.labels], dtype=np.int32)
    told = among(numbers, samples.pool(store)) & np.array([name is not None for name in file.labels])
    if not told.any():
        raise InputError(f"none of the {len(file.ids):,} ids of {path} is in this workspace's pool, with a label")
    distinct, first = np.unique(numbers[told], return_index=True)
    return LabeledSamples(distinct, truth[told][first])


def _outcome(session: Session, found: Score, subject: str, *, moments: Sequence[MetricPoint]) -> EvaluateOutcome:
    rows = RowCount(given=found.rows, labeled=found.labeled, abstained=found.rows - found.labeled)
    session.rows, session.stop_reason = rows, "all rows scored"
    session.outcome = {"subject": subject, "score": asdict(found)}
    return EvaluateOutcome(session.run_id, subject, found, tuple(moments), rows)
