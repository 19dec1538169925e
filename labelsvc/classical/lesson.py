"""What a classical teacher learns from, and its answers on labels that it was not shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.classical.estimated import log_probabilities
from labelsvc.records import ClassCodes

Features = NDArray[np.float32]  # [rows, features]


@dataclass(frozen=True)
class Lesson:
    """Labeled rows with their classes, and rows without: the pool."""

    labeled: Features
    classes: ClassCodes
    pool: Features
    class_count: int

    def without(self, held: NDArray[np.bool_]) -> Lesson:
        """Return the lesson in which some labeled rows are shown without their labels, among the pool."""
        pool = np.concatenate([self.labeled[held], self.pool])
        return replace(self, labeled=self.labeled[~held], classes=self.classes[~held], pool=pool)

    def some_of_pool(self, most: int, seed: int) -> Lesson:
        """Return the lesson with at most so many rows of the pool, drawn at random."""
        if len(self.pool) <= most:
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self.pool))[:most])
        return replace(self, pool=self.pool[chosen])


Learner = Callable[[Lesson], Any]  # a lesson to a fitted estimator


def dealt(classes: ClassCodes, seed: int) -> NDArray[np.int64]:
    """Return for each row a number, dealt at random within its class; classes start where the one before ended.

    Modulo a number of folds, these are folds of which each has its share of each class.

    >>> np.bincount(dealt(np.array([0] * 5 + [1] * 5), seed=0) % 5).tolist()
    [2, 2, 2, 2, 2]
    """
    rng = np.random.default_rng(seed)
    place = np.empty(len(classes), np.int64)
    start = 0
    for code in np.unique(classes):
        rows = np.flatnonzero(classes == code)
        place[rng.permutation(rows)] = start + np.arange(len(rows))
        start += len(rows)
    return place


def out_of_fold(lesson: Lesson, learn: Learner, fold: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return log p [labeled, classes] of each labeled row, by what learnt with its fold's labels out of sight."""
    said = np.empty((len(lesson.classes), lesson.class_count), np.float32)
    for number in np.unique(fold):
        held = fold == number
        said[held] = log_probabilities(learn(lesson.without(held)), lesson.labeled[held], lesson.class_count)
    return said
