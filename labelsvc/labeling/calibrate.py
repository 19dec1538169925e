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
