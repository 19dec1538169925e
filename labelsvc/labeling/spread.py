"""Few labels spread over the neighbour graph of many rows.

Calder, Cook, Thorpe and Slepčev, "Poisson Learning: Graph Based Semi-Supervised Learning at Very Low Label Rates",
ICML 2020: each label is a source of its class, and what flows from it over the graph to a row decides. With weights W
between neighbours, degrees d, and the m labels y_j at rows x_j:

    L u(x_i) = Σ_j (y_j − ȳ) δ_ij,     L = D − W                                                            (eq. 1.2)
    u ← u + D⁻¹ (b − L u) = D⁻¹ (W u + b),   from u = 0                                                   (algorithm 1)
    u_c · π_c / ȳ_c decides, with ȳ the labels' and π the classes' shares                                     (eq. 1.3)

Where label propagation would be flat but for spikes at the labels, the flow still has a slope. Weights are
w = exp(−4 |x − y|² / d_k(x)²) with d_k the distance of the k-th neighbour, made symmetric (their section 4).

Deviation: a fixed number of steps instead of a test of mixing. Knows no store and no network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from labelsvc.labeling.neighbours import Neighbours
from labelsvc.records import ClassCodes

NEIGHBOURS = 10  # k
STEPS = 200  # from a source to a row at the far end of a cluster


def graph(around: Neighbours) -> csr_matrix:
    """Return the weights between neighbours [rows, rows], symmetric, of all rows and their nearest ones."""
    rows, count = around.rows.shape
    furthest = around.distances[:, -1:].clip(min=1e-6)
    weights = np.exp(-4 * (around.distances / furthest) ** 2).astype(np.float32)
    places = (np.repeat(np.arange(rows), count), around.rows.ravel())
    directed = csr_matrix((weights.ravel(), places), shape=(rows, rows))
    return (directed + directed.T) / 2


@dataclass(frozen=True)
class Spread:
    """The class that reached each row most, and how far it leads, as a share of the strongest flow: 0 for a tie."""

    classes: ClassCodes
    lead: NDArray[np.float32]

    def surest(self, share: float) -> NDArray[np.bool_]:
        """Return which rows are among the surest ``share`` of their own class.

        >>> Spread(np.array([0, 0, 1, 1]), np.array([0.9, 0.1, 0.2, 0.3], np.float32)).surest(0.5)
        array([ True, False, False,  True])
        """
        chosen = np.zeros(len(self.classes), dtype=bool)
        for code in np.unique(self.classes):
            rows = np.flatnonzero(self.classes == code)
            chosen[rows[np.argsort(-self.lead[rows], kind="stable")[: round(share * len(rows))]]] = True
        return chosen


def spread(weights: csr_matrix, sources: NDArray[np.int64], given: ClassCodes, prior: NDArray[np.float64]) -> Spread:
    """Spread labels to all rows; a class without a label reaches none.

    Args:
        weights: between rows, symmetric.
        sources: the labeled rows.
        given: their classes.
        prior: π, how frequent each class is.
    """
    present, place = np.unique(given, return_inverse=True)
    arrived = flow(weights, sources, place, prior[present])
    best = np.sort(arrived, axis=1)[:, ::-1]
    rival = best[:, 1] if len(present) > 1 else np.zeros_like(best[:, 0])
    lead = (best[:, 0] - rival) / np.abs(arrived).max(axis=1).clip(min=1e-30)
    return Spread(present[arrived.argmax(axis=1)].astype(np.int32), lead)


def flow(
    weights: csr_matrix, sources: NDArray[np.int64], place: NDArray[np.int64], prior: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return what flows to each row from the labels of each class [rows, classes], for classes that all have some."""
    labels = np.bincount(place, minlength=len(prior)) / len(place)  # ȳ
    fed = np.zeros((weights.shape[0], len(prior)), np.float32)  # b
    fed[sources, place] = 1
    fed[sources] -= labels
    away = (1 / np.asarray(weights.sum(axis=1)).ravel().clip(min=1e-9)).astype(np.float32)  # D⁻¹
    passed, fed = diags(away) @ weights, away[:, None] * fed
    arrived = np.zeros_like(fed)  # u
    for _ in range(STEPS):
        arrived = passed @ arrived + fed
    found: NDArray[np.float32] = (arrived * (prior / labels)).astype(np.float32)
    return found
