"""What train and distill do alike: fit one network to labeled rows and a pool, keep its weights and its curves."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from labelsvc import networks, views
from labelsvc.config import TrainConfig
from labelsvc.data.inputs import Inputs
from labelsvc.errors import LabelsvcError
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._session import Session
from labelsvc.labeling.calibrate import fit_temperature, match_temperature
from labelsvc.methods.contract import Method
from labelsvc.networks import PictureClassifier, weights
from labelsvc.records import (
    LabeledSamples,
    Listener,
    MetricPoint,
    Model,
    ModelRole,
    Preprocessing,
    Progress,
    SampleNumbers,
)
from labelsvc.store import models, runs, samples
from labelsvc.store.identifiers import new_id
from labelsvc.training.checkpoint import load, save
from labelsvc.training.device import find_device, prepare
from labelsvc.training.loop import Interval, Lesson, Plan, State, begin, run
from labelsvc.training.predict import logits_of
from labelsvc.training.probe import steps_for
from labelsvc.training.rows import Rows, open_rows
from labelsvc.workspace import written_beside

RESOLVED = "config.json"  # of a run: its config with everything that was left open
REPORTS = 100  # how often a training says how far it is
LONGEST_INTERVAL = 500  # steps, between two such moments, and so between two checkpoints
CHECKPOINT_SECONDS = 2.0  # between two checkpoints, at least
CHECKPOINT_SHARE = 0.02  # of the time that checkpoints may take
EXAMS = 20  # how often it is measured on validation rows
CURVES = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64()), ("round", pa.int32())])
STATISTICS_ROWS = 4096  # from which the inputs' mean and deviation are taken


@dataclass(frozen=True)
class Assignment:
    """What a network is to learn, and as whose successor."""

    role: ModelRole
    method_name: str
    method: Method
    labeled: LabeledSamples
    pool: SampleNumbers
    config: TrainConfig
    parent_id: str | None = None
    round: int = 1
    elder: tuple[SampleNumbers, NDArray[np.float64]] | None = None  # its parent's probabilities of some samples


def teach(session: Session, assignment: Assignment, listener: Listener) -> Model:
    """Train as assigned, keep weights and curves in the run's folder, and return the recorded model.

    A run that was interrupted goes on from its last checkpoint, with the steps that it was planned with.
    """
    known = models.by_run(session.store, session.run_id) if session.resumed else ()
    if known:  # interrupted between its last write and its end
        return _concluded(session, known[-1], _planned_before(session) or 0)
    checkpoint = session.workspace.checkpoint_path(session.run_id)
    room = _prepare(session, assignment, listener)
    lesson = room.lesson()
    plan = _plan(room, lesson)
    _write_resolved(room, plan)
    session.outcome = {"steps": plan.steps}
    state = begin(room.make_network(), lesson, plan)
    points = load(state, checkpoint) if checkpoint.exists() else []
    listener.note(_opening(room, lesson, plan, done=state.step))
    _follow(room, state, lesson, plan, points)
    _write_curves(room, points)
    runs.add_metrics(session.store, session.run_id, points)
    return _concluded(session, _keep(room, state), plan.steps)


def _concluded(session: Session, model: Model, steps: int) -> Model:
    session.stop_reason = f"all {steps:,} steps done"
    session.outcome = {"steps": steps, "model": model.model_id}
    session.workspace.checkpoint_path(session.run_id).unlink(missing_ok=True)
    return model


@dataclass(frozen=True)
class _Room:
    """The prepared place of a training: what it learns from, and how the network is made."""

    session: Session
    assignment: Assignment
    listener: Listener
    device: torch.device
    inputs: Inputs
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    validation: LabeledSamples
    network: str
    views: str

    def make_network(self) -> PictureClassifier:
        return networks.build(self.network, self.preprocessing, len(self.classes), seed=self.assignment.config.seed)

    def rows(self, numbers: SampleNumbers) -> Rows:
        return open_rows(numbers, self.inputs, self.device, self.inputs.shape.values)

    @cached_property
    def exam(self) -> Rows:
        return self.rows(self.validation.numbers)

    def lesson(self) -> Lesson:
        labeled = self.assignment.labeled
        counts = np.bincount(labeled.classes, minlength=len(self.classes))
        prior = np.ones_like(counts) if self.assignment.config.balanced else counts
        return Lesson(
            labeled=self.rows(labeled.numbers),
            classes=torch.from_numpy(labeled.classes.astype(np.int64)),
            pool=self.rows(self.assignment.pool) if self.assignment.method.needs_pool else None,
            views=views.find(self.views),
            prior=torch.from_numpy(prior / max(prior.sum(), 1)).float(),
        )


def _prepare(session: Session, assignment: Assignment, listener: Listener) -> _Room:
    config = assignment.config
    device = find_device(config.device)
    prepare(device)
    validation = samples.given(session.store, "validation")
    parts = [assignment.labeled.numbers, assignment.pool, validation.numbers]
    parts += [assignment.elder[0]] if assignment.elder else []
    numbers = np.unique(np.concatenate(parts))
    inputs = open_inputs(session.workspace, session.store, numbers)
    network, view = config.network, config.views
    if network == "auto":
        choice = networks.choose(inputs.shape, device, config.seconds)
        network = choice.name
        listener.note(f"network {network}: {choice.reason}")
    if view == "auto":
        view, reason = views.choose(inputs.shape)
        listener.note(f"views {view}: {reason}")
    return _Room(
        session,
        assignment,
        listener,
        device,
        inputs,
        _preprocessing(network, inputs, numbers, config.seed),
        samples.class_names(session.store),
        validation,
        network,
        view,
    )


def _preprocessing(network: str, inputs: Inputs, numbers: SampleNumbers, seed: int) -> Preprocessing:
    """Measure mean and deviation per channel, in units of [0, 1], on a few thousand inputs."""
    if network in networks.SCALING_ITSELF:
        channels = inputs.shape.channels
        return Preprocessing(inputs.shape, (0.0,) * channels, (1.0,) * channels)
    some = np.random.default_rng(seed).permutation(numbers)[:STATISTICS_ROWS]
    pixels = inputs.gather(some).reshape(-1, inputs.shape.channels) / 255.0
    mean, std = pixels.mean(axis=0), pixels.std(axis=0).clip(min=1e-3)
    return Preprocessing(inputs.shape, tuple(map(float, mean)), tuple(map(float, std)))


def _plan(room: _Room, lesson: Lesson) -> Plan:
    config, method = room.assignment.config, room.assignment.method
    steps = _planned_before(room.session) if room.session.resumed else None
    if steps is None and config.seconds is not None:
        steps = steps_for(config.seconds, room.make_network, lesson, Plan(method, 1, config.seed, room.device))
    steps = config.steps or 0 if steps is None else steps
    pauses = _spread(steps, max(REPORTS, steps // LONGEST_INTERVAL)) | _spread(steps, config.keep_moments)
    return Plan(method, steps, config.seed, room.device, pauses)


def _planned_before(session: Session) -> int | None:
    """Return how many steps an interrupted run was planned with, None where it did not come that far."""
    resolved = session.folder / RESOLVED
    return int(json.loads(resolved.read_text(encoding="utf-8"))["steps"]) if resolved.exists() else None


def _opening(room: _Room, lesson: Lesson, plan: Plan, *, done: int) -> str:
    if done:
        return f"going on with run {room.session.run_id} at step {done:,} of {plan.steps:,}"
    said = f"{plan.steps:,} steps of {room.assignment.method_name} with {room.network} on {room.device}"
    published = plan.method.published_steps(lesson.course(plan.method, plan.steps))
    if published is None or published == plan.steps:
        return said
    return f"{said}; the schedule of {published:,} steps, as published, is scaled by {plan.steps / published:.3g}"


def _spread(steps: int, count: int) -> frozenset[int]:
    """Return up to ``count`` step numbers spread evenly, the last one among them."""
    return frozenset(round(steps * (place + 1) / count) for place in range(count)) - {0}


def _write_resolved(room: _Room, plan: Plan) -> None:
    assignment = room.assignment
    resolved = {
        **asdict(assignment.config),
        "steps": plan.steps,
        "network": room.network,
        "views": room.views,
        "device": str(room.device),
        "method": {"name": assignment.method_name, **asdict(assignment.method)},  # type: ignore[call-overload]
        "labeled": len(assignment.labeled),
        "pool": len(assignment.pool),
    }
    with written_beside(room.session.folder / RESOLVED) as partial:
        partial.write_text(json.dumps(resolved, indent=2, sort_keys=True), encoding="utf-8")


def _follow(room: _Room, state: State, lesson: Lesson, plan: Plan, points: list[MetricPoint]) -> None:
    """Train to the end, showing how it goes, keeping moments and checkpoints, and adding to the curves."""
    moments = _spread(plan.steps, room.assignment.config.keep_moments)
    exams = _spread(plan.steps, EXAMS) if len(room.validation) else frozenset()
    clock = _Clock(state.step)
    checkpoint = room.session.workspace.checkpoint_path(room.session.run_id)
    for interval in run(state, lesson, plan):
        figures = dict(interval.figures)
        if not math.isfinite(figures["loss"]):
            checkpoint.unlink(missing_ok=True)
            raise LabelsvcError(
                f"the training diverged: by step {interval.step:,} its loss is {figures['loss']}; "
                "nothing was kept, try a smaller --set learning_rate"
            )
        if interval.step in exams:
            figures["validation accuracy"] = _exam_accuracy(room, state)
        if interval.step in moments:
            path = room.session.folder / "moments" / f"step-{interval.step:09d}.safetensors"
            weights.save(state.average.network, path)
        points += [MetricPoint(interval.step, name, value) for name, value in figures.items()]
        room.listener.progress(_progress(room, interval, plan, rate=clock.rate(interval.step)))
        if clock.is_due() or interval.step == plan.steps:
            with clock.keeping():
                save(state, points, checkpoint)


class _Clock:
    """When the last checkpoint was kept, and how fast it goes; nothing that is trained depends on it."""

    def __init__(self, first_step: int) -> None:
        self._first_step = first_step
        self._started = self._kept = time.monotonic()
        self._pause = CHECKPOINT_SECONDS

    def rate(self, step: int) -> float:
        """Return steps per second since the start."""
        return (step - self._first_step) / max(time.monotonic() - self._started, 1e-9)

    def is_due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        return time.monotonic() - self._kept >= self._pause

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Time the writing of a checkpoint, so that the next one waits its share."""
        started = time.monotonic()
        yield
        self._kept = time.monotonic()
        self._pause = max(CHECKPOINT_SECONDS, (self._kept - started) / CHECKPOINT_SHARE)


