"""run: all of it in one go, a parent run with a child for each step; what is done already is not done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from labelsvc.config import IngestConfig, LabelConfig, TrainConfig, digest
from labelsvc.errors import UsageError
from labelsvc.flows._distill import distill
from labelsvc.flows._export import ExportOutcome, export
from labelsvc.flows._ingest import ingest
from labelsvc.flows._label import LabelOutcome, label
from labelsvc.flows._methods import AUTO, check
from labelsvc.flows._session import recorded, versions
from labelsvc.flows._taught import refuse_unneeded
from labelsvc.flows._train import train
from labelsvc.labeling.select import check_thresholds
from labelsvc.methods import DEFAULT, make
from labelsvc.records import SILENCE, Listener, Model, RowCount
from labelsvc.store.runs import NewRun
from labelsvc.workspace import create


@dataclass(frozen=True)
class RunConfig:
    """What each step of a whole run is told."""

    ingest: IngestConfig = field(default_factory=IngestConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    label: LabelConfig = field(default_factory=LabelConfig)


@dataclass(frozen=True)
class RunOutcome:
    """A whole run: its labels, its student, and where the student lies."""

    run_id: str
    teacher: Model
    student: Model
    labels: LabelOutcome
    exported: ExportOutcome | None
    rows: RowCount
    next_command: str


def run(
    workspace: str | Path,
    files: Sequence[str | Path],
    *,
    test: Sequence[str | Path] = (),
    onnx: str | Path | None = None,
    config: RunConfig | None = None,
    listener: Listener = SILENCE,
) -> RunOutcome:
    """Ingest, train, label, distill and, where ``onnx`` names a file, export.

    Steps that were done with the same inputs and config are found in the store and not repeated. The budget or the
    steps in ``config.train`` are for each of the two trainings.

    Raises:
        LabelsvcError: whatever a step raises; what was done before it stays done.
    """
    config = config or RunConfig()
    _check(config)
    place = create(Path(workspace))
    named = {
        "files": [str(file) for file in files],
        "test": [str(file) for file in test],
        "onnx": str(onnx or ""),
    }
    whole = NewRun("run", {**named, **asdict(config)}, digest(named, config), config.train.seed, versions())
    with recorded(place, whole, resumable=True) as session:
        parent = session.run_id
        ingest(place.root, files, test=test, config=config.ingest, listener=listener, parent_run=parent)
        taught = train(place.root, config.train, listener=listener, parent_run=parent)
        # by the run's own teacher, not by a student that an earlier run left behind
        rule = replace(config.label, model=config.label.model or taught.model.model_id)
        labels = label(place.root, rule, listener=listener, parent_run=parent)
        # --set speaks to the teacher's method
        student = distill(place.root, replace(config.train, settings={}), listener=listener, parent_run=parent)
        exported = None
        if onnx:
            exported = export(place.root, onnx, model=student.model.model_id, listener=listener, parent_run=parent)
        session.rows = labels.rows
        session.stop_reason = "all steps done"
        session.outcome = {"teacher": taught.model.model_id, "student": student.model.model_id}
    following = exported.next_command if exported else student.next_command
    return RunOutcome(parent, taught.model, student.model, labels, exported, labels.rows, following)


def _check(config: RunConfig) -> None:
    """Refuse what is wrong whatever the files hold, before hours are spent on them."""
    check(config.train)
    if config.train.teacher is not None:
        by_itself = DEFAULT if config.train.method == AUTO else config.train.method
        refuse_unneeded(replace(config.train, method=by_itself), make(by_itself))
    check_thresholds(config.label.accepted_from, {}, ())
    if config.label.predictions is not None:
        raise UsageError("a run labels with the teacher that it trains; `label` takes another model's predictions")
