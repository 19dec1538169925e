"""The pace of the tutorial's alternating loop: passes over the pool, interrupted by epochs of labeled rows.

Counts rows and batches; knows no network and no loss.
"""

from __future__ import annotations

from dataclasses import dataclass

from labelsvc.methods.contract import Course
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class Pace:
    """How many batches there are of either kind, and the places that they take."""

    course: Course
    recipe: Recipe
    labeled_batches: int  # in an epoch of labeled rows, the last one smaller
    counts: int  # labeled epochs in a pass over the pool
    steps: int  # in a pass over the pool, those of the labeled epochs among them

    @classmethod
    def of(cls, recipe: Recipe, every: int, course: Course) -> Pace:
        """Return the pace at which a labeled epoch comes after ``every`` batches of the pool."""
        labeled = -(-course.labeled // recipe.labeled_batch)
        pool = -(-course.pool // recipe.pool_batch)
        counts = -(-pool // every)
        return cls(course, recipe, labeled, counts, pool + counts * labeled)

    def labeled(self, epoch: int, batch: int) -> range:
        """Return the places of a batch of an epoch of labeled rows."""
        return _places(self.course.labeled, self.recipe.labeled_batch, epoch, batch)

    def pool(self, epoch: int, batch: int) -> range:
        """Return the places of a batch of a pass over the pool."""
        return _places(self.course.pool, self.recipe.pool_batch, epoch, batch)


def _places(rows: int, size: int, epoch: int, batch: int) -> range:
    """Return a batch's places; the last one of an epoch ends with it."""
    return range(epoch * rows + batch * size, epoch * rows + min((batch + 1) * size, rows))
