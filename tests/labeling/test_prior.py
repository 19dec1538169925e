"""The pool's class frequencies without labels, and probabilities adjusted to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from labelsvc.labeling.prior import adjust, distance, estimate_prior, is_shifted

EVEN = np.full(3, 1 / 3)
CENTRES = np.array([[0.0, 2.0], [2.0, 0.0], [-2.0, -1.0]])


def world(prior: NDArray[np.float64], rows: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what is exactly true of points around three centres, were these equally frequent, and their classes."""
    random = np.random.default_rng(seed)
    classes = random.choice(3, size=rows, p=prior)
    points = CENTRES[classes] + random.normal(size=(rows, 2))
    distances = ((points[:, None] - CENTRES) ** 2).sum(axis=2)
    return softmax(-distances / 2, axis=1), classes


@pytest.mark.parametrize("prior", [(1 / 3, 1 / 3, 1 / 3), (0.1, 0.3, 0.6), (0.02, 0.2, 0.78)])
def test_frequencies_are_found_without_labels(prior: tuple[float, ...]) -> None:
    """Where probabilities are exact, the estimate comes within chance of the truth, whatever it is."""
    probabilities, classes = world(np.array(prior), 20_000)
    counted = np.bincount(classes, minlength=3) / len(classes)
    np.testing.assert_allclose(estimate_prior(probabilities, EVEN), counted, atol=0.01)


def test_the_estimate_is_a_fixed_point_and_the_likeliest() -> None:
    """It equals the mean of the adjusted probabilities, and no frequencies near it make the pool likelier."""
    probabilities, _ = world(np.array([0.1, 0.3, 0.6]), 3000)
    found = estimate_prior(probabilities, EVEN)
    np.testing.assert_allclose(adjust(probabilities, EVEN, found).mean(axis=0), found, atol=1e-5)

    def likelihood(prior: NDArray[np.float64]) -> float:
        return float(np.log((probabilities / EVEN * prior).sum(axis=1)).sum())

    random = np.random.default_rng(0)
    for _ in range(50):
        other = np.abs(found + random.normal(scale=0.02, size=3))
        assert likelihood(other / other.sum()) < likelihood(found)


def test_adjusted_probabilities_are_calibrated_in_the_pools_world() -> None:
    """In a pool of other frequencies the labels at .95 are right about as often as they now say, and more are right."""
    probabilities, classes = world(np.array([0.02, 0.2, 0.78]), 20_000)
    adjusted = adjust(probabilities, EVEN, estimate_prior(probabilities, EVEN))
    right = adjusted.argmax(axis=1) == classes
    assert right.mean() > (probabilities.argmax(axis=1) == classes).mean()
    assert right.mean() == pytest.approx(adjusted.max(axis=1).mean(), abs=0.01)


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_an_adjustment_to_the_same_frequencies_changes_nothing(weights: list[float]) -> None:
    """From any prior to itself, probabilities stay; there and back again too; a row always adds up to 1."""
    prior = np.array(weights) / sum(weights)
    probabilities, _ = world(EVEN, 20)
    np.testing.assert_allclose(adjust(probabilities, prior, prior), probabilities)
    there = adjust(probabilities, EVEN, prior)
    np.testing.assert_allclose(there.sum(axis=1), 1)
    np.testing.assert_allclose(adjust(there, prior, EVEN), probabilities)


def test_it_is_the_adjustment_of_logits() -> None:
    """Adjusted probabilities are the softmax of the logits plus log(pool / trained)."""
    logits = np.random.default_rng(0).normal(size=(50, 3))
    trained, pool = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.1, 0.8])
    expected = softmax(logits + np.log(pool / trained), axis=1)
    np.testing.assert_allclose(adjust(softmax(logits, axis=1), trained, pool), expected)


def test_a_class_without_labels_stays_without() -> None:
    """A frequency of 0 divides by nothing: a class that no label names keeps next to none of the pool."""
    probabilities, _ = world(EVEN, 500)
    found = estimate_prior(np.c_[probabilities, np.zeros(500)], np.array([7.0, 7.0, 7.0, 0.0]))
    assert np.isfinite(found).all()
    assert found[3] < 1e-5


def test_an_empty_pool_is_as_the_labels() -> None:
    """Without rows nothing is learnt of the pool; counts do as well as frequencies."""
    np.testing.assert_allclose(estimate_prior(np.empty((0, 3)), np.array([1.0, 1.0, 2.0])), [0.25, 0.25, 0.5])


@pytest.mark.parametrize("rows", [300, 3000])
def test_a_shift_is_no_chance(rows: int) -> None:
    """Of 200 pools with the labels' own balance at most four are called shifted; of 200 that are 10:1, all are."""
    random = np.random.default_rng(0)
    counts = random.multinomial(700, EVEN).astype(float)
    same = [is_shifted(counts, random.multinomial(rows, EVEN) / rows, rows) for _ in range(200)]
    other = [is_shifted(counts, random.multinomial(rows, [0.05, 0.45, 0.5]) / rows, rows) for _ in range(200)]
    assert sum(same) <= 4
    assert all(other)
    assert not is_shifted(counts, EVEN, 0)


def test_the_distance_is_what_would_have_to_move() -> None:
    """It is 0 for the same balance, however it is counted, 1 for balances with nothing in common, and symmetric."""
    first, second = np.array([3.0, 1.0, 0.0]), np.array([0.0, 0.0, 5.0])
    assert distance(first, first / 4) == 0
    assert distance(first, second) == distance(second, first) == 1
