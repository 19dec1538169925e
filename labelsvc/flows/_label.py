"""label: the newest model predicts the pool, a policy selects, and a label set is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from labelsvc.config import LabelConfig, digest
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._models import newest, open_network
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.labeling.pool import Answers, joined, predict_rows, prediction_blocks, write_predictions
from labelsvc.labeling.rounds import Round
from labelsvc.labeling.select import accept, among, check_thresholds, thresholds_by_class
from labelsvc.records import (
    SILENCE,
    LabelSet,
    Listener,
    Model,
    Policy,
    Progress,
    PseudoLabels,
    RowCount,
    SampleNumbers,
)
from labelsvc.store import label_sets, runs, samples
from labelsvc.store.identifiers import new_id
from labelsvc.store.runs import NewRun
from labelsvc.training.device import describe, find_device, prepare
from labelsvc.training.rows import passing_rows
from labelsvc.workspace import find

ONE_ROUND = "one round done"
NEXT = 'labelsvc query "SELECT label, source, count(*) FROM labels GROUP BY ALL ORDER BY ALL"'


@dataclass(frozen=True)
class LabelOutcome:
    """A written label set, what became of the pool and, where more than one was asked for, each round."""

    run_id: str
    label_set: LabelSet
    model: Model
    rows: RowCount
    next_command: str
    repeated: bool = False
    stop_reason: str | None = ONE_ROUND
    rounds: tuple[Round, ...] = ()


def label(
    workspace: str | Path,
    config: LabelConfig | None = None,
    *,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> LabelOutcome:
    """Predict the pool with the newest model and write the labels that reach the threshold as a label set.

    The set becomes ``current``. Calibration inputs are predicted too, but never written as labels. With several
    ``rounds`` a student is distilled from the set and labels the pool in its turn, and so on, until a reason to stop
    is found. The same call again, on the same pool and model, returns the same set.

    Raises:
        InputError: nothing was ingested or trained.
        UsageError: a threshold is no probability, or names an unknown class; steps and a budget are both given.
    """
    config = config or LabelConfig()
    if config.rounds > 1:
        from labelsvc.flows._rounds import label_in_rounds  # which is made of single rounds

        return label_in_rounds(workspace, config, listener=listener, parent_run=parent_run)
    if (config.steps, config.budget) != (None, None):
        listener.note("--steps and --budget are for the students between rounds, and one round has none")
    return label_once(workspace, config, listener=listener, parent_run=parent_run)


def label_once(
    workspace: str | Path, config: LabelConfig, *, listener: Listener, parent_run: str | None
) -> LabelOutcome:
    """Do one round: predict, select, write. Raises as ``label`` does."""
    place = find(Path(workspace))
    store = open_store(place)
    model = newest(store, config.model)
    check_thresholds(config.threshold, config.class_thresholds, model.classes)
    pool, hidden = samples.pool(store), samples.calibration_inputs(store)
    rule = (config.threshold, config.class_thresholds)
    config_hash = digest(rule, model.model_id, samples.digest_of(pool, hidden))
    done = runs.find_done(store, "label", config_hash)
    if done is not None:
        listener.note(f"run {done.run_id} wrote these very labels; nothing to do")
        label_set = label_sets.rollback(store, done.outcome["label_set"])  # an older one is current again
        say_kept(label_set, config.message, listener)
        return LabelOutcome(done.run_id, label_set, model, done.rows, NEXT, repeated=True)
    device = describe(find_device(config.device))
    run = NewRun("label", asdict(config), config_hash, None, versions(), device, parent_run)
    with recorded(place, run) as session:
        shown = np.union1d(pool, hidden)
        predictions = _predictions(session, model, shown, config=config, listener=listener)
        thresholds = thresholds_by_class(*rule, model.classes)
        blocks = (accept(block, thresholds) for block in prediction_blocks(predictions, model.classes))
        accepted = joined(block.where(among(block.numbers, pool)) for block in blocks)
        label_set = _write(session, config, model, accepted)
        session.rows = RowCount(given=len(pool), labeled=len(accepted), abstained=len(pool) - len(accepted))
        session.stop_reason = ONE_ROUND
        session.outcome["label_set"] = label_set.label_set_id
    return LabelOutcome(session.run_id, label_set, model, session.rows, NEXT)


def round_of(model: Model) -> int:
    """Return the round whose labels ``model`` writes: a teacher's the first, a student's the one after its own."""
    return model.round + 1 if model.role == "student" else 1


def say_kept(label_set: LabelSet, message: str, listener: Listener) -> None:
    """Tell the listener that a set that was written before keeps its message, where another was given now."""
    if message and message != label_set.message:
        kept = f"the message {label_set.message!r}" if label_set.message else "no message"
        listener.note(f"label set {label_set.label_set_id} has {kept}, which stays: a label set is never changed")


def _predictions(
    session: Session, model: Model, numbers: SampleNumbers, *, config: LabelConfig, listener: Listener
) -> Path:
    """Return the file of what the model says of ``numbers``, that of an earlier run where there is one."""
    shown = samples.digest_of(numbers)
    known = runs.find_predictions(session.store, model.model_id, shown)
    path = session.workspace.root / known if known else None
    if path is not None and path.exists():
        listener.note(f"the model's word on the pool is known from {known}; only the policy is new")
    else:
        path = session.folder / "predictions.parquet"
        blocks = _asked(session, model, numbers, config.device) if len(numbers) else iter(())
        for done in write_predictions(path, blocks, model.classes):
            listener.progress(Progress("label", done, len(numbers)))
    session.outcome |= {"model": model.model_id, "shown": shown, "predictions": session.workspace.relative(path)}
    return path


def _asked(session: Session, model: Model, numbers: SampleNumbers, device_name: str) -> Iterator[Answers]:
    """Ask the model about ``numbers``, block by block."""
    device = find_device(device_name)
    prepare(device)
    inputs = open_inputs(session.workspace, session.store, numbers)
    rows = passing_rows(numbers, inputs, device)
    return predict_rows(open_network(session.workspace, model).to(device), rows, model.temperature)


def _write(session: Session, config: LabelConfig, model: Model, accepted: PseudoLabels) -> LabelSet:
    policy = Policy(new_id(), session.run_id, model.model_id, config.threshold, dict(config.class_thresholds))
    current = label_sets.current(session.store)
    label_set = LabelSet(
        label_set_id=new_id(),
        run_id=session.run_id,
        model_id=model.model_id,
        policy_id=policy.policy_id,
        rows=len(accepted),
        digest="",
        round=round_of(model),
        parent_id=current.label_set_id if current else None,
        message=config.message,
    )
    return label_sets.write(session.store, label_set, policy, accepted, make_current=True)
