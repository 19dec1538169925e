"""Coverage and precision by class: how much of the pool each class got, and how often it is right where that is known.

The pool's rows are counted by the class that a model says, since no other is known of them. Precision is counted on
validation rows, which the same rule accepts; counts stay beside every share. Knows no store, and no test row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelsvc.records import ClassCodes


@dataclass(frozen=True)
class Checked:
    """What a model says of validation rows, whether the rule accepts it, and what they are: [rows] each."""

    said: ClassCodes
    accepted: NDArray[np.bool_]
    truth: ClassCodes


@dataclass(frozen=True)
class ClassSummary:
    """One class: the pool rows that are said to be of it, and the validation rows that were accepted as it."""

    name: str
    predicted: int
    accepted: int
    confidence: float | None  # mean over the accepted rows, None where there are none
    checked: int | None = None  # validation rows accepted as this class, None where there are no validation rows
    right: int | None = None

    @property
    def coverage(self) -> float | None:
        """The share of its predicted rows that are accepted, None where it has none."""
        return self.accepted / self.predicted if self.predicted else None

    @property
    def precision(self) -> float | None:
        """The share of the checked rows that are right, None where none was checked."""
        return None if not self.checked or self.right is None else self.right / self.checked


@dataclass(frozen=True)
class Tally:
    """Counts by class [classes] that add up block by block: rows said, rows accepted, and their confidences' sum."""

    predicted: NDArray[np.int64]
    accepted: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @classmethod
    def empty(cls, classes: int) -> Tally:
        """Return the tally of no rows."""
        return cls(np.zeros(classes, np.int64), np.zeros(classes, np.int64), np.zeros(classes))

    def add(self, said: ClassCodes, accepted: NDArray[np.bool_], confidence: NDArray[np.float64]) -> Tally:
        """Return the tally with a block of pool rows more."""
        count = len(self.predicted)
        return Tally(
            self.predicted + np.bincount(said, minlength=count),
            self.accepted + np.bincount(said[accepted], minlength=count),
            self.confidence + np.bincount(said[accepted], weights=confidence[accepted], minlength=count),
        )


def summarise(tally: Tally, classes: Sequence[str], checked: Checked | None = None) -> tuple[ClassSummary, ...]:
    """Return a row for each class, in the order of ``classes``.

    >>> said, accepted = np.array([0, 0, 1], dtype=np.int32), np.array([True, False, True])
    >>> tally = Tally.empty(2).add(said, accepted, np.array([0.9, 0.4, 0.8]))
    >>> cat, dog = summarise(tally, ["cat", "dog"], Checked(said, accepted, said))
    >>> cat
    ClassSummary(name='cat', predicted=2, accepted=1, confidence=0.9, checked=1, right=1)
    >>> cat.coverage, dog.precision
    (0.5, 1.0)
    """
    return tuple(
        ClassSummary(
            name,
            predicted=int(tally.predicted[code]),
            accepted=int(tally.accepted[code]),
            confidence=float(tally.confidence[code] / tally.accepted[code]) if tally.accepted[code] else None,
            **_checked(checked, code),
        )
        for code, name in enumerate(classes)
    )


def _checked(checked: Checked | None, code: int) -> dict[str, int]:
    if checked is None or not len(checked.truth):
        return {}
    shown = checked.accepted & (checked.said == code)
    return {"checked": int(shown.sum()), "right": int((checked.truth[shown] == code).sum())}
