"""train: a teacher learns from the labeled rows and, under most methods, from the pool."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from labelsvc.config import TrainConfig, digest
from labelsvc.errors import InputError, UsageError
from labelsvc.flows._baseline import TEACHERS_SHARE, is_wanted, stand_or_fall, verdict
from labelsvc.flows._candidates import Candidate
from labelsvc.flows._classical import Studies
from labelsvc.flows._contest import FINAL_SHARE, FINAL_STEPS, FOLDS, NETWORK_STEPS
from labelsvc.flows._few import begun_with_few, is_spread
from labelsvc.flows._methods import NETWORK, ROWS, SPREADING, Field, check, field_of, self_training, settled, spreading
from labelsvc.flows._models import is_kept
from labelsvc.flows._room import Assignment
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.flows._spreading import LEARNER, spread_first
from labelsvc.flows._taught import taught, with_teacher
from labelsvc.flows._teach import teach
from labelsvc.labeling.comparison import Comparison
from labelsvc.methods import make
from labelsvc.methods.contract import Method
from labelsvc.records import SILENCE, LabeledSamples, Listener, Model, RowCount, SampleNumbers
from labelsvc.store import datasets, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun, RunRecord
from labelsvc.training.device import describe, find_device
from labelsvc.training.lesson import hold_out
from labelsvc.workspace import Workspace, find

NEXT = "labelsvc label --threshold 0.95"


@dataclass(frozen=True)
class TrainOutcome:
    """A trained model: the teacher, or the supervised baseline that was found to be better and replaces it."""

    run_id: str
    model: Model
    steps: int | None  # that the model learnt for; None of one that takes none
    rows: RowCount
    next_command: str
    repeated: bool = False
    comparison: Comparison | None = None  # with the baseline, where one was trained
    collapse: str | None = None  # what was noticed while it learnt
    candidates: tuple[Candidate, ...] = ()  # that were compared, of tables and vectors
    taken: str | None = None  # the name of the candidate that the model came of


def train(
    workspace: str | Path,
    config: TrainConfig | None = None,
    *,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> TrainOutcome:
    """Train a teacher on a workspace's labeled rows and its pool; the same call again returns the same teacher.

    Calibration rows are learnt from like the pool, with their labels hidden; where everything is labeled, a method
    that needs a pool takes the labeled inputs with their labels hidden. Where there are validation rows, a teacher
    that learnt from a pool is compared on them with a supervised baseline, and replaced by it if it is worse. A
    method that learns from a stored teacher takes the wanted or the newest model, or makes itself one first. For
    tables and vectors, ``auto`` compares scikit-learn's classifiers and networks on the labeled rows, in folds, and
    takes the best.

    Raises:
        InputError: nothing was ingested, or nothing of it is labeled.
        UsageError: a name or value of ``config`` is unknown or out of bounds.
    """
    config = config or TrainConfig()
    check(config)
    place = find(Path(workspace))
    store = open_store(place)
    shape = datasets.input_shape(store)
    assert shape is not None, "a workspace has samples"
    config = settled(config, shape)
    compared = field_of(config, shape)
    if compared is not None:
        return _compared(place, store, config, compared, listener=listener, parent_run=parent_run)
    return _trained(place, store, config, listener=listener, parent_run=parent_run)


def _trained(
    place: Workspace, store: Store, config: TrainConfig, *, listener: Listener, parent_run: str | None
) -> TrainOutcome:
    """Train a network by one of the papers' methods."""
    method = make(config.method, config.settings)
    device = describe(find_device(config.device))
    state = samples.state_digest(store)
    call = digest(replace(config, teacher=None), method, state)
    config = with_teacher(place, config, method, call)
    config_hash = digest(config, method, state)
    repeated = _repeated(place, store, config_hash, listener)
    if repeated is not None:
        return repeated
    labeled = _labeled(store)
    pool = _pool(store, labeled, method, listener)
    compared = is_wanted(store, config, method, listener)
    share = TEACHERS_SHARE if compared else 1.0
    assignment = Assignment("teacher", config.method, method, labeled, pool, config, budget_share=share)
    run = NewRun("train", {**asdict(config), "call": call}, config_hash, config.seed, versions(), device, parent_run)
    with recorded(place, run, resumable=True) as session:
        session.rows = RowCount(given=len(labeled), labeled=len(labeled))
        task = taught(session, assignment, listener) if method.needs_teacher else assignment
        if is_spread(store, config, labeled, pool):
            task = begun_with_few(session, task, listener)
        teacher = teach(session, task, listener)
        if compared:
            stand_or_fall(session, assignment, teacher, listener)
    return _outcome(store, runs.get(store, session.run_id))


