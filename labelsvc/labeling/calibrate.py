"""Confidence that means what it says: one temperature, fitted on validation rows (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from labelsvc.records import ClassCodes

BOUNDS = (-3.0, 3.0)  # of log T
PRIOR = 0.5
SURE, SPARE = 0.95, 0.975  # the usual threshold; how often sure rows are right where there is some to spare
MODESTY = 4.0  # how many times too high the likeliest temperature may be, where few rows are ever sure
RESERVE = 1.1  # of a temperature under which no row is sure
STEP = 1.03


def probabilities(logits: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return softmax(logits / T) [rows, classes] in float64."""
    result: NDArray[np.float64] = softmax(logits / temperature, axis=1)
    return result


def negative_log_likelihood(logits: NDArray[np.float64], classes: ClassCodes, temperature: float) -> float:
    """Return −log p(class) under a temperature, the mean over rows."""
    logs = log_softmax(logits / temperature, axis=1)
    return float(-logs[np.arange(len(classes)), classes].mean())


def fit_temperature(logits: NDArray[np.float64], classes: ClassCodes) -> float:
    """Return the temperature under which ``classes`` are likeliest, with a weak prior around 1.

    The prior, a normal of deviation ``PRIOR`` on log T, keeps a handful of rows that are all right from claiming
    certainty; a hundred rows outvote it.

    >>> sure = np.tile([9.0, 0.0], (400, 1))  # 9999 times in 10000, it says
    >>> found = fit_temperature(sure, np.array([0, 0, 0, 1] * 100, dtype=np.int32))  # 3 times in 4, it is
    >>> probabilities(sure[:1], found).round(1)
    array([[0.8, 0.2]])
    """
    return _best(
        lambda temperature: (
            negative_log_likelihood(logits, classes, temperature)
            + np.log(temperature) ** 2 / (2 * PRIOR**2 * len(classes))
        )
    )


def honest_temperature(logits: NDArray[np.float64], classes: ClassCodes) -> float:
    """Return the temperature under which rows of a confidence of ``SURE`` or more are right that often, or more so.

    It starts from the likeliest one, of answers out of fold. Where too few of the sure rows are right, one more counted
    as wrong, it rises until enough are; where far more are, it falls, to no less than a quarter, so that a model that
    is too modest covers what it knows. Fewer than nineteen sure rows prove nothing, all of them right: then it rises
    until none is sure, and a little more, as some row of the pool will be surer than any of these.

    Args:
        logits: of answers out of fold [rows, classes], of two classes or more.
        classes: the truth [rows].
    """
    likeliest = temperature = fit_temperature(logits, classes)

    def right_when_sure(temperature: float) -> float | None:
        sure, right = count_sure(logits, classes, temperature)
        return right / (sure + 1) if sure else None

    while (share := right_when_sure(temperature)) is not None and share < SURE:
        temperature *= STEP
    if share is None:
        return temperature * RESERVE
    while temperature / STEP >= likeliest / MODESTY and (right_when_sure(temperature / STEP) or 0.0) >= SPARE:
        temperature /= STEP
    return temperature


def count_sure(logits: NDArray[np.float64], classes: ClassCodes, temperature: float) -> tuple[int, int]:
    """Return how many rows are sure, at ``SURE`` or more under a temperature, and how many of them are right."""
    sure = probabilities(logits, temperature).max(axis=1) >= SURE
    return int(sure.sum()), int((logits.argmax(axis=1) == classes)[sure].sum())


def match_temperature(logits: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Return the temperature under which a model's words come closest to another's, without any label.

    The cross-entropy against ``targets`` [rows, classes], the other's probabilities of the same rows, is least. A
    student that learnt from smoothed labels so speaks on its teacher's scale.
    """
    return _best(lambda temperature: float(-(targets * log_softmax(logits / temperature, axis=1)).sum(axis=1).mean()))


def _best(cost: Callable[[float], float]) -> float:
    found = minimize_scalar(
        lambda log_temperature: cost(float(np.exp(log_temperature))), bounds=BOUNDS, method="bounded"
    )
    return float(np.exp(found.x))
