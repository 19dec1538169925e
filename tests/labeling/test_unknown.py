"""The gate: a cluster of the pool without a label is told from those with labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from labelsvc.labeling import unknown


def blobs(rows: int, centres: list[int], *, seed: int) -> tuple[Tensor, np.ndarray]:
    """Return features around some of ten corners, and which corner each is of."""
    generator = np.random.default_rng(seed)
    corner = generator.choice(centres, rows)
    features = np.eye(10)[corner] * 6 + generator.normal(size=(rows, 10)) + 2
    return torch.from_numpy(features.astype(np.float32)), corner


def learnt(pool: Tensor, labeled: Tensor, corners: np.ndarray) -> unknown.Neighbourhood:
    """Return the neighbourhood of labeled rows that are predicted right."""
    return unknown.learn(labeled, corners.astype(np.int32), pool, classes=10)


def test_a_cluster_without_labels_is_unfamiliar() -> None:
    """Of a corner that no label names, nearly all rows fall below the limit, of the others few; it is noticed."""
    labeled, corners = blobs(500, [0, 1, 2, 3], seed=1)
    pool, of = blobs(4000, [0, 1, 2, 3, 4], seed=2)
    found = learnt(pool, labeled, corners)
    nearest = of % 4  # a network that knows four corners puts the fifth somewhere
    familiarity = found.familiarity(pool, nearest.astype(np.int32))
    strange = familiarity < found.limit
    assert strange[of == 4].mean() > 0.9
    assert strange[of != 4].mean() < 0.06
    held_out = unknown.Strange(int(strange[of != 4][:300].sum()), 300)
    for known in (held_out, unknown.Strange(0, 0)):
        assert unknown.looks_unknown(unknown.Strange(int(strange.sum()), len(pool)), known)


def test_a_pool_like_the_labels_surprises_nobody() -> None:
    """Where every corner has labels, no more of the pool is unfamiliar than of the labels."""
    labeled, corners = blobs(500, [0, 1, 2, 3], seed=1)
    pool, of = blobs(4000, [0, 1, 2, 3], seed=2)
    found = learnt(pool, labeled, corners)
    strange = found.familiarity(pool, of.astype(np.int32)) < found.limit
    for known in (unknown.Strange(int(strange[:300].sum()), 300), unknown.Strange(0, 0)):
        assert not unknown.looks_unknown(unknown.Strange(int(strange[300:].sum()), 3700), known)


def test_another_balance_is_no_unknown_class() -> None:
    """A corner that is ten times as frequent in the pool as among the labels has labels all the same."""
    labeled, corners = blobs(500, [0, 1, 2, 3], seed=1)
    pool, of = blobs(4000, [0] * 10 + [1, 2, 3], seed=2)
    found = learnt(pool, labeled, corners)
    strange = found.familiarity(pool, of.astype(np.int32)) < found.limit
    for known in (unknown.Strange(int(strange[:300].sum()), 300), unknown.Strange(0, 0)):
        assert not unknown.looks_unknown(unknown.Strange(int(strange[300:].sum()), 3700), known)


def test_few_labels_have_no_neighbourhood() -> None:
    """With too few labels, or too small a pool, nothing is said about unknown classes."""
    assert unknown.is_possible(unknown.FEWEST_LABELS, unknown.FEWEST_REFERENCES)
    assert not unknown.is_possible(unknown.FEWEST_LABELS - 1, 10**6)
    assert not unknown.is_possible(10**6, unknown.FEWEST_REFERENCES - 1)
