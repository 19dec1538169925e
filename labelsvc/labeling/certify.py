"""The lowest threshold for which a precision can be promised: Learn-Then-Test with a fixed sequence of exact tests.

Angelopoulos et al., "Learn then Test", 2021. For each threshold t of a few dozen,

    H(t): of the pool's labels with confidence ≥ t, a share below P is right

is tested on the calibration rows that t accepts, one after the other from the highest threshold downwards, each at the
whole level, until one is not rejected. Every rejected one may be used, all at once, with an error of at
most the level; the one that accepts most of the pool is. Calibration rows and pool are one population, dealt out at
random, so each test is exact for this very pool (``bounds.p_value_of_rest``).

Rows of one group (photos of one product) are not independent: a group counts once, accepted where one of its rows is,
wrong where one of its accepted rows is wrong. Knows no file, store or network, and of labels only which rows are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from labelsvc.labeling.bounds import allowed_wrong, p_value, p_value_of_rest

CANDIDATES = 40  # thresholds that are considered
MOST_CHECKS = 10**7  # nobody checks more
NOTHING = 2.0  # a threshold that no confidence reaches

Confidences = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """What counts once: from which confidence downwards a unit is accepted, and from which it is wrong (−∞: never)."""

    accepted: Confidences
    wrong: Confidences

    def __len__(self) -> int:
        return len(self.accepted)

    def count(self, threshold: float) -> tuple[int, int]:
        """Return how many units a threshold accepts, and how many of these are wrong."""
        return int((self.accepted >= threshold).sum()), int((self.wrong >= threshold).sum())


def units(
    confidence: Confidences, wrong: NDArray[np.bool_] | None = None, groups: NDArray[np.int64] | None = None
) -> Units:
    """Return rows as units, the rows of a group as one.

    Args:
        confidence: of each row.
        wrong: whether each row's label is wrong; None where nobody knows.
        groups: the number of each row's group; rows without a group have one of their own.

    >>> grouped = units(np.array([0.9, 0.8, 0.7]), np.array([False, True, False]), groups=np.array([1, 1, 2]))
    >>> grouped.count(0.85), grouped.count(0.75), grouped.count(0.5)
    ((1, 0), (1, 1), (2, 1))
    """
    failing = np.where(wrong, confidence, -np.inf) if wrong is not None else np.full(len(confidence), -np.inf)
    if groups is None:
        return Units(confidence, failing)
    names, places = np.unique(groups, return_inverse=True)
    whole = Units(np.full(len(names), -np.inf), np.full(len(names), -np.inf))
    np.maximum.at(whole.accepted, places, confidence)
    np.maximum.at(whole.wrong, places, failing)
    return whole


@dataclass(frozen=True)
class Tested:
    """One tested threshold: what it accepts, how much of that is wrong, and how surprising that would be below P."""

    threshold: float
    checked: int
    wrong: int
    pool: int
    p_value: float


@dataclass(frozen=True)
class Finding:
    """The tests in their order, and the threshold that may be used, None where the first one failed."""

    tests: tuple[Tested, ...]
    chosen: Tested | None


def thresholds(population: Confidences, count: int = CANDIDATES) -> Confidences:
    """Return up to ``count`` thresholds, descending, that accept equal shares more of a population; ties are one.

    The population is pool and calibration inputs together, so that who is which decides nothing.

    >>> thresholds(np.array([0.5, 0.6, 0.7, 0.8]), 4), thresholds(np.array([1.0, 1.0, 1.0, 0.2]), 4)
    (array([0.8, 0.7, 0.6, 0.5]), array([1. , 0.2]))
    """
    if not len(population):
        return np.empty(0)
    descending = -np.sort(-population)
    places = np.ceil(np.arange(1, count + 1) * len(descending) / count).astype(int) - 1
    return -np.unique(-descending[places])


def descending(
    candidates: Confidences, pool: Units | None, hidden: Confidences, *, precision: float, level: float
) -> Confidences:
    """Return the order of the tests: from the highest threshold that could pass downwards. No label is read.

    ``hidden`` are the calibration units' confidences. A threshold could pass that would, were nothing wrong. To begin
    with the thresholds of the smallest p-values on validation rows instead covers a third to a half of what this does
    (decision log, 2026-11-20).
    """
    could = (_tested(float(threshold), pool, Units(hidden, np.empty(0)), precision) for threshold in candidates)
    return np.array([test.threshold for test in could if test.p_value <= level])


def fixed_sequence(
    ordered: Sequence[float] | Confidences, pool: Units | None, calibration: Units, *, precision: float, level: float
) -> Finding:
    """Test thresholds in their order, each at ``level``, until one fails, and choose among those that passed.

    Without a ``pool`` the promise is for rows to come, without end.
    """
    tests = []
    for threshold in ordered:
        test = _tested(float(threshold), pool, calibration, precision)
        tests.append(test)
        if test.p_value > level:
            break
    passed = [test for test in tests if test.p_value <= level and test.pool]
    return Finding(tuple(tests), max(passed, key=lambda test: (test.pool, -test.threshold), default=None))


def suggested(candidates: Confidences, seen: Units, precision: float) -> float | None:
    """Return the lowest threshold whose measured precision on validation rows reaches the target, None if none does.

    That is the usual rule. It misses its target about every other time, so nothing is promised by it.
    """
    good = []
    for threshold in candidates:
        accepted, wrong = seen.count(float(threshold))
        if accepted and wrong <= allowed_wrong(precision, accepted):
            good.append(float(threshold))
    return min(good, default=None)


def _tested(threshold: float, pool: Units | None, calibration: Units, precision: float) -> Tested:
    checked, wrong = calibration.count(threshold)
    if pool is None:
        return Tested(threshold, checked, wrong, checked, p_value(checked, wrong, precision))
    accepted, _ = pool.count(threshold)
    return Tested(threshold, checked, wrong, accepted, p_value_of_rest(checked, wrong, precision, accepted))


def checks_needed(share_wrong: float, precision: float, level: float) -> int | None:
    """Return how many checked rows would pass at ``level`` with such a share of them wrong; None where none would.

    >>> checks_needed(0.0, 0.95, 0.05), checks_needed(0.02, 0.95, 0.05), checks_needed(0.05, 0.95, 0.05)
    (59, 181, None)
    """
    if share_wrong >= 1 - precision:
        return None
    low = 1
    while low < MOST_CHECKS:
        rows = np.arange(low, 2 * low)
        passing = np.flatnonzero(bdtr(np.ceil(share_wrong * rows), rows, 1 - precision) <= level)
        if len(passing):
            return int(rows[passing[0]])
        low *= 2
    return None
