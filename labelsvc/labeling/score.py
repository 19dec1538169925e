"""How many labels are right, in all and by class. Counts are whole numbers; shares are left to whoever reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelsvc.records import ClassCodes

UNLABELED = -1  # the code of "no label" within this room's arrays; it never leaves them


@dataclass(frozen=True)
class ClassScore:
    """One class: its rows, those of them that got a label, those that got the right one, and what it was given."""

    name: str
    rows: int
    labeled: int
    right: int
    named: int  # rows that were given this class, rightly or not


@dataclass(frozen=True)
class Score:
    """All rows, and each class."""

    rows: int
    labeled: int
    right: int
    classes: tuple[ClassScore, ...]

    @property
    def coverage(self) -> float:
        """The share of rows that have a label."""
        return self.labeled / max(self.rows, 1)

    @property
    def accuracy(self) -> float:
        """The share of labels that are right; where every row has one, the accuracy."""
        return self.right / max(self.labeled, 1)


def score(answers: ClassCodes, truth: ClassCodes, classes: Sequence[str]) -> Score:
    """Compare answers with the truth, row by row; an answer of ``UNLABELED`` is none.

    >>> import numpy as np
    >>> found = score(np.array([0, 1, -1], dtype=np.int32), np.array([0, 0, 1], dtype=np.int32), ["a", "b"])
    >>> found.labeled, found.right, found.classes[0]
    (2, 1, ClassScore(name='a', rows=2, labeled=2, right=1, named=1))
    """
    labeled, right = answers != UNLABELED, answers == truth
    by_class = tuple(
        ClassScore(
            name=name,
            rows=int((truth == code).sum()),
            labeled=int(((truth == code) & labeled).sum()),
            right=int(((truth == code) & right).sum()),
            named=int((answers == code).sum()),
        )
        for code, name in enumerate(classes)
    )
    return Score(len(truth), int(labeled.sum()), int(right.sum()), by_class)
