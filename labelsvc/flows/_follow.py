"""A training from its next step to its last: what is shown, measured, kept and noticed at every pause.

Nothing that is trained depends on it: the clock decides only when a checkpoint is written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from labelsvc.errors import LabelsvcError
from labelsvc.flows._room import Room
from labelsvc.networks import weights
from labelsvc.records import MetricPoint, Progress
from labelsvc.training.checkpoint import save
from labelsvc.training.lesson import Lesson
from labelsvc.training.loop import Interval, Plan, State, run
from labelsvc.training.predict import logits_of
from labelsvc.training.watch import Watch

REPORTS = 100  # how often a training says how far it is
LONGEST_INTERVAL = 500  # steps, between two such moments, and so between two checkpoints
CHECKPOINT_SECONDS = 2.0  # between two checkpoints, at least
CHECKPOINT_SHARE = 0.02  # of the time that checkpoints may take
EXAMS = 20  # how often it is measured on validation rows


def pauses(steps: int, keep_moments: int) -> frozenset[int]:
    """Return the steps after which a training of ``steps`` steps is looked at."""
    return _spread(steps, max(REPORTS, steps // LONGEST_INTERVAL)) | _spread(steps, keep_moments)


def follow(room: Room, state: State, lesson: Lesson, plan: Plan, points: list[MetricPoint]) -> None:
    """Train to the end, showing how it goes, keeping moments and checkpoints, and adding to the curves.

    Raises:
        LabelsvcError: the training diverged.
    """
    moments = _spread(plan.steps, room.assignment.config.keep_moments)
    exams = _spread(plan.steps, EXAMS) if len(room.validation) else frozenset()
    clock, watch = _Clock(state.step), _watch(room, lesson, plan, points)
    checkpoint = room.session.workspace.checkpoint_path(room.session.run_id)
    for interval in run(state, lesson, plan):
        _refuse_divergence(interval, checkpoint)
        figures = dict(interval.figures)
        if interval.step in exams:
            figures["validation accuracy"] = _exam_accuracy(room, state)
        if interval.step in moments:
            path = room.session.folder / "moments" / f"step-{interval.step:09d}.safetensors"
            weights.save(state.average.network, path)
        points += [MetricPoint(interval.step, name, value) for name, value in figures.items()]
        room.listener.progress(_progress(room, interval, plan, rate=clock.rate(interval.step)))
        _heed(room, watch.see(interval))
        if clock.is_due() or interval.step == plan.steps:
            with clock.keeping():
                save(state, points, checkpoint)


def _refuse_divergence(interval: Interval, checkpoint: Path) -> None:
    loss = interval.figures["loss"]
    if not math.isfinite(loss):
        checkpoint.unlink(missing_ok=True)
        raise LabelsvcError(
            f"the training diverged: by step {interval.step:,} its loss is {loss}; "
            "nothing was kept, try a smaller --set learning_rate"
        )


def _watch(room: Room, lesson: Lesson, plan: Plan, points: list[MetricPoint]) -> Watch:
    """Return a watch that has seen the curves of what was trained before an interruption."""
    watch = Watch(plan.steps, plan.method.recipe.pool_batch, expected=float(lesson.prior.max()))
    for step, group in groupby(points, key=lambda point: point.step):
        _heed(room, watch.see(Interval(step, {point.name: point.value for point in group})))
    return watch


def _heed(room: Room, finding: str | None) -> None:
    """Tell the listener of a collapse, and have the run remember it."""
    if finding is not None:
        room.session.outcome["collapse"] = finding
        room.listener.note(finding)


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


def _spread(steps: int, count: int) -> frozenset[int]:
    """Return up to ``count`` step numbers spread evenly, the last one among them."""
    return frozenset(round(steps * (place + 1) / count) for place in range(count)) - {0}


def _exam_accuracy(room: Room, state: State) -> float:
    answers = logits_of(state.average.network, room.exam).argmax(axis=1)
    return float((answers == room.validation.classes).mean())


def _progress(room: Room, interval: Interval, plan: Plan, *, rate: float) -> Progress:
    recipe = plan.method.recipe
    rows = recipe.labeled_batch + (recipe.pool_batch if plan.method.needs_pool else 0)
    facts = {"loss": f"{interval.figures['loss']:.3f}"}
    if "used" in interval.figures:
        facts["pool used"] = f"{interval.figures['used']:.0%}"
    facts["rows/s"] = f"{rate * rows:,.0f}"
    return Progress(f"train {room.assignment.name}", interval.step, plan.steps, "steps", facts)
