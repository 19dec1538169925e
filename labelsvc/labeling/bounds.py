"""What a checked sample proves about all rows that it was drawn from: exact tests, and the bounds that invert them.

Of a population, ``checked`` rows were drawn at random and ``wrong`` of them turned out wrong. Where the population is
known to have N rows, a draw is hypergeometric; where it is without end (N None), binomial. Every test here asks
"is the precision below P?" and every bound is its inverse (Clopper and Pearson 1934), so that the two never disagree.
Counts are whole numbers; a precision that must be reached allows floor((1 − P) · N) wrong rows of N.
"""

from __future__ import annotations

import math
from fractions import Fraction

from scipy.special import bdtr, betaincinv
from scipy.stats import hypergeom


def allowed_wrong(precision: float, population: int) -> int:
    """Return how many of a population's rows may be wrong when its precision is to be at least ``precision``.

    The precision is taken as the decimal fraction that was written, so that .95 of 20 rows allows 1.

    >>> allowed_wrong(0.95, 20), allowed_wrong(0.71, 100), allowed_wrong(0.95, 19)
    (1, 29, 0)
    """
    return math.floor((1 - Fraction(repr(precision))) * population)


def p_value(checked: int, wrong: int, precision: float, population: int | None = None) -> float:
    """Return how likely at most ``wrong`` wrong rows would be at the most, were the precision below ``precision``.

    >>> round(p_value(59, 0, 0.95), 4), round(p_value(59, 0, 0.95, population=100), 4)
    (0.0485, 0.0038)
    """
    if population is None:
        return 1.0 if precision <= 0 else float(bdtr(wrong, checked, 1 - precision)) if checked else 1.0
    fewest_bad = allowed_wrong(precision, population) + 1
    if fewest_bad > population:  # such a population does not exist: the precision cannot be missed
        return 0.0
    return float(hypergeom.cdf(wrong, population, fewest_bad, checked))


def p_value_of_rest(checked: int, wrong: int, precision: float, rest: int) -> float:
    """Return the same for the rows that were *not* checked, ``rest`` of them, where a draw decided which are which.

    Of all checked + rest rows with T wrong ones, the checked hold a hypergeometric number w, and the rest T − w. The
    rest misses its precision where T − w exceeds what is allowed; of all T, one more than allowed beside the observed
    w makes that and so small a w the likeliest at once. For an endless rest this is ``p_value``.

    >>> round(p_value_of_rest(59, 0, 0.95, rest=10**7), 4), round(p_value_of_rest(59, 0, 0.95, rest=590), 4)
    (0.0485, 0.0535)
    """
    fewest_bad = allowed_wrong(precision, rest) + 1
    if fewest_bad > rest:
        return 0.0
    return float(hypergeom.cdf(wrong, checked + rest, fewest_bad + wrong, checked))


def lower_bound(checked: int, wrong: int, delta: float, population: int | None = None) -> float:
    """Return the largest precision that ``p_value`` at level ``delta`` lets be promised; 0 where nothing can be.

    >>> round(lower_bound(59, 0, 0.05), 4), lower_bound(10, 0, 0.05, population=10)
    (0.9505, 1.0)
    """
    if population is None:
        if not checked or wrong >= checked:
            return 0.0
        return 1 - float(betaincinv(wrong + 1, checked - wrong, 1 - delta))
    return 1 - most_wrong(checked, wrong, delta, population) / population if population else 0.0


def most_wrong(checked: int, wrong: int, delta: float, population: int) -> int:
    """Return the most wrong rows that a population of N may hold, all counts above it being refuted at ``delta``."""
    low, high = wrong, population - checked + wrong  # what was seen, and what could be left
    while low < high:  # the likelihood of so few wrong rows falls with the count
        middle = (low + high + 1) // 2
        if hypergeom.cdf(wrong, population, middle, checked) > delta:
            low = middle
        else:
            high = middle - 1
    return low


def rows_needed(precision: float, delta: float, wrong: int = 0, population: int | None = None) -> int | None:
    """Return how many rows must be checked, ``wrong`` of them wrong, to prove ``precision`` at ``delta``.

    None where no number does.

    >>> [rows_needed(precision, 0.05) for precision in (0.95, 0.98, 0.99)]
    [59, 149, 299]
    >>> [rows_needed(precision, 0.045) for precision in (0.95, 0.98, 0.99)]
    [61, 154, 309]
    """
    low, high = wrong, wrong + 1
    limit = population if population is not None else 1 << 40
    while p_value(min(high, limit), wrong, precision, population) > delta:
        if high >= limit:
            return None
        low, high = high, high * 2
    high = min(high, limit)
    while low + 1 < high:
        middle = (low + high) // 2
        if p_value(middle, wrong, precision, population) > delta:
            low = middle
        else:
            high = middle
    return high


def look_level(look: int, delta: float) -> float:
    """Return what of ``delta`` the ``look``-th reading of calibration labels may spend; all looks together spend δ.

    The first spends 0.9 δ, the k-th for k ≥ 2 spends 0.1 δ · 2^(1−k).

    >>> [round(look_level(look, 0.05), 6) for look in (1, 2, 3)]
    [0.045, 0.0025, 0.00125]
    >>> sum(look_level(look, 0.05) for look in range(1, 60)) <= 0.05
    True
    """
    return 0.9 * delta if look == 1 else 0.1 * delta * 2.0 ** (1 - look)
