"""Which given labels look wrong: those that their row's neighbours, asked without it, outvote.

A network learns wrong labels by heart, so that its word on a row that it was trained on proves nothing; its features
still put such a row beside others of its true class. So the prediction here is out of fold by construction: a row's
class shares are the labels of its nearest labeled rows, without its own label and without those of its group or its
copies. A label is suspicious where another class leads it by ``LEAD`` of the votes, the normalised margin of confident
learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70).

A deviation: the paper lists a row where another class's share reaches the mean share that this class's own rows have of
it. Shares of neighbours of whom some are mislabeled themselves lie below that mean half of the time: the paper's rule
found 64 to 73 in a hundred of the flipped labels where the lead finds 99 (docs/issues.md).

Knows no store and no network, and nothing of why a label is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelsvc.labeling.neighbours import nearest
from labelsvc.records import ClassCodes

NEIGHBOURS = 10
LEAD = 0.4  # of the votes: 7 against 3, 6 against 2
FEWEST = NEIGHBOURS + 1  # labeled rows; with fewer nothing is said


@dataclass(frozen=True)
class Votes:
    """What the neighbours of each row say: the votes of every class, and how many were cast."""

    counts: NDArray[np.int64]  # [rows, classes]

    @property
    def favourite(self) -> ClassCodes:
        """The class with most votes; of equals, the first."""
        most: ClassCodes = self.counts.argmax(axis=1).astype(np.int32)
        return most

    def of(self, classes: ClassCodes) -> NDArray[np.int64]:
        """Return how many votes each row has for the class named for it [rows]."""
        return self.counts[np.arange(len(classes)), classes]

    def lead(self, given: ClassCodes) -> NDArray[np.float64]:
        """Return by which share of the votes the favourite leads the given class: 0 where they are the same.

        >>> Votes(np.array([[7, 3], [6, 4], [0, 10]])).lead(np.array([1, 1, 1], np.int32))
        array([0.4, 0.2, 0. ])
        """
        cast = self.counts.sum(axis=1).clip(min=1)
        shares: NDArray[np.float64] = (self.of(self.favourite) - self.of(given)) / cast
        return shares


def vote(places: NDArray[np.float32], given: ClassCodes, apart: NDArray[np.int64], classes: int) -> Votes:
    """Let the neighbours of each row vote with their given labels.

    Args:
        places: unit vectors of the labeled rows [rows, components].
        given: their classes.
        apart: a number for each row; rows that share it (of one group, or copies) do not vote for each other.
        classes: how many there are.
    """
    around = nearest(places, apart, NEIGHBOURS)
    counts = np.zeros((len(given), classes), np.int64)
    row, place = np.nonzero(np.isfinite(around.distances))
    np.add.at(counts, (row, given[around.rows[row, place]]), 1)
    return Votes(counts)


def suspicious(votes: Votes, given: ClassCodes) -> NDArray[np.bool_]:
    """Return for each row whether another class leads the given one by ``LEAD`` of the votes; none among few rows."""
    if len(given) < FEWEST:
        return np.zeros(len(given), dtype=bool)
    return votes.lead(given) >= LEAD


def rivals(contents: NDArray[np.int64], given: ClassCodes) -> NDArray[np.int64]:
    """Return for each row one of the same content that is given another class, −1 where there is none.

    >>> rivals(np.array([0, 1, 1, 2, 2]), np.array([5, 5, 5, 5, 6], np.int32))
    array([-1, -1, -1,  4,  3])
    """
    _, content = np.unique(contents, return_inverse=True)
    order = np.lexsort((given, content))
    ends = (np.searchsorted(content, content, side=side, sorter=order) for side in ("left", "right"))
    first, last = (order[place] for place in (next(ends), next(ends) - 1))  # of the content: least and greatest class
    rival = np.where(given[first] != given, first, last)
    return np.where(given[rival] != given, rival, -1)
