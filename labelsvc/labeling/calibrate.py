"""Confidence that means what it says: one temperature, fitted on validation rows (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from labelsvc.records import ClassCodes

BOUNDS = (-3.0, 3.0)  # of log T
PRIOR = 0.5
SURE, SPARE = 0.95, 0.97  # the usual threshold; how often sure rows are right where there is some to spare
MODESTY = 4.0  # how many times too high the likeliest temperature may be, where few rows are ever sure
STEP = 1.03
CERTAIN = 1 - 1e-6  # no confidence counts for more


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
    as wrong, it rises until enough are, or none is sure; where far more are, it falls, to no less than a quarter, so
    that a model that is too modest covers what it knows. Of few rows even fewer are sure, too few to count; so a curve
    through all of them, of how likely an answer is right by its confidence, can keep it from rising, and must agree
    before it falls.
    """
    temperature = fit_temperature(logits, classes)
    lowest = temperature / MODESTY
    right = logits.argmax(axis=1) == classes
    curve = chances_of_being_right(probabilities(logits, temperature).max(axis=1), right)

    def right_when_sure(temperature: float) -> tuple[float, float]:  # by count, by the curve; 1 where none is sure
        sure = probabilities(logits, temperature).max(axis=1) >= SURE
        return (right[sure].sum() / (sure.sum() + 1), curve[sure].mean()) if sure.any() else (1.0, 1.0)

    while temperature < np.exp(BOUNDS[1]):
        counted, told = right_when_sure(temperature)
        if counted >= SURE or told >= SPARE:
            break
        temperature *= STEP
    while temperature / STEP >= lowest and min(right_when_sure(temperature / STEP)) >= SPARE:
        temperature /= STEP
    return temperature


def chances_of_being_right(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how likely each answer is right by its confidence [rows], as a curve through all of them says.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999: 1 / (1 + exp(−a − b u)), here of the confidence's
    logit u. Confidences that mean what they say have a = 0 and b = 1, at which a weak prior keeps a few rows.

    >>> chances_of_being_right(np.array([0.9] * 1000), np.array([True, False] * 500)).round(2)[:2]
    array([0.5, 0.5])
    """
    u = logit(confidences.clip(1 - CERTAIN, CERTAIN))

    def cost(line: NDArray[np.float64]) -> float:
        told = line[0] + np.exp(line[1]) * u
        prior = line[0] ** 2 + (line[1] / PRIOR) ** 2
        return float((np.logaddexp(0, told) - right * told).sum() + prior / 2)

    a, log_b = minimize(cost, np.zeros(2)).x
    chances: NDArray[np.float64] = expit(a + np.exp(log_b) * u)
    return chances


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