def _write_curves(room: _Room, points: Sequence[MetricPoint]) -> None:
    """Keep the curves beside the weights, before the store is asked to take them."""
    with written_beside(room.session.folder / "metrics.parquet") as partial:
        pq.write_table(pa.Table.from_pylist([asdict(point) for point in points], schema=CURVES), partial)


def _exam_accuracy(room: _Room, state: State) -> float:
    answers = logits_of(state.average.network, room.exam).argmax(axis=1)
    return float((answers == room.validation.classes).mean())


def _progress(room: _Room, interval: Interval, plan: Plan, *, rate: float) -> Progress:
    recipe = plan.method.recipe
    rows = recipe.labeled_batch + (recipe.pool_batch if plan.method.needs_pool else 0)
    facts = {"loss": f"{interval.figures['loss']:.3f}"}
    if "used" in interval.figures:
        facts["pool used"] = f"{interval.figures['used']:.0%}"
    facts["rows/s"] = f"{rate * rows:,.0f}"
    return Progress(f"train {room.assignment.role}", interval.step, plan.steps, "steps", facts)


def _temperature(room: _Room, state: State) -> tuple[float, str]:
    """Return the temperature, and where it is from: validation rows, else the parent's scale, else nowhere."""
    elder = room.assignment.elder
    if len(room.validation):
        logits = logits_of(state.average.network, room.exam)
        return fit_temperature(logits, room.validation.classes), f"fitted on {len(room.validation)} validation rows"
    if elder is not None and len(elder[0]):
        logits = logits_of(state.average.network, room.rows(elder[0]))
        origin = f"as sure as its teacher on {len(elder[0]):,} inputs; no validation rows, so uncalibrated"
        return match_temperature(logits, elder[1]), origin
    return 1.0, "no validation rows, the confidence is uncalibrated"


def _keep(room: _Room, state: State) -> Model:
    """Write the averaged weights, calibrate them where there are validation rows, and record the model."""
    session, assignment = room.session, room.assignment
    path = session.folder / f"{assignment.role}.safetensors"
    sha256 = weights.save(state.average.network, path)
    temperature, origin = _temperature(room, state)
    room.listener.note(f"temperature {temperature:.3f}: {origin}")
    model = Model(
        model_id=new_id(),
        run_id=session.run_id,
        role=assignment.role,
        method=assignment.method_name,
        network=room.network,
        path=session.workspace.relative(path),
        sha256=sha256,
        classes=room.classes,
        preprocessing=room.preprocessing,
        temperature=temperature,
        calibrated=len(room.validation) > 0,
        parent_id=assignment.parent_id,
        round=assignment.round,
    )
    models.add(session.store, model)
    return model
