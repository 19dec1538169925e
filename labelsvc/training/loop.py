"""The loop: draw a batch, ask the method for its loss, step, follow with the average.

A training is a generator that pauses after every interval of steps and hands out what it measured, so that whoever
runs it may show progress, keep weights, or stop. It reads no clock and no file, and all its randomness comes from
the plan's seed: the same plan on the same CPU and thread count gives the same weights, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labelsvc.errors import UsageError
from labelsvc.methods.contract import Batch, Course, Losses, Memory, Method, Networks, Problem
from labelsvc.networks import PictureClassifier
from labelsvc.optim.average import Average
from labelsvc.optim.optimiser import Optimiser
from labelsvc.optim.precision import autocast, find_dtype
from labelsvc.training.rows import Rows, Shuffle, mixed
from labelsvc.views import Views


@dataclass(frozen=True)
class Lesson:
    """What a network learns from: labeled rows with their classes, the pool, and how to view them."""

    labeled: Rows
    classes: Int[Tensor, " labeled"]
    pool: Rows | None
    views: Views
    prior: Float[Tensor, " classes"]

    def course(self, method: Method, steps: int) -> Course:
        """Return how long a training of ``steps`` steps is, as a method sees it."""
        pool = self.pool if method.needs_pool else None
        return Course(len(self.labeled), len(pool or ()), steps)


@dataclass(frozen=True)
class Plan:
    """How long and how to train."""

    method: Method
    steps: int
    seed: int
    device: torch.device
    pauses: frozenset[int] = field(default_factory=frozenset)  # steps done after which the loop hands out


@dataclass
class State:
    """All that changes while training."""

    model: PictureClassifier
    average: Average
    optimiser: Optimiser
    memory: Memory
    generator: torch.Generator
    step: int = 0

    @property
    def networks(self) -> Networks:
        """The networks as methods see them."""
        return Networks(self.model, self.average.network)


@dataclass(frozen=True)
class Interval:
    """What was measured since the last pause: means over the steps that had a figure."""

    step: int
    figures: Mapping[str, float]


def begin(network: PictureClassifier, lesson: Lesson, plan: Plan) -> State:
    """Return the state before the first step; ``network`` is moved to the device and trained in place.

    Raises:
        UsageError: there is nothing labeled, or the method needs a pool and there is none.
    """
    if len(lesson.labeled) == 0:
        raise UsageError("there are no labeled rows to train on; ingest a file with a label column")
    if plan.method.needs_pool and (lesson.pool is None or len(lesson.pool) == 0):
        raise UsageError("this method learns from a pool and there is none; ingest unlabeled rows")
    model = network.to(plan.device).train()
    generator = torch.Generator(device=plan.device).manual_seed(plan.seed)
    memory = plan.method.init(Problem(lesson.prior.to(plan.device)))
    average = Average(model, plan.method.recipe.ema_decay)
    return State(model, average, Optimiser(model, plan.method.recipe), memory, generator)


def run(state: State, lesson: Lesson, plan: Plan) -> Iterator[Interval]:
    """Step until the plan's end, pausing after each step in ``plan.pauses`` and after the last."""
    sampler = Sampler(lesson, plan)
    measured = _Measured()
    while state.step < plan.steps:
        losses = take_step(state, sampler.draw(state.step, state.generator), plan)
        measured.add(losses)
        if state.step in plan.pauses or state.step == plan.steps:
            yield Interval(state.step, measured.take())


def take_step(state: State, batch: Batch, plan: Plan) -> Losses:
    """Take one step on a batch: loss, descent, average."""
    progress = state.step / plan.steps
    with _dropout(plan, state.step), autocast(plan.device, find_dtype(plan.device)):
        losses, state.memory = plan.method.loss(state.networks, state.memory, batch, progress)
    state.optimiser.step(losses.total, progress)
    state.average.update(state.step)
    state.step += 1
    return losses


@contextmanager
def _dropout(plan: Plan, step: int) -> Iterator[None]:
    """Let dropout, which draws from torch's global generators, depend on nothing but the seed and the step."""
    on_cuda = plan.device.type == "cuda"
    with torch.random.fork_rng([plan.device] if on_cuda else []):
        if on_cuda:
            torch.cuda.manual_seed(mixed(plan.seed, step))
        else:
            torch.default_generator.manual_seed(mixed(plan.seed, step))  # torch.manual_seed costs a quarter of a ms
        yield


class Sampler:
    """Batches by step number: shuffled labeled rows, shuffled pool rows, and their views."""

    def __init__(self, lesson: Lesson, plan: Plan) -> None:
        self._lesson = lesson
        self._method = plan.method
        self._pool = lesson.pool if plan.method.needs_pool else None
        self._course = lesson.course(plan.method, plan.steps)
        self._labeled_view = lesson.views.strong if plan.method.labeled_view == "strong" else lesson.views.weak
        self._labeled_order = Shuffle(self._course.labeled, plan.seed)
        self._pool_order = Shuffle(self._course.pool, plan.seed + 1)

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Return the batch of a step: the rows by the step's number, their views by the generator."""
        turn = self._method.turn(step, self._course)
        index = self._labeled_order.take(turn.labeled)
        labeled = self._lesson.labeled.take(index)
        if len(index):
            labeled = self._labeled_view(labeled, generator)
        classes = self._lesson.classes[index].to(labeled.device, non_blocking=True)
        if self._pool is None or not turn.pool:
            return Batch(labeled, classes, pool_weight=turn.pool_weight)
        pool = self._pool.take(self._pool_order.take(turn.pool))
        weak = self._lesson.views.weak(pool, generator)
        strong = self._lesson.views.strong(pool, generator) if self._method.needs_strong else None
        return Batch(labeled, classes, weak, strong, turn.pool_weight)


class _Measured:
    """Sums of the figures since the last pause; they stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps: Counter[str] = Counter()

    def add(self, losses: Losses) -> None:
        for name, value in {"loss": losses.total.detach(), **losses.figures}.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._steps[name] += 1

    def take(self) -> dict[str, float]:
        means = {name: float(value) / self._steps[name] for name, value in self._sums.items()}
        self._sums, self._steps = {}, Counter()
        return means
