"""What a network learns from, and the batches that are drawn of it, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labelsvc.methods.contract import Batch, Course, Method, Turn
from labelsvc.training.rows import Rows, Shuffle
from labelsvc.views import Views


@dataclass(frozen=True)
class Lesson:
    """What a network learns from: labeled rows with their classes, the pool, and how to view them."""

    labeled: Rows
    classes: Int[Tensor, " labeled"]
    pool: Rows | None
    views: Views
    prior: Float[Tensor, " classes"]
    targets: Float[Tensor, "pool classes"] | None = None  # what a stored teacher says of the pool

    def course(self, method: Method, steps: int) -> Course:
        """Return how long a training of ``steps`` steps is, as a method sees it."""
        kept, held_out = hold_out(self.classes, method.held_out_share)
        pool = self.pool if method.needs_pool else None
        return Course(len(kept), len(pool or ()), steps, len(held_out))


class Sampler:
    """Batches by step number: shuffled labeled rows, shuffled pool rows, and their views."""

    def __init__(self, lesson: Lesson, method: Method, *, steps: int, seed: int) -> None:
        self._lesson = lesson
        self._method = method
        self._pool = lesson.pool if method.needs_pool else None
        self._course = lesson.course(method, steps)
        self._kept, self._held_out = hold_out(lesson.classes, method.held_out_share)
        self._labeled_order = Shuffle(self._course.labeled, seed)
        self._pool_order = Shuffle(self._course.pool, seed + 1)
        self._held_out_order = Shuffle(self._course.held_out, seed + 2)

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Return the batch of a step: the rows by the step's number, their views by the generator."""
        turn = self._method.turn(step, self._course)
        labeled, classes = self._labeled(self._kept[self._labeled_order.take(turn.labeled)], generator)
        if self._pool is None or not turn.pool:
            return Batch(labeled, classes, pool_weight=turn.pool_weight)
        index = self._pool_order.take(turn.pool)
        pictures, targets = self._pool.take(index), self._lesson.targets
        return Batch(
            labeled,
            classes,
            pool=tuple(self._view(name, pictures, generator) for name in self._method.pool_views),
            rows=index.to(pictures.device, non_blocking=True),
            targets=None if targets is None else targets[index].to(pictures.device, non_blocking=True),
            held_out=self._held(turn, generator),
            pool_weight=turn.pool_weight,
        )

    def _held(self, turn: Turn, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
        if not turn.held_out:
            return None
        return self._labeled(self._held_out[self._held_out_order.take(turn.held_out)], generator)

    def _labeled(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        pictures = self._lesson.labeled.take(index)
        if len(index):
            pictures = self._view(self._method.labeled_view, pictures, generator)
        return pictures, self._lesson.classes[index].to(pictures.device, non_blocking=True)

    def _view(self, name: str, pictures: Tensor, generator: torch.Generator) -> Tensor:
        views = self._lesson.views
        return (views.strong if name == "strong" else views.weak)(pictures, generator)


def hold_out(classes: Int[Tensor, " labeled"], share: float) -> tuple[Int[Tensor, " kept"], Int[Tensor, " held"]]:
    """Return the rows to learn from and those held out: of each class the last ``share``, never its only row.

    >>> hold_out(torch.tensor([0, 1, 0, 0, 1, 2]), 0.5)
    (tensor([0, 1, 5]), tensor([2, 3, 4]))
    """
    held = torch.zeros(len(classes), dtype=torch.bool)
    for code in torch.unique(classes) if share else ():
        rows = (classes == code).nonzero()[:, 0]
        count = min(round(share * len(rows) + 1e-9), len(rows) - 1)
        held[rows[len(rows) - count :]] = True
    return (~held).nonzero()[:, 0], held.nonzero()[:, 0]
