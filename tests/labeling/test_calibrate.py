"""Confidence that means what it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from labelsvc.labeling.calibrate import (
    BOUNDS,
    PRIOR,
    fit_temperature,
    honest_temperature,
    match_temperature,
    negative_log_likelihood,
    probabilities,
)
from labelsvc.records import ClassCodes


def drawn(temperature: float, *, rows: int = 20_000, seed: int = 0) -> tuple[NDArray[np.float64], ClassCodes]:
    """Return logits, and classes drawn as softmax(logits / temperature) says."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((rows, 5))
    cumulated = probabilities(logits, temperature).cumsum(axis=1)
    return logits, (rng.random((rows, 1)) > cumulated).sum(axis=1).clip(max=4).astype(np.int32)


def test_rows_sum_to_one_in_float64() -> None:
    """Probabilities are float64 and sum to one, also of logits whose powers overflow."""
    logits = np.array([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0], [-800.0, -800.0, -801.0]])
    for temperature in (0.1, 1.0, 7.0):
        found = probabilities(logits, temperature)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    """Where classes were drawn under a temperature, the fit gives it back."""
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_the_fit_is_the_likeliest() -> None:
    """No other temperature makes the classes likelier, given the prior on its logarithm."""
    logits, classes = drawn(1.7, rows=500)

    def cost(temperature: float) -> float:
        prior = np.log(temperature) ** 2 / (2 * PRIOR**2 * len(classes))
        return negative_log_likelihood(logits, classes, temperature) + float(prior)

    best = cost(fit_temperature(logits, classes))
    assert all(best <= cost(temperature) for temperature in np.exp(np.linspace(*BOUNDS, 61)))


def test_a_few_right_rows_claim_no_certainty() -> None:
    """Three rows that are all right hardly sharpen, thousands do; all wrong, thousands blunt."""
    logits = np.eye(3) * 2.0
    right, wrong = np.array([0, 1, 2], np.int32), np.array([1, 2, 0], np.int32)
    assert 0.5 < fit_temperature(logits, right) < 1
    many = np.tile(logits, (2000, 1))
    assert np.exp(BOUNDS[0]) <= fit_temperature(many, np.tile(right, 2000)) < 0.4
    assert 5 < fit_temperature(many, np.tile(wrong, 2000)) <= np.exp(BOUNDS[1])


def test_calibration_changes_no_answer() -> None:
    """Whatever the temperature, the likeliest class stays the likeliest."""
    logits, _ = drawn(1.0, rows=200)
    for temperature in np.exp([*BOUNDS, 0.7]):
        assert np.array_equal(probabilities(logits, temperature).argmax(axis=1), logits.argmax(axis=1))


def test_the_likelihood_is_a_mean_over_rows() -> None:
    """−log p(class) is averaged over rows."""
    logits = np.log([[0.5, 0.5], [0.9, 0.1]])
    found = negative_log_likelihood(logits, np.array([0, 1], np.int32), 1.0)
    assert found == pytest.approx(-(np.log(0.5) + np.log(0.1)) / 2)


def test_a_blunter_voice_is_brought_to_the_others_scale() -> None:
    """Where one model's logits are another's, three times as small, the temperature found is a third."""
    logits, _ = drawn(1.0, rows=300)
    assert match_temperature(logits / 3, probabilities(logits)) == pytest.approx(1 / 3, rel=1e-3)


@pytest.mark.parametrize("boast", [0.3, 1.0, 6.0], ids=["modest", "honest", "boastful"])
def test_sure_rows_are_right_as_often_as_they_say(boast: float) -> None:
    """Whatever scale a model speaks on, its sure rows are right at least 95 times in 100, and some rows are sure."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 4000).astype(np.int32)
    logits = rng.normal(size=(4000, 3))
    logits[np.arange(4000), truth] += 3
    told = boast * logits
    scores = probabilities(told, honest_temperature(told, truth))
    sure = scores.max(axis=1) >= 0.95
    assert sure.mean() > 0.2
    assert (scores.argmax(axis=1) == truth)[sure].mean() >= 0.95


def test_where_nothing_is_right_nothing_is_sure() -> None:
    """A model that is sure and wrong is heard at the highest temperature."""
    logits = np.tile([9.0, 0.0, 0.0], (50, 1))
    scores = probabilities(logits, honest_temperature(logits, np.ones(50, np.int32)))
    assert scores.max() < 0.95


@pytest.mark.parametrize(("rows", "sure"), [(18, 0), (19, 19)])
def test_eighteen_sure_rows_prove_nothing(rows: int, sure: int) -> None:
    """One more wrong, nineteen right ones are 95 in 100, and fewer are not: then no row like these is sure."""
    logits = np.concatenate([np.tile([9.0, 0.0], (rows, 1)), np.tile([0.5, 0.0], (20, 1))])
    classes = np.concatenate([np.zeros(rows, np.int32), np.arange(20, dtype=np.int32) % 2])
    scores = probabilities(logits, honest_temperature(logits, classes))
    assert (scores.max(axis=1) >= 0.95).sum() == sure


def test_what_is_not_proven_stays_out_of_reach() -> None:
    """Where no row is sure, one of the pool that is a little surer than all of these is not sure either."""
    logits = np.tile([4.0, 0.0], (12, 1))
    temperature = honest_temperature(logits, np.zeros(12, np.int32))
    assert probabilities(1.08 * logits, temperature).max() < 0.95
