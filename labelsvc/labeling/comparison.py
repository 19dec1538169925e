"""Whether a teacher is worse than its baseline on the same rows: the exact paired test (McNemar 1947).

A row that both get right, or both wrong, says nothing of which is better. Of the rows that only one of the two gets
right, each is as likely the one's as the other's where the two are equally good: a binomial test on whole counts.
Which rows they are, and who asked the models, is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import bdtr

from labelsvc.records import ClassCodes

LEVEL = 0.05  # how often a teacher that is as good as its baseline may be called worse


@dataclass(frozen=True)
class Comparison:
    """A teacher and its baseline on the same rows; the p-value is for the teacher's not being worse."""

    rows: int
    teacher_right: int
    baseline_right: int
    teacher_only: int  # rows that only the teacher gets right
    baseline_only: int
    p_value: float

    @property
    def is_worse(self) -> bool:
        """Whether the teacher is worse, at a level of 5%."""
        return self.p_value <= LEVEL

    def __str__(self) -> str:
        """Say the counts and the p-value."""
        return (
            f"of {self.rows:,} validation rows the teacher has {self.teacher_right:,} right and the supervised "
            f"baseline {self.baseline_right:,}; {self.teacher_only:,} to {self.baseline_only:,} where only one is "
            f"right, p = {self.p_value:.2g}"
        )


def compare(teacher: ClassCodes, baseline: ClassCodes, truth: ClassCodes) -> Comparison:
    """Compare two models' answers [rows] with the truth [rows].

    >>> import numpy as np
    >>> truth = np.zeros(20, dtype=np.int32)
    >>> found = compare(np.array([0, 1] * 10), np.array([0] * 19 + [1]), truth)
    >>> found.teacher_only, found.baseline_only, round(found.p_value, 5), found.is_worse
    (0, 9, 0.00195, True)
    """
    ours, theirs = teacher == truth, baseline == truth
    won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return Comparison(len(truth), int(ours.sum()), int(theirs.sum()), won, lost, paired_p_value(won, lost))


def paired_p_value(won: int, lost: int) -> float:
    """Return how likely at least ``lost`` of won + lost rows would be lost, were each won or lost at even odds.

    >>> paired_p_value(0, 5), paired_p_value(0, 4), paired_p_value(7, 0), paired_p_value(0, 0)
    (0.03125, 0.0625, 1.0, 1.0)
    """
    return float(bdtr(won, won + lost, 0.5))
