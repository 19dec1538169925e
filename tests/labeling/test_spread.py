"""Spread labels against Poisson's equation solved directly, and what they must do on clusters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from labelsvc.labeling import spread as spreading
from labelsvc.labeling.neighbours import Neighbours, directions, nearest
from labelsvc.labeling.spread import flow, graph, spread

UNIFORM = np.array([0.5, 0.5])


def chain(rows: int) -> Neighbours:
    """Return rows on a ring, each with its two neighbours at the same distance."""
    places = np.arange(rows)
    around = np.stack([(places - 1) % rows, (places + 1) % rows], axis=1)
    return Neighbours(around, np.full((rows, 2), 0.5, np.float32))


def clusters(rows: int, *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return rows in three directions with noise, and which direction each has."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(3, size=rows)
    features = 4 * np.eye(3, 6)[classes] + rng.normal(size=(rows, 6))
    return features.astype(np.float32), classes


def around(features: NDArray[np.float32]) -> Neighbours:
    """Return the ten nearest of each row."""
    return nearest(directions(features), np.arange(len(features)), 10)


def test_weights_are_symmetric_and_fall_with_distance() -> None:
    """W = exp(−4 d² / d_k²), the mean of both directions; a row is no neighbour of its own."""
    found = graph(around(clusters(200)[0])).toarray()
    assert np.array_equal(found, found.T)
    assert (found.diagonal() == 0).all()
    near = Neighbours(np.array([[1, 2], [0, 2], [0, 1]]), np.array([[0.1, 0.2], [0.1, 0.3], [0.2, 0.3]], np.float32))
    weights = graph(near).toarray()
    assert weights[0, 1] == pytest.approx((np.exp(-4 * 0.25) + np.exp(-4 / 9)) / 2)
    assert weights[0, 2] == pytest.approx((np.exp(-4) + np.exp(-4 * 4 / 9)) / 2)


def test_the_flow_solves_poissons_equation(monkeypatch: pytest.MonkeyPatch) -> None:
    """After many steps L u = b but for a constant in each class, with L = D − W and b the labels less their mean."""
    monkeypatch.setattr(spreading, "STEPS", 20_000)
    weights = graph(chain(9))
    sources, place = np.array([0, 3, 4]), np.array([0, 1, 1])
    prior = np.array([1 / 3, 2 / 3])  # as among the labels, so that nothing is scaled
    found = flow(weights, sources, place, prior).astype(np.float64)
    dense = weights.toarray().astype(np.float64)
    laplacian = np.diag(dense.sum(axis=1)) - dense
    told = np.zeros((9, 2))
    told[sources, place] = 1
    told[sources] -= prior
    np.testing.assert_allclose(laplacian @ found, told, atol=1e-4)
    assert np.abs(told.sum(axis=0)).max() < 1e-12, "sources and sinks cancel, so that there is a solution"


def test_a_frequent_class_reaches_further() -> None:
    """π scales what flows: among three classes, the more frequent one is, the more rows are its."""
    weights = graph(chain(60))
    sources, given = np.array([0, 20, 40]), np.array([0, 1, 2], np.int32)
    even, skewed = (
        spread(weights, sources, given, np.array([share, (1 - share) / 2, (1 - share) / 2])) for share in (1 / 3, 0.8)
    )
    assert np.bincount(even.classes).tolist() == pytest.approx([20, 20, 20], abs=2)
    assert (skewed.classes == 0).sum() > (even.classes == 0).sum()


def test_one_label_names_its_cluster() -> None:
    """With one label for each of three clusters nearly all rows get their own class, surest ones more often."""
    features, classes = clusters(900)
    sources = np.array([np.flatnonzero(classes == code)[0] for code in range(3)])
    found = spread(graph(around(features)), sources, np.arange(3, dtype=np.int32), np.full(3, 1 / 3))
    right = found.classes == classes
    assert right.mean() > 0.95
    surest = found.surest(0.5)
    assert right[surest].mean() > 0.99
    assert np.bincount(classes[surest], minlength=3).min() > 100


def test_a_class_without_a_label_reaches_nothing() -> None:
    """Codes of classes survive where one in their midst has no label."""
    features, classes = clusters(300)
    sources = np.array([np.flatnonzero(classes == code)[0] for code in (0, 2)])
    found = spread(graph(around(features)), sources, np.array([0, 2], np.int32), np.array([0.5, 0.0, 0.5]))
    assert set(found.classes.tolist()) == {0, 2}
    assert np.isfinite(found.lead).all()


def test_a_single_class_is_everywhere() -> None:
    """With one class there is no rival."""
    found = spread(graph(chain(6)), np.array([2]), np.array([1], np.int32), UNIFORM)
    assert (found.classes == 1).all()
    assert np.isfinite(found.lead).all()
