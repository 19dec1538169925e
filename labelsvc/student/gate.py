"""Whether a file in fewer bits may be given its name: what it costs, and whether it is faster here.

Knows figures, not how they were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labelsvc.errors import LabelsvcError
from labelsvc.records import ClassCodes


@dataclass(frozen=True)
class Loss:
    """What fewer bits cost on some rows: how many are right (accuracy), or named as fp32 names them (agreement)."""

    measure: Literal["accuracy", "agreement"]
    rows: int
    before: int  # of the fp32 file
    after: int
    allowed: float  # points

    @property
    def points(self) -> float:
        """How many rows of a hundred were lost; negative where some were won."""
        return 100 * (self.before - self.after) / max(self.rows, 1)

    @property
    def is_small(self) -> bool:
        """Whether that is within what is allowed."""
        return self.points <= self.allowed

    def __str__(self) -> str:
        """Say what was lost.

        >>> str(Loss("accuracy", 1000, 990, 988, 0.5))
        'accuracy on 1,000 validation rows 98.80%, of fp32 99.00%: 0.20 points lost, 0.5 allowed'
        >>> str(Loss("agreement", 300, 300, 299, 0.1))
        'agreement with fp32 on 300 unlabeled inputs 99.67%: 0.33 points lost, 0.1 allowed'
        """
        after = f"{self.after / max(self.rows, 1):.2%}"
        lost = f"{self.points:.2f} points lost, {self.allowed:g} allowed"
        if self.measure == "agreement":
            return f"agreement with fp32 on {self.rows:,} unlabeled inputs {after}: {lost}"
        before = f"{self.before / max(self.rows, 1):.2%}"
        return f"accuracy on {self.rows:,} validation rows {after}, of fp32 {before}: {lost}"


@dataclass(frozen=True)
class Speed:
    """How fast a file and the fp32 file beside it answer pictures, ``batch`` at once, in rows per second."""

    batch: int
    before: float  # of the fp32 file
    after: float

    @property
    def ratio(self) -> float:
        """How many times as fast as fp32 the file is."""
        return self.after / self.before

    def __str__(self) -> str:
        """Say how fast.

        >>> str(Speed(32, 10_000.0, 15_000.0))
        '1.50 × the speed of fp32 at batch 32 (15,000 rows/s)'
        """
        return f"{self.ratio:.2f} × the speed of fp32 at batch {self.batch} ({self.after:,.0f} rows/s)"


def loss_of_accuracy(
    before: NDArray[np.float32], after: NDArray[np.float32], truth: ClassCodes, allowed: float
) -> Loss:
    """Return what was lost between two sets of probabilities [rows, classes] of rows whose classes are known."""
    right, still_right = (int((named(answers) == truth).sum()) for answers in (before, after))
    return Loss("accuracy", len(truth), right, still_right, allowed)


def loss_of_agreement(before: NDArray[np.float32], after: NDArray[np.float32], allowed: float) -> Loss:
    """Return what was lost between two sets of probabilities [rows, classes] of rows whose classes nobody knows."""
    same = int((named(before) == named(after)).sum())
    return Loss("agreement", len(before), len(before), same, allowed)


def named(answers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the best class of each row of probabilities; −1, which is none, where one of them is no number."""
    return np.where(np.isfinite(answers).all(axis=1), answers.argmax(axis=1), -1)


def is_telling(rows: int, allowed: float) -> bool:
    """Return whether one row among so many weighs no more than is allowed, so that accuracy can show it.

    >>> is_telling(200, 0.5), is_telling(199, 0.5)
    (True, False)
    """
    return rows * allowed >= 100


def refuse_loss(dtype: str, loss: Loss) -> None:
    """Refuse a file that costs too much.

    Raises:
        LabelsvcError: it does.
    """
    if not loss.is_small:
        raise LabelsvcError(
            f"no file was written: as {dtype} it would cost too much, {loss}; "
            "--max-loss POINTS allows more, and --dtype fp32 costs nothing"
        )


def refuse_slow(dtype: str, speeds: Sequence[Speed], device: str) -> None:
    """Refuse a file that is faster than fp32 at no batch size.

    Raises:
        LabelsvcError: it is not.
    """
    if not is_faster(speeds):
        raise LabelsvcError(
            f"no file was written: on this machine's {device}, {dtype} is no faster, {told(speeds)}; "
            "--force writes it all the same, for a machine where it is, or for its size"
        )


def is_faster(speeds: Sequence[Speed]) -> bool:
    """Return whether a file beats fp32 at one batch size at least."""
    return any(speed.ratio > 1 for speed in speeds)


def told(speeds: Sequence[Speed]) -> str:
    """Say all speeds in a line."""
    return " and ".join(str(speed) for speed in speeds)
