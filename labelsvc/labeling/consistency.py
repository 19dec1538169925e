"""Labels spread over a neighbour graph until they agree with the labels and with each other.

Zhou, Bousquet, Lal, Weston and Schölkopf, "Learning with Local and Global Consistency", NIPS 2003. With weights W
between neighbours, degrees D, and Y the labels, a one for each labeled row's class:

    S = D^(−1/2) W D^(−1/2)                                                                        (step 2)
    F ← α S F + (1 − α) Y,   from F = Y                                                            (step 3)
    argmax_c F_c decides                                                                           (step 4)

A class whose few labels lie at the foot of others' clusters takes them whole. Zhu, Ghahramani and Lafferty,
"Semi-Supervised Learning Using Gaussian Fields and Harmonic Functions", ICML 2003, scale the classes until each has the
mass that it has among the labels (class mass normalization, their section 4); ``balance`` says how far.

Deviations: W is that of ``spread.graph`` (k nearest neighbours, each row with a scale of its own), where the paper has
all pairs and one scale; a fixed number of steps; rows of F are made to sum to one, so that they can be calibrated, and
classes are scaled again until the rows so made agree, half of the way: labels tell shares roughly.
Where the rows lie is the caller's choice: among a network's features they are closer to what labels say than as they
came. Knows no store and no network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from labelsvc.labeling.neighbours import Neighbours, principal
from labelsvc.labeling.spread import graph
from labelsvc.methods.hyperparameters import check, choice, number
from labelsvc.records import ClassCodes

STEPS = 40  # after which α^steps, what is left to come, is 1.5%
SCALINGS = 40  # after which the masses of classes are the labels'
DOUBT = 0.003  # shared by all classes, so that a class of which nothing arrived is unlikely and not impossible
BEST = "best"


@dataclass(frozen=True)
class Spreading:
    """Spread the labels over rows, and let a network learn what arrives."""

    over: str = choice(
        BEST,
        (BEST, "rows", "supervised", "softmatch"),
        "where neighbours are near: the rows as they are, or features of a network that learnt so; best compares them",
    )
    neighbours: int = number(15, 1, 1000, "of each row", symbol="k")
    alpha: float = number(0.9, 0, 1, "how much a row hears of its neighbours", symbol="α", is_open=True)
    rounds: int = number(
        3, 1, 20, "times that labels spread, each over what a network made of the last; once where folds say so"
    )
    balance: float = number(0.5, 0, 1, "how far classes are brought to the shares that they have of the labels")

    citation = "Zhou et al., NIPS 2003"
    advice = (
        "For tables and vectors whose classes lie in clusters or along curves: digits, letters, embeddings. Where "
        "classes overlap, as in most tables of people, it gains nothing; --method auto takes it where it wins."
    )

    def __post_init__(self) -> None:
        check(self)

    def spread(
        self,
        places: NDArray[np.float32],
        sources: NDArray[np.int64],
        given: ClassCodes,
        class_count: int,
        *,
        is_balanced: bool = False,
    ) -> NDArray[np.float32]:
        """Return what arrived at each row, as log probabilities [rows, classes].

        Args:
            places: where the rows lie [rows, dimensions].
            sources: the labeled rows.
            given: their classes.
            class_count: how many classes there are; none arrives of one without a label.
            is_balanced: whether all classes are equally frequent; else each is as frequent as among the labels.
        """
        labels = np.zeros((len(places), class_count), np.float32)  # Y
        labels[sources, given] = 1
        passed = _normalised(graph(_nearest(places, self.neighbours)))  # S
        arrived = labels  # F
        for _ in range(STEPS):
            arrived = self.alpha * (passed @ arrived) + (1 - self.alpha) * labels
        counts = np.bincount(given, minlength=class_count)
        wanted = counts > 0 if is_balanced else counts
        scales = _scales(_shares(arrived[arrived.any(axis=1)]), wanted / wanted.sum())
        shares = _shares(arrived * scales**self.balance)
        said: NDArray[np.float32] = np.log(_shares(shares + DOUBT / class_count)).astype(np.float32)
        return said


def _shares(masses: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return each row as shares of its sum; one of nothing but zeros stays so."""
    shares: NDArray[np.floating] = masses / masses.sum(axis=1, keepdims=True).clip(min=1e-30)
    return shares


def _scales(shares: NDArray[np.floating], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by what to scale the classes so that the mean over rows is as ``wanted``."""
    scales = np.ones(len(wanted))
    for _ in range(SCALINGS):
        found = _shares(shares * scales).mean(axis=0)
        scales *= np.sqrt(wanted / found.clip(min=1e-30))  # half of the step, so that it cannot swing
    return scales


def _normalised(weights: csr_matrix) -> csr_matrix:
    """Return S: each weight over the root of both its rows' degrees."""
    root = diags(1 / np.sqrt(np.asarray(weights.sum(axis=1)).ravel().clip(min=1e-12)))
    return (root @ weights @ root).astype(np.float32).tocsr()


def _nearest(places: NDArray[np.float32], count: int) -> Neighbours:
    """Return the ``count`` nearest other rows of each, by their distance along the first principal components."""
    from sklearn.neighbors import NearestNeighbors

    count = min(count, len(places) - 1)
    distances, rows = NearestNeighbors(n_neighbors=count).fit(principal(places)).kneighbors()
    return Neighbours(rows.astype(np.int64), distances.astype(np.float32))
