"""The loop: draw a batch, ask the method for its loss, step, follow with the average.

A training is a generator that pauses after every interval of steps and hands out what it measured, so that whoever
runs it may show progress, keep weights, or stop. It reads no clock and no file, and all its randomness comes from
the plan's seed: the same plan on the same CPU and thread count gives the same weights, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from labelsvc.errors import UsageError
from labelsvc.methods.contract import (
    Batch,
    Learner,
    Losses,
    Memory,
    Method,
    Moment,
    Networks,
    PairedMethod,
    Problem,
)
from labelsvc.networks import Classifier
from labelsvc.optim.average import Average
from labelsvc.optim.optimiser import Optimiser
from labelsvc.optim.precision import autocast, find_dtype
from labelsvc.training.lesson import Lesson, Sampler
from labelsvc.training.rows import mixed

MakeNetwork = Callable[[int], Classifier]  # number 0 is the network that is trained, number 1 a partner's


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

    student: Learner
    average: Average
    partner: Learner | None
    memory: Memory
    generator: torch.Generator
    step: int = 0

    @property
    def networks(self) -> Networks:
        """The networks as methods see them."""
        return Networks(self.student.network, self.average.network)


@dataclass(frozen=True)
class Interval:
    """What was measured since the last pause: means over the steps that had a figure."""

    step: int
    figures: Mapping[str, float]


def begin(make_network: MakeNetwork, lesson: Lesson, plan: Plan) -> State:
    """Return the state before the first step.

    Raises:
        UsageError: there is nothing labeled, or the method needs a pool, a stored teacher's words of it, or rows to
            hold out, and there are none.
    """
    method = plan.method
    if len(lesson.labeled) == 0:
        raise UsageError("there are no labeled rows to train on; ingest a file with a label column")
    if method.needs_pool and (lesson.pool is None or len(lesson.pool) == 0):
        raise UsageError("this method learns from a pool and there is none; ingest unlabeled rows")
    if method.needs_teacher and lesson.targets is None:
        raise UsageError("this method learns from a stored teacher and there is none; give --teacher MODEL")
    if method.held_out_share and not lesson.course(method, plan.steps).held_out:
        raise UsageError(
            f"holdout={method.held_out_share:g} keeps none of {len(lesson.labeled)} labeled rows, as no class may lose "
            "its last; bring more labels, or choose another method or form"
        )
    network = make_network(0).to(plan.device).train()
    problem = Problem(lesson.prior.to(plan.device), len(lesson.pool or ()))
    generator = torch.Generator(device=plan.device).manual_seed(plan.seed)
    return State(
        Learner(network, Optimiser(network, method.recipe)),
        Average(network, method.recipe.ema_decay),
        _partner(make_network, problem, plan),
        method.init(problem),
        generator,
    )


def _partner(make_network: MakeNetwork, problem: Problem, plan: Plan) -> Learner | None:
    if not isinstance(plan.method, PairedMethod):
        return None
    with torch.random.fork_rng():
        torch.manual_seed(mixed(plan.seed, 1))
        network = plan.method.partner(lambda: make_network(1), problem).to(plan.device).train()
    return Learner(network, Optimiser(network, plan.method.partner_recipe))


def run(state: State, lesson: Lesson, plan: Plan) -> Iterator[Interval]:
    """Step until the plan's end, pausing after each step in ``plan.pauses`` and after the last."""
    sampler = Sampler(lesson, plan.method, steps=plan.steps, seed=plan.seed)
    measured = _Measured()
    while state.step < plan.steps:
        losses = take_step(state, sampler.draw(state.step, state.generator), plan)
        measured.add(losses)
        if state.step in plan.pauses or state.step == plan.steps:
            yield Interval(state.step, measured.take())


def trained(make_network: MakeNetwork, lesson: Lesson, plan: Plan) -> Classifier:
    """Return the averaged network after all steps, of a training in passing, of which nothing else is kept."""
    state = begin(make_network, lesson, plan)
    for _ in run(state, lesson, plan):
        pass
    network = state.average.network
    assert isinstance(network, Classifier)
    return network.eval()


def take_step(state: State, batch: Batch, plan: Plan) -> Losses:
    """Take one step on a batch: loss, descent, average."""
    moment = Moment(state.step / plan.steps, state.generator)
    with _dropout(plan, state.step), autocast(plan.device, find_dtype(plan.device)):
        losses = _descend(state, batch, moment, plan.method)
    state.average.update(state.step)
    state.step += 1
    return losses


def _descend(state: State, batch: Batch, moment: Moment, method: Method) -> Losses:
    if isinstance(method, PairedMethod):
        assert state.partner is not None, "begin made one"
        losses, state.memory = method.step(state.student, state.partner, state.memory, batch, moment)
        return losses
    losses, state.memory = method.loss(state.networks, state.memory, batch, moment)
    state.student.optimiser.step(losses.total, moment.progress)
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
