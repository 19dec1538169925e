"""plan: before anything is spent, what a promise costs, whether pseudo-labels will likely help, and what it all takes.

Writes nothing. Labels of train and validation rows are read, those of calibration rows are only counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from labelsvc.config import PlanConfig
from labelsvc.flows._baseline import TEACHERS_SHARE, is_wanted
from labelsvc.flows._contest import SECONDS
from labelsvc.flows._few import SHARE, is_spread
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._methods import Field, check, field_of, settled
from labelsvc.flows._room import Assignment, Room, enter
from labelsvc.flows._session import Session, open_store
from labelsvc.flows._taught import foreseen, refuse_unneeded
from labelsvc.labeling.outlook import Evidence, Promise, Verdict, gather, judge, promise
from labelsvc.labeling.patches import plain_features
from labelsvc.methods import make
from labelsvc.records import SILENCE, LabeledSamples, Listener, RowCount, SampleNumbers
from labelsvc.store import certificates, datasets, samples
from labelsvc.store.database import Store
from labelsvc.store.identifiers import new_id
from labelsvc.training.loop import Plan
from labelsvc.training.probe import kept_bytes, seconds_per_step
from labelsvc.training.rows import as_networks_see
from labelsvc.workspace import Workspace, find

NEXT = "labelsvc train"
PROBED = 2.0  # seconds of training that are timed
LABELS, POOL = 4_000, 1_000  # rows that the outlook looks at, at most
COPIES = 4  # of a network's weights while it learns: weights, gradients, momentum, moving average
PREDICTION = (35, 4)  # bytes of a predicted row in Parquet, and beside them for each class
LABEL = 24  # bytes of an accepted label in the store


@dataclass(frozen=True)
class Training:
    """What a training takes here, from a few timed steps, with everything that was left open chosen.

    Where teachers are compared, there are no steps to time, and ``seconds`` is what all of it may take.
    """

    method: str
    network: str
    device: str
    steps_per_second: float
    seconds: float  # of the whole training
    steps: int
    passes: float  # how often each row of the pool is seen; 0 where the method needs none
    baseline: bool  # whether ``seconds`` hold a baseline's training too


@dataclass(frozen=True)
class Space:
    """Bytes by what they are for; in memory while training, and on disk in the workspace."""

    memory: Mapping[str, int]
    disk: Mapping[str, int]


@dataclass(frozen=True)
class PlanOutcome:
    """What is known beforehand. ``training`` is None where there is nothing to train on."""

    roles: Mapping[str, int]
    promise: Promise
    evidence: Evidence
    verdict: Verdict
    training: Training | None
    space: Space
    rows: RowCount
    next_command: str = NEXT


def plan(workspace: str | Path, config: PlanConfig | None = None, *, listener: Listener = SILENCE) -> PlanOutcome:
    """Tell what a promise costs, whether pseudo-labels will likely help, and the time, memory and disk of a training.

    Raises:
        InputError: nothing was ingested, or the decoded inputs and their sources are gone.
        UsageError: a name or value of ``config`` is unknown or out of bounds.
    """
    config = config or PlanConfig()
    place = find(Path(workspace))
    store = open_store(place)
    check(config.train)
    shape = datasets.input_shape(store)
    assert shape is not None, "a workspace has samples"
    config = replace(config, train=settled(config.train, shape))
    compared = field_of(config.train, shape)
    if compared is None:
        refuse_unneeded(config.train, make(config.train.method, config.train.settings))  # before any work
    task = _Task.read(store)
    evidence = _evidence(place, task, config, listener)
    room = _room(place, task, config, listener) if compared is None else None
    training = _training(room, listener) if room else None
    if compared is not None and len(task.train):
        training = _comparison(compared, config)
    return PlanOutcome(
        roles=task.roles,
        promise=promise(
            config.precision,
            config.confidence,
            calibration=samples.units(store, task.hidden),
            pool=len(task.pool) or None,
            look=certificates.next_look(store),
        ),
        evidence=evidence,
        verdict=judge(evidence, task.classes),
        training=training,
        space=_space(task, room),
        rows=RowCount(given=sum(task.roles.values()), labeled=task.labeled, abstained=len(task.pool)),
    )


@dataclass(frozen=True)
class _Task:
    """What there is to learn from."""

    store: Store
    classes: tuple[str, ...]
    train: LabeledSamples
    validation: LabeledSamples
    hidden: SampleNumbers  # the calibration inputs
    pool: SampleNumbers

    @classmethod
    def read(cls, store: Store) -> _Task:
        train, validation = samples.given(store, "train"), samples.given(store, "validation")
        hidden, pool = samples.calibration_inputs(store), samples.pool(store)
        return cls(store, samples.class_names(store), train, validation, hidden, pool)

    @property
    def roles(self) -> dict[str, int]:
        sizes = (len(self.train), len(self.validation), len(self.hidden), len(self.pool))
        return dict(zip(("train", "validation", "calibration", "pool"), sizes, strict=True))

    @property
    def labeled(self) -> int:
        return len(self.train) + len(self.validation) + len(self.hidden)


def _evidence(place: Workspace, task: _Task, config: PlanConfig, listener: Listener) -> Evidence:
    """Measure a random sample of the labels that training may see, and one of the pool."""
    rng = np.random.default_rng(config.train.seed)
    numbers = np.concatenate([task.train.numbers, task.validation.numbers])
    classes = np.concatenate([task.train.classes, task.validation.classes])
    chosen = np.sort(rng.permutation(len(numbers))[:LABELS])
    if len(chosen) < len(numbers):
        listener.note(f"the learning curve is of {len(chosen):,} labels, drawn from {len(numbers):,}")
    numbers, classes = numbers[chosen], classes[chosen]
    some = np.sort(rng.permutation(task.pool)[:POOL])
    listener.note(f"looking at {len(numbers):,} labeled rows and {len(some):,} of the pool")
    shown = np.concatenate([numbers, some])
    rows = rows_to_ask(place, task.store, shown, device=config.train.device) if len(shown) else None
    features = plain_features(rows, seed=config.train.seed) if rows else np.empty((0, 1), np.float32)
    return gather(
        features[: len(numbers)],
        classes,
        features[len(numbers) :],
        class_count=len(task.classes),
        precision=config.precision,
        seed=config.train.seed,
    )


def _room(place: Workspace, task: _Task, config: PlanConfig, listener: Listener) -> Room | None:
    """Prepare the training that ``train`` would do, without a run."""
    if not len(task.train):
        return None
    pool = np.union1d(task.pool, task.hidden)
    method = make(config.train.method, config.train.settings)
    unseen = pool if len(pool) else task.train.numbers
    compared = is_wanted(task.store, config.train, method, listener)
    share = TEACHERS_SHARE if compared else 1.0
    if is_spread(task.store, config.train, task.train, unseen):
        listener.note(f"{len(task.train):,} labels are few: half of the time goes to spreading them over the pool")
        share *= 1 - SHARE
    assignment = Assignment(
        "teacher",
        config.train.method,
        method,
        task.train,
        unseen,
        config.train,
        budget_share=share,
    )
    if method.needs_teacher:
        assignment = foreseen(place, assignment, listener)
    return enter(Session(place, task.store, new_id()), assignment, listener)


def _training(room: Room, listener: Listener) -> Training:
    """Time a few steps."""
    config, method = room.assignment.config, room.assignment.method
    listener.note(f"timing {config.method} with {room.network} on {room.device} for {PROBED:g} seconds")
    lesson = room.lesson()
    each = seconds_per_step(PROBED, room.make_network, lesson, Plan(method, 1, config.seed, room.device))
    share = room.assignment.budget_share
    steps = int(config.seconds * share / each) if config.seconds is not None else config.steps or 0
    pool_rows = len(room.assignment.pool) if method.needs_pool else 0
    return Training(
        method=config.method,
        network=room.network,
        device=str(room.device),
        steps_per_second=1 / each,
        seconds=config.seconds if config.seconds is not None else steps * each / share,
        steps=steps,
        passes=steps * method.recipe.pool_batch / pool_rows if pool_rows else 0.0,
        baseline=share < 1,
    )


def _comparison(compared: Field, config: PlanConfig) -> Training:
    """Return what a comparison of teachers may take."""
    seconds = SECONDS if config.train.budget is None else config.train.budget
    return Training(config.train.method, ", ".join(compared.teachers), "cpu", 0.0, seconds, 0, 0.0, baseline=False)


def _space(task: _Task, room: Room | None) -> Space:
    """Estimate what is needed of memory and disk, from row counts and sizes."""
    shown = len(task.pool) + len(task.hidden)
    disk = {
        "decoded inputs": sum(version.rows * version.shape.bytes for version in datasets.datasets(task.store)),
        "predictions of the pool": shown * (PREDICTION[0] + PREDICTION[1] * len(task.classes)),
        "labels of the pool": len(task.pool) * LABEL,
    }
    if room is None:
        return Space({}, disk)
    network = room.make_network().to(room.device)
    weights = sum(value.nbytes for value in network.state_dict().values())
    shape, recipe = room.inputs.shape, room.assignment.method.recipe
    in_pool = recipe.pool_batch if room.assignment.method.needs_pool else 0
    blank = as_networks_see(shape, room.device)(torch.zeros(2, *shape.sides, dtype=getattr(torch, shape.dtype)))
    each = kept_bytes(network, blank) // len(blank)
    inputs = len(task.train) + len(task.validation) + (shown if in_pool else 0)
    views = recipe.labeled_batch + in_pool * len(room.assignment.method.pool_views)
    memory = {
        "decoded inputs": inputs * shape.bytes,
        "network": COPIES * weights,
        "batch": (recipe.labeled_batch + in_pool) * each + views * shape.bytes * 4,
    }
    return Space(memory, {**disk, "weights": weights})
