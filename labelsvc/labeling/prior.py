"""How frequent each class is in the pool, found without labels, and probabilities that allow for it.

Saerens, Latinne & Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities", 2002. Let a
model's calibrated p(c | x) come from a world where classes have the frequencies π, and a pool differ from it only in
how frequent its classes are, q. Then, over the pool's rows x,

    p_q(c | x) = p(c | x) · q_c / π_c, normalised over c        the adjusted probabilities                     (2.4)
    q_c ← mean over x of p_q(c | x)                             until q moves no more: expectation maximisation (2.9)

whose fixed point makes the pool likeliest. It is no better than the probabilities are calibrated, and a class that is
in no label of the model's is in no q either. Knows no store and no network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TURNS = 1000
STILL = 1e-7  # the largest change of a frequency in a turn that ends it
NOTICEABLE = 0.1  # total variation from the labels' balance, and above
FLOOR = 1e-6  # of π and q, so that nothing is divided by 0 and no class is lost for ever


def estimate_prior(probabilities: NDArray[np.float64], trained: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequencies q [classes] of a pool's classes.

    Args:
        probabilities: what the model says of the pool's rows [rows, classes], calibrated.
        trained: the frequencies π [classes] to which the model's probabilities belong, those of its labeled rows.

    >>> world = np.array([[0.9, 0.1]] * 30 + [[0.1, 0.9]] * 10)  # of an even π, and right 9 times in 10
    >>> estimate_prior(world, np.array([0.5, 0.5])).round(4)
    array([0.8125, 0.1875])
    """
    believed = _positive(trained)
    if not len(probabilities):
        return believed
    evidence = probabilities / believed  # p(x | c), but for a factor of x
    prior = believed
    for _ in range(TURNS):
        joint = evidence * prior
        after = _positive((joint / joint.sum(axis=1, keepdims=True)).mean(axis=0))
        moved = float(np.abs(after - prior).max())
        prior = after
        if moved < STILL:
            break
    return prior


def adjust(
    probabilities: NDArray[np.float64], trained: NDArray[np.float64], pool: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return probabilities [rows, classes] for a world of frequencies ``pool`` instead of ``trained``.

    It is the adjustment of logits by log(pool / trained), after the temperature.

    >>> adjust(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.9, 0.1]))
    array([[0.9, 0.1]])
    """
    weighed = probabilities * (_positive(pool) / _positive(trained))
    adjusted: NDArray[np.float64] = weighed / weighed.sum(axis=1, keepdims=True)
    return adjusted


def _positive(prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts or frequencies as frequencies of which none is 0."""
    shares = np.maximum(prior / prior.sum(), FLOOR)
    positive: NDArray[np.float64] = shares / shares.sum()
    return positive


def distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the total variation between two class balances, counts or frequencies: the share that would have to move.

    >>> distance(np.array([5.0, 5.0]), np.array([0.9, 0.1]))
    0.4
    """
    return float(np.abs(first / first.sum() - second / second.sum()).sum() / 2)


def is_shifted(counts: NDArray[np.float64], pool: NDArray[np.float64], rows: int) -> bool:
    """Return whether a pool's balance is another than the labels', beyond chance and beyond what the estimate misses.

    Args:
        counts: labeled rows of each class.
        pool: the estimated frequencies of a pool's classes.
        rows: the pool's rows that they were estimated on.

    Two samples of one balance differ by ½ Σ √(2/π · q(1 − q)(1/m + 1/n)) on average; twice that, and 0.1 at least, is
    taken for a shift.

    >>> even = np.array([350.0, 350.0])
    >>> is_shifted(even, np.array([0.42, 0.58]), 10_000), is_shifted(even, np.array([0.2, 0.8]), 10_000)
    (False, True)
    >>> is_shifted(even / 50, np.array([0.3, 0.7]), 10_000)  # of 14 labels
    False
    """
    if not rows:
        return False
    shares = counts / counts.sum()
    spread = np.sqrt(2 / np.pi * shares * (1 - shares) * (1 / counts.sum() + 1 / rows))
    return distance(counts, pool) > max(NOTICEABLE, float(spread.sum()))
