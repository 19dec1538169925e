"""What a method is given and what it gives back. Methods know nothing of devices, files, views or optimisers.

A method is a frozen dataclass of its paper's hyper-parameters with a ``recipe`` for the optimiser. Its memory is a
frozen record of tensors (running thresholds, priors) that travels from step to step and is saved with a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jaxtyping import Float, Int
from torch import Tensor, nn

from labelsvc.optim.recipe import Recipe

Memory = Any  # each method's own frozen record


@dataclass(frozen=True)
class Problem:
    """What is known before the first step: how often each class occurs where labels are drawn from."""

    prior: Float[Tensor, " classes"]


@dataclass(frozen=True)
class Course:
    """How long a training is: the rows that there are to learn from, and the steps that will be taken."""

    labeled: int
    pool: int
    steps: int


@dataclass(frozen=True)
class Turn:
    """Which rows a step takes: places in an endless sequence of shuffled rows, where ``n`` places are an epoch of n.

    ``pool_weight`` is how much the pool counts by the method's schedule.
    """

    labeled: range
    pool: range
    pool_weight: float = 1.0


@dataclass(frozen=True)
class Networks:
    """The network that is stepped, and the moving average of its weights."""

    model: nn.Module
    average: nn.Module


@dataclass(frozen=True)
class Batch:
    """The rows of one step. ``weak`` and ``strong`` are two views of the same pool rows, None where it takes none.

    ``labeled`` may hold no rows at all; ``pool_weight`` is the turn's.
    """

    labeled: Float[Tensor, "labeled ..."]
    classes: Int[Tensor, " labeled"]
    weak: Float[Tensor, "pool ..."] | None = None
    strong: Float[Tensor, "pool ..."] | None = None
    pool_weight: float = 1.0


@dataclass(frozen=True)
class Losses:
    """What a step is taken on, and the figures worth a curve, all means over the batch."""

    total: Float[Tensor, ""]
    figures: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)


class Method(Protocol):
    """One paper's way to learn from labeled rows and a pool."""

    @property
    def recipe(self) -> Recipe:
        """How its network is stepped."""

    @property
    def needs_pool(self) -> bool:
        """Whether it learns from rows without labels."""

    @property
    def labeled_view(self) -> str:
        """The view in which it sees labeled rows: weak or strong."""

    @property
    def needs_strong(self) -> bool:
        """Whether it wants a strong view of pool rows, beside the weak one."""

    def turn(self, step: int, course: Course) -> Turn:
        """Return what a step learns from, as a pure function of its number; most take ``both_at_once``."""

    def published_steps(self, course: Course) -> int | None:
        """Return how many steps its published schedule takes on so many rows, None where it has no length."""

    def init(self, problem: Problem) -> Memory:
        """Return the memory before the first step."""

    def loss(self, networks: Networks, memory: Memory, batch: Batch, progress: float) -> tuple[Losses, Memory]:
        """Return the losses of a step and the memory after it; ``progress`` runs from 0 to 1."""


def both_at_once(recipe: Recipe, step: int) -> Turn:
    """Return the turn of a method that takes a labeled batch and a pool batch at every step."""
    labeled, pool = recipe.labeled_batch, recipe.pool_batch
    return Turn(range(step * labeled, (step + 1) * labeled), range(step * pool, (step + 1) * pool))