def _compared(
    place: Workspace,
    store: Store,
    config: TrainConfig,
    compared: Field,
    *,
    listener: Listener,
    parent_run: str | None,
) -> TrainOutcome:
    """Compare teachers of tables or vectors, and train the best of them."""
    if compared.wanted != SPREADING:
        self_training(config)  # whose settings are refused before any work
    config_hash = digest(config, compared, samples.state_digest(store))
    repeated = _repeated(place, store, config_hash, listener)
    if repeated is not None:
        return repeated
    labeled = _labeled(store)
    pool = np.union1d(samples.pool(store), samples.calibration_inputs(store))
    if compared.wanted == SPREADING and not len(pool):
        raise UsageError(f"{SPREADING} takes labels to a pool and there is none; ingest unlabeled rows")
    device = describe(find_device(config.device))
    run = NewRun("train", asdict(config), config_hash, config.seed, versions(), device, parent_run)
    with recorded(place, run, resumable=True) as session:
        session.rows = RowCount(given=len(labeled), labeled=len(labeled))
        known = models.by_run(store, session.run_id) if session.resumed else ()
        studies = Studies(session, config, labeled, pool, listener)
        lesson = studies.lesson()
        contest = studies.compare(compared, lesson)
        chosen = contest.chosen
        if known:  # interrupted between its last write and its end
            session.outcome["model"] = known[-1].model_id
        elif chosen.method == SPREADING:
            task = _assignment(chosen, labeled, studies.seen, config)
            way = replace(spreading(config), over=chosen.over, rounds=chosen.rounds)
            steps = _first_steps(chosen, config)
            task = spread_first(session, task, way, first_steps=steps, lesson=lesson, listener=listener)
            teach(session, task, listener)
        elif chosen.network == NETWORK:
            teach(session, _assignment(chosen, labeled, pool, config), listener)
        else:
            studies.fit(chosen, lesson)
        session.outcome |= {"candidates": [asdict(one) for one in contest.candidates], "taken": chosen.name}
    return _outcome(store, runs.get(store, session.run_id))


def _repeated(place: Workspace, store: Store, config_hash: str, listener: Listener) -> TrainOutcome | None:
    """Return what came of this very training before, None where it was not done or its model is gone."""
    done = runs.find_done(store, "train", config_hash)
    if done is None or not is_kept(place, models.get(store, done.outcome["model"])):
        return None
    listener.note(f"this very training was done by run {done.run_id}; nothing to do")
    outcome = _outcome(store, done, repeated=True)
    if outcome.comparison is not None and outcome.comparison.is_worse:
        listener.note(verdict(outcome.comparison))
    return outcome


def _assignment(chosen: Candidate, labeled: LabeledSamples, pool: SampleNumbers, config: TrainConfig) -> Assignment:
    """Return what a network that won a comparison is to learn: with the time that was kept for it."""
    told = replace(config, method=chosen.method, network=NETWORK, settings={}, spread=False, baseline=False)
    if config.steps is None and config.budget is None:
        told = replace(told, steps=FINAL_STEPS[chosen.method])
    method = make(LEARNER if chosen.method == SPREADING else chosen.method)
    return Assignment(
        "teacher",
        chosen.method,
        method,
        labeled,
        pool,
        told,
        budget_share=FINAL_SHARE,
        temperature=None if chosen.accuracy is None else chosen.temperature,
    )


def _first_steps(chosen: Candidate, config: TrainConfig) -> int | None:
    """Return how long a network learns before labels spread over it: as in a fold; None: by the budget."""
    if config.budget is not None or chosen.over == ROWS:
        return None
    return NETWORK_STEPS[chosen.over] if config.steps is None else max(config.steps // FOLDS, 1)


def _labeled(store: Store) -> LabeledSamples:
    labeled = samples.given(store, "train")
    if not len(labeled):
        raise InputError("no row of this workspace has a label; ingest a file with a label column")
    return labeled


def _pool(store: Store, labeled: LabeledSamples, method: Method, listener: Listener) -> SampleNumbers:
    """Return all inputs to learn from without labels: the pool and the calibration inputs.

    Where there are none, these are the labeled inputs but for those that the method holds out: what a teacher says of
    them was learnt from their labels.
    """
    pool = np.union1d(samples.pool(store), samples.calibration_inputs(store))
    if len(pool):
        return pool
    listener.note("there is no pool: methods that need one take the labeled inputs, labels hidden")
    kept, _ = hold_out(torch.from_numpy(labeled.classes.astype(np.int64)), method.held_out_share)
    learnt_from: SampleNumbers = labeled.numbers[kept.numpy()]
    return learnt_from


def _outcome(store: Store, done: RunRecord, *, repeated: bool = False) -> TrainOutcome:
    """Return what came of a training, as its run recorded it."""
    model = models.get(store, done.outcome["model"])
    compared = done.outcome.get("comparison")
    return TrainOutcome(
        run_id=done.run_id,
        model=model,
        steps=runs.get(store, model.run_id).outcome.get("steps"),
        rows=done.rows,
        next_command=NEXT,
        repeated=repeated,
        comparison=Comparison(**compared) if compared else None,
        collapse=done.outcome.get("collapse"),
        candidates=tuple(Candidate(**one) for one in done.outcome.get("candidates", ())),
        taken=done.outcome.get("taken"),
    )
