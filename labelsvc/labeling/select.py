"""Which of a model's words become labels: those at or above a threshold, one for all or one for a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelsvc.errors import UsageError
from labelsvc.records import PseudoLabels, SampleNumbers


def check_thresholds(threshold: float, class_thresholds: Mapping[str, float], classes: Sequence[str]) -> None:
    """Refuse thresholds that are no probabilities and classes that are not there.

    Raises:
        UsageError: which one, and what it may be.
    """
    flags = {
        "--threshold ": threshold,
        **{f"--class-threshold {name}=": value for name, value in class_thresholds.items()},
    }
    for flag, value in flags.items():
        if not 0 <= value <= 1:  # false for NaN too
            raise UsageError(f"{flag}{value} is no probability; it must lie between 0 and 1")
    unknown = sorted(set(class_thresholds) - set(classes))
    if unknown:
        raise UsageError(f"--class-threshold names the class {unknown[0]!r}; there are {', '.join(classes)}")


def thresholds_by_class(
    threshold: float, class_thresholds: Mapping[str, float], classes: Sequence[str]
) -> NDArray[np.float64]:
    """Return the threshold of each class [classes]."""
    return np.array([class_thresholds.get(name, threshold) for name in classes], dtype=np.float64)


def accept(
    candidates: PseudoLabels, thresholds: NDArray[np.float64], least_familiarity: float | None = None
) -> PseudoLabels:
    """Return the familiar candidates whose confidence is at or above the threshold of their own class."""
    return candidates.where(is_accepted(candidates, thresholds, least_familiarity))


def is_accepted(
    candidates: PseudoLabels, thresholds: NDArray[np.float64], least_familiarity: float | None = None
) -> NDArray[np.bool_]:
    """Return which candidates ``accept`` would return."""
    confident = candidates.confidence >= thresholds[candidates.classes]
    return confident & is_familiar(candidates, least_familiarity)


def is_familiar(candidates: PseudoLabels, least: float | None) -> NDArray[np.bool_]:
    """Return which candidates are at least so familiar; all are where there is no least, or nobody asked."""
    if least is None or candidates.familiarity is None:
        return np.ones(len(candidates), dtype=bool)
    return candidates.familiarity >= least


def among(numbers: SampleNumbers, some: SampleNumbers) -> NDArray[np.bool_]:
    """Return for each of ``numbers`` whether it is one of ``some``, which are sorted."""
    if not len(some):
        return np.zeros(len(numbers), dtype=bool)
    place = np.searchsorted(some, numbers).clip(max=len(some) - 1)
    found: NDArray[np.bool_] = some[place] == numbers
    return found
