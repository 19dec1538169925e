"""train: a teacher learns from the labeled rows and, under most methods, from the pool."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from labelsvc.config import TrainConfig, digest
from labelsvc.errors import InputError
from labelsvc.flows._models import is_kept
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.flows._teach import Assignment, teach
from labelsvc.methods import make
from labelsvc.records import SILENCE, LabeledSamples, Listener, Model, RowCount, SampleNumbers
from labelsvc.store import models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun, RunRecord
from labelsvc.training.device import describe, find_device
from labelsvc.workspace import find

NEXT = "labelsvc label --threshold 0.95"


@dataclass(frozen=True)
class TrainOutcome:
    """A trained model."""

    run_id: str
    model: Model
    steps: int
    rows: RowCount
    next_command: str
    repeated: bool = False


def train(
    workspace: str | Path,
    config: TrainConfig | None = None,
    *,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> TrainOutcome:
    """Train a teacher on a workspace's labeled rows and its pool; the same call again returns the same teacher.

    Calibration rows are learnt from like the pool, with their labels hidden; where everything is labeled, a method
    that needs a pool takes the labeled inputs with their labels hidden.

    Raises:
        InputError: nothing was ingested, or nothing of it is labeled.
        UsageError: a name or value of ``config`` is unknown or out of bounds.
    """
    config = config or TrainConfig()
    place = find(Path(workspace))
    store = open_store(place)
    method = make(config.method, config.settings)
    device = describe(find_device(config.device))
    config_hash = digest(config, method, samples.state_digest(store))
    done = runs.find_done(store, "train", config_hash)
    if done is not None and is_kept(place, models.get(store, done.outcome["model"])):
        listener.note(f"this very training was done by run {done.run_id}; nothing to do")
        return _repeated(store, done)
    labeled = _labeled(store)
    pool = _pool(store, labeled, listener)
    assignment = Assignment("teacher", config.method, method, labeled, pool, config)
    run = NewRun("train", asdict(config), config_hash, config.seed, versions(), device, parent_run)
    with recorded(place, run, resumable=True) as session:
        session.rows = RowCount(given=len(labeled), labeled=len(labeled))
        model = teach(session, assignment, listener)
    return TrainOutcome(session.run_id, model, session.outcome["steps"], session.rows, NEXT)


def _labeled(store: Store) -> LabeledSamples:
    labeled = samples.given(store, "train")
    if not len(labeled):
        raise InputError("no row of this workspace has a label; ingest a file with a label column")
    return labeled


def _pool(store: Store, labeled: LabeledSamples, listener: Listener) -> SampleNumbers:
    """Return all inputs to learn from without labels: the pool and the calibration inputs."""
    pool = np.union1d(samples.pool(store), samples.calibration_inputs(store))
    if len(pool):
        return pool
    listener.note("there is no pool: methods that need one take the labeled inputs, labels hidden")
    return labeled.numbers


def _repeated(store: Store, done: RunRecord) -> TrainOutcome:
    model = models.get(store, done.outcome["model"])
    return TrainOutcome(done.run_id, model, done.outcome["steps"], done.rows, NEXT, repeated=True)
