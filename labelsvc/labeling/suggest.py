"""Which rows of the pool to label next: first what the labels do not reach, then what the model doubts.

Rows and labeled rows are dealt into as many clusters as there will be labeled rows. Of clusters that
hold no labeled row the most central row is taken, those first whose rows are farthest from any labeled one in all (the
potential of k-means++): this finds what no label speaks of, and is what pays while labels are few (Hacohen et al. 2022,
"Active learning on a budget"). With many labels clusters are larger, and one counts only where chance would hardly have
left it empty. What is still wanted then goes to the doubtful rows: the ten times as many most doubtful ones are dealt
into clusters, weighted by their doubt, and the most central row of each is taken, so that no two are alike (Zhdanov
2019, "Diverse mini-batch active learning").

Knows nothing of pictures, labels and models: it is given places in some space, and doubts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from labelsvc.labeling.patches import Features

MOST_CLUSTERS = 300
TURNS = 25  # of k-means
EXPECTED = 3.0  # labeled rows in a cluster by chance, so that it is empty one time in twenty
DOUBTFUL = 10  # times as many rows are looked at as are wanted

Places = NDArray[np.int64]  # of rows among those that were given


@dataclass(frozen=True)
class Suggested:
    """Rows, the most useful first; ``cluster_rows`` is how many rows are like one, 0 where doubt was the reason."""

    places: Places
    cluster_rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)


def suggest(rows: Features, labeled: Features, doubt: NDArray[np.float64], *, n: int, seed: int) -> Suggested:
    """Return up to ``n`` of ``rows`` [rows, features], none twice; the same arguments give the same rows.

    Args:
        rows: where the pool's rows lie.
        labeled: where the labeled ones do.
        doubt: of each row, from 0 on; 0 where the model is certain.
        n: how many are wanted.
        seed: decides where clusters start.
    """
    if n >= len(rows):
        order = np.argsort(-doubt, kind="stable")
        return Suggested(order, np.zeros(len(order), np.int64))
    apart, sizes = _unreached(rows, labeled, n=n, seed=seed)
    rest = _doubtful(rows, np.where(np.isin(np.arange(len(rows)), apart), -1.0, doubt), n=n - len(apart), seed=seed)
    return Suggested(np.concatenate([apart, rest]), np.concatenate([sizes, np.zeros(len(rest), np.int64)]))


def _unreached(rows: Features, labeled: Features, *, n: int, seed: int) -> tuple[Places, NDArray[np.int64]]:
    """Return the most central row of each cluster without a labeled one, and how many rows are in it."""
    everything = np.concatenate([rows, labeled])
    few = len(labeled) + n <= MOST_CLUSTERS
    wanted = len(labeled) + n if few else min(int(len(labeled) / (2 * EXPECTED)) + 1, MOST_CLUSTERS)
    count = min(wanted, len(np.unique(everything, axis=0)))
    model = KMeans(count, n_init=1, max_iter=TURNS, random_state=seed).fit(everything)
    cluster = model.labels_[: len(rows)]
    sizes = np.bincount(cluster, minlength=count)
    free = np.setdiff1d(cluster, model.labels_[len(rows) :])
    if not few:
        free = free[sizes[free] * len(labeled) >= EXPECTED * len(rows)]
    weight = np.bincount(cluster, weights=_distance(rows, labeled) ** 2, minlength=count)
    chosen = free[np.argsort(-weight[free], kind="stable")][:n]
    places = [_central(rows, np.flatnonzero(cluster == one), model.cluster_centers_[one]) for one in chosen]
    return np.array(places, np.int64), sizes[chosen]


def _distance(rows: Features, labeled: Features) -> NDArray[np.float64]:
    """Return how far each row is from the nearest labeled one; 1 where there is none."""
    if not len(labeled):
        return np.ones(len(rows))
    found = NearestNeighbors(n_neighbors=1).fit(labeled).kneighbors(rows)[0]
    return np.asarray(found[:, 0])


def _doubtful(rows: Features, doubt: NDArray[np.float64], *, n: int, seed: int) -> Places:
    """Return ``n`` of the most doubtful rows that are unlike each other; a negative doubt rules a row out."""
    order = np.argsort(-doubt, kind="stable")[: min(DOUBTFUL * n, int((doubt >= 0).sum()))]
    if len(order) <= n:
        return order
    weights = doubt[order] + 1e-6  # certain rows count, too, where there is nothing else
    clusters = min(n, len(np.unique(rows[order], axis=0)))
    model = KMeans(clusters, n_init=1, max_iter=TURNS, random_state=seed).fit(rows[order], sample_weight=weights)
    chosen = [_central(rows, order[model.labels_ == one], model.cluster_centers_[one]) for one in range(clusters)]
    spare = order[~np.isin(order, chosen)][: n - len(chosen)]
    places = np.concatenate([np.array(chosen, np.int64), spare])
    return places[np.argsort(-doubt[places], kind="stable")]


def _central(rows: Features, some: Places, centre: Features) -> int:
    return int(some[((rows[some] - centre) ** 2).sum(axis=1).argmin()])
