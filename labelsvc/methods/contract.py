"""What a method is given and what it gives back. Methods know nothing of devices, files or how views are made.

A method is a frozen dataclass of its paper's hyper-parameters with a ``recipe`` for the optimiser. Its memory is a
frozen record of tensors (running thresholds, priors) that travels from step to step and is saved with a run. Most
methods give a ``loss``, which the loop steps on; one that trains a partner beside its network gives ``step`` itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from labelsvc.methods.hyperparameters import check
from labelsvc.optim.optimiser import Optimiser
from labelsvc.optim.recipe import Recipe

Memory = Any  # each method's own frozen record


@dataclass(frozen=True)
class Problem:
    """What is known before the first step: how often each class occurs among the labels, and how large the pool is."""

    prior: Float[Tensor, " classes"]
    pool: int = 0  # rows


@dataclass(frozen=True)
class Course:
    """How long a training is: the rows that there are to learn from, and the steps that will be taken."""

    labeled: int
    pool: int
    steps: int
    held_out: int = 0  # labeled rows that the method itself learns nothing from


@dataclass(frozen=True)
class Turn:
    """Which rows a step takes: places in an endless sequence of shuffled rows, where ``n`` places are an epoch of n.

    ``pool_weight`` is how much the pool counts by the method's schedule.
    """

    labeled: range
    pool: range
    pool_weight: float = 1.0
    held_out: range = range(0)


@dataclass(frozen=True)
class Moment:
    """When a step is: ``progress`` runs from 0 to 1. ``generator`` is all the chance that it may use."""

    progress: float
    generator: torch.Generator


@dataclass(frozen=True)
class Networks:
    """The network that is stepped, and the moving average of its weights."""

    model: nn.Module
    average: nn.Module


@dataclass(frozen=True)
class Batch:
    """The rows of one step.

    ``pool`` holds the views of the same pool rows that the method asked for, in its order, and is empty where the turn
    takes none; ``rows`` says which rows these are. ``labeled`` may hold no rows at all; ``pool_weight`` is the turn's.
    """

    labeled: Float[Tensor, "labeled ..."]
    classes: Int[Tensor, " labeled"]
    pool: tuple[Float[Tensor, "pool ..."], ...] = ()
    rows: Int[Tensor, " pool"] | None = None
    targets: Float[Tensor, "pool classes"] | None = None  # what a stored teacher says of these rows
    held_out: tuple[Float[Tensor, "held ..."], Int[Tensor, " held"]] | None = None
    pool_weight: float = 1.0


@dataclass(frozen=True)
class Losses:
    """What a step is taken on, and the figures worth a curve, all means over the batch."""

    total: Float[Tensor, ""]
    figures: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)


@dataclass(frozen=True)
class Learner:
    """A network and what steps it."""

    network: nn.Module
    optimiser: Optimiser


class Method(ABC):
    """One paper's way to learn from labeled rows and a pool; ``recipe`` says how its network is stepped."""

    recipe: Recipe
    labeled_view: str = "weak"  # the view in which it sees labeled rows: weak or strong
    pool_views: tuple[str, ...] = ("weak", "strong")  # in which it sees each pool row; () where it takes none
    needs_teacher: bool = False  # whether it learns from what a stored teacher says of the pool
    citation: str  # its paper, in a line
    advice: str  # when to use it, and when not, in a sentence or two

    def __post_init__(self) -> None:
        check(self)

    @property
    def needs_pool(self) -> bool:
        """Whether it learns from rows without labels."""
        return len(self.pool_views) > 0

    @property
    def held_out_share(self) -> float:
        """The share of labeled rows that it learns nothing from, and is shown as ``held_out``: none unless it says."""
        return 0.0

    def turn(self, step: int, course: Course) -> Turn:  # noqa: ARG002
        """Return what a step learns from, as a pure function of its number: both kinds of rows unless it says else."""
        return both_at_once(self.recipe, step)

    def published_steps(self, course: Course) -> int | None:  # noqa: ARG002
        """Return how many steps its published schedule takes on so many rows, None where it has no length."""
        return None

    def init(self, problem: Problem) -> Memory:  # noqa: ARG002
        """Return the memory before the first step: none unless it says else."""
        return None

    @abstractmethod
    def loss(self, networks: Networks, memory: Memory, batch: Batch, moment: Moment) -> tuple[Losses, Memory]:
        """Return the losses of a step and the memory after it."""


class PairedMethod(Method):
    """A method that trains a partner beside its network, and so takes its steps itself."""

    @abstractmethod
    def partner(self, alike: Callable[[], nn.Module], problem: Problem) -> nn.Module:
        """Return the partner before the first step; ``alike`` makes a network like the first one, of other weights."""

    @property
    def partner_recipe(self) -> Recipe:
        """How the partner is stepped: as the network is, unless it says else."""
        return self.recipe

    @abstractmethod
    def step(
        self, student: Learner, partner: Learner, memory: Memory, batch: Batch, moment: Moment
    ) -> tuple[Losses, Memory]:
        """Step both once, and return the losses of the trained network and the memory after it."""

    def loss(self, networks: Networks, memory: Memory, batch: Batch, moment: Moment) -> tuple[Losses, Memory]:
        """Raise: there is no one loss that both could be stepped on."""
        raise NotImplementedError(f"{type(self).__name__} takes its steps itself")


def both_at_once(recipe: Recipe, step: int) -> Turn:
    """Return the turn of a method that takes a labeled batch and a pool batch at every step."""
    labeled, pool = recipe.labeled_batch, recipe.pool_batch
    return Turn(range(step * labeled, (step + 1) * labeled), range(step * pool, (step + 1) * pool))
