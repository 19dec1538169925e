"""Which rows may be of a class that no label names: where the pool is dense and no labeled row is near.

A classifier must put a seven among the classes that it knows, and trained on the pool it learns to be sure of it: on
MNIST without a label for 7, its confidence, its energy and its Mahalanobis distance all fail to tell (docs/unknown.md).
What does tell is that labels, drawn from the same world as the pool, ought to lie wherever the pool lies. So, in the
space of the features, a pool row u is asked how many of R reference rows are closer to it than its j-th labeled one:

    r(u) = −log(1 + #{reference rows closer to u than its j-th nearest labeled row})

A row's familiarity is the mean of r over its k nearest reference rows (a cluster without labels speaks with one voice),
less the median of that mean over the labeled rows of its predicted class. The limit is the familiarity under which
``LOST`` of the labeled rows themselves fall, each with its own label out of sight. Whether the gate is closed is
decided by inputs alone: those of validation and calibration rows are of known classes, whichever they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.stats import fisher_exact
from torch import Tensor

NEAREST_LABEL = 5  # j
VOICES = 20  # k
REFERENCES = 8000  # R, at most
DIMENSIONS = 64  # principal directions of the features that are kept
FEWEST_LABELS = 300  # of 100 digits, a quickstart found 7% of a pool strange that was not
FEWEST_REFERENCES = 500
LOST = 0.02  # of the labeled rows
SURPRISE = 0.001  # level of the test that more of the pool than of held-out labeled rows is unfamiliar
FEWEST_HELD_OUT = 100
MANIFOLD = 3  # that many times the lost share, where there are fewer
BLOCK = 4096


@dataclass(frozen=True)
class Neighbourhood:
    """The pool's and the labels' places among the features, learnt once for a model and a pool."""

    centre: Float[Tensor, " features"]
    directions: Float[Tensor, "features kept"]
    references: Float[Tensor, "references kept"]
    ranks: Float[Tensor, " references"]  # r
    usual: NDArray[np.float64]  # of the labeled rows predicted as each class, the median
    labeled: NDArray[np.float64]  # the labeled rows' own familiarity, ascending

    @property
    def limit(self) -> float:
        """The familiarity under which a row may be of an unknown class."""
        return float(self.labeled[_outliers(len(self.labeled)) - 1])

    def familiarity(
        self, features: Float[Tensor, "rows features"], predicted: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Return how familiar each row is [rows]; the lower, the stranger."""
        nearest = torch.cdist(_placed(features, self.centre, self.directions), self.references)
        voices = self.ranks[nearest.topk(min(VOICES, len(self.ranks)), largest=False).indices]
        return voices.mean(dim=1).numpy().astype(np.float64) - self.usual[predicted]


@dataclass(frozen=True)
class Strange:
    """How many of some rows are below the limit."""

    strange: int
    rows: int

    @property
    def share(self) -> float:
        """The share of them."""
        return self.strange / max(self.rows, 1)


def learn(
    labeled: Float[Tensor, "labeled features"],
    labeled_predicted: NDArray[np.int32],
    references: Float[Tensor, "references features"],
    classes: int,
) -> Neighbourhood:
    """Return the neighbourhood of labeled rows and of reference rows drawn from the pool, on the CPU.

    Args:
        labeled: features of the rows that the network learnt from with their labels.
        labeled_predicted: the class that the network says of each.
        references: features of rows drawn at random from the pool.
        classes: how many there are.
    """
    unit = torch.nn.functional.normalize(references, dim=1)
    centre = unit.mean(dim=0)
    directions = torch.linalg.svd(unit - centre, full_matrices=False).Vh[:DIMENSIONS].T
    own, theirs = _placed(labeled, centre, directions), _placed(references, centre, directions)
    near = torch.cdist(theirs, own).topk(NEAREST_LABEL + 1, largest=False)
    ranks = _ranks(theirs, near.values[:, -2:])
    familiar = _without_themselves(own, theirs, ranks, near.indices[:, :-1])
    usual = np.array([_median(familiar[labeled_predicted == code]) for code in range(classes)])
    return Neighbourhood(centre, directions, theirs, ranks[:, 0], usual, np.sort(familiar - usual[labeled_predicted]))


def is_possible(labeled: int, references: int) -> bool:
    """Return whether there is enough to learn a neighbourhood from."""
    return labeled >= FEWEST_LABELS and references >= FEWEST_REFERENCES


def looks_unknown(pool: Strange, held_out: Strange) -> bool:
    """Return whether more of the pool is below the limit than of labeled rows that nobody learnt from.

    Fisher's exact test, one-sided, at ``SURPRISE``; where too few such rows are kept, ``MANIFOLD`` times as many of
    the pool as of the labeled rows are asked for.

    >>> looks_unknown(Strange(6_000, 50_000), Strange(5, 300)), looks_unknown(Strange(1_200, 50_000), Strange(5, 300))
    (True, False)
    """
    if held_out.rows < FEWEST_HELD_OUT:
        return pool.share > MANIFOLD * LOST
    table = [[each.strange, each.rows - each.strange] for each in (pool, held_out)]
    return bool(fisher_exact(table, alternative="greater").pvalue < SURPRISE)


def _outliers(rows: int) -> int:
    return max(1, int(LOST * rows))


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _placed(features: Tensor, centre: Tensor, directions: Tensor) -> Tensor:
    """Return features by their directions alone, in the space that keeps most of the references' variety."""
    return (torch.nn.functional.normalize(features, dim=1) - centre) @ directions


def _ranks(
    references: Float[Tensor, "references kept"], labels: Float[Tensor, "references two"]
) -> Float[Tensor, "references two"]:
    """Return r of each reference row for its j-th and its (j + 1)-th nearest label's distance."""
    found = []
    for start in range(0, len(references), BLOCK):
        between = torch.cdist(references[start : start + BLOCK], references)
        limits = labels[start : start + BLOCK]
        closer = torch.stack([(between < limit[:, None]).sum(dim=1) for limit in limits.T], dim=1)
        found.append(-torch.log(closer.float().clamp(min=1)))  # a row is closer to itself than any label: it is the 1
    return torch.cat(found)


def _without_themselves(
    labeled: Float[Tensor, "labeled kept"],
    references: Float[Tensor, "references kept"],
    ranks: Float[Tensor, "references two"],
    near: Int[Tensor, "references j"],
) -> NDArray[np.float64]:
    """Return how familiar each labeled row would be were it not labeled: its voices count one label further out."""
    voices = torch.cdist(labeled, references).topk(min(VOICES, len(references)), largest=False).indices
    themselves = torch.arange(len(labeled))[:, None, None]
    is_counted = (near[voices] == themselves).any(dim=2)
    heard = torch.where(is_counted, ranks[voices, 1], ranks[voices, 0])
    return heard.mean(dim=1).numpy().astype(np.float64)
