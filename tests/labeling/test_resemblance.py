"""Whether calibration rows and pool look alike."""

from __future__ import annotations

import numpy as np
import pytest

from labelsvc.labeling.resemblance import LEVEL, acceptance_differs, classes_differ


@pytest.mark.seconds
def test_pools_that_are_alike_are_seldom_refused() -> None:
    """Of pools drawn from where the calibration rows are from, about one in two hundred fails each test."""
    generator = np.random.default_rng(0)
    shares = np.array([0.3, 0.3, 0.2, 0.1, 0.05, 0.04, 0.01])
    drawn = [(generator.multinomial(200, shares), generator.multinomial(20_000, shares)) for _ in range(600)]
    assert np.mean([classes_differ(*pair) is not None for pair in drawn]) <= 2 * LEVEL
    rates = [(int(generator.binomial(200, 0.7)), int(generator.binomial(20_000, 0.7))) for _ in range(200)]
    assert np.mean([acceptance_differs(pair, (200, 20_000)) is not None for pair in rates]) <= 2 * LEVEL


def test_another_balance_is_noticed() -> None:
    """A pool in which the first class is ten times as frequent as the last is told from balanced calibration rows."""
    shares = 10 ** -np.linspace(0, 1, 10)
    pool = (59_000 * shares / shares.sum()).astype(np.int64)
    p_value = classes_differ(np.full(10, 20), pool)
    assert p_value is not None
    assert p_value < 1e-6


def test_rare_classes_count_together() -> None:
    """Classes too rare for the test are not a reason to refuse by themselves."""
    assert classes_differ(np.array([99, 1, 0, 0]), np.array([9900, 40, 30, 30])) is None


def test_nothing_to_compare_differs_in_nothing() -> None:
    """An empty side, or one class alone, is no difference."""
    assert classes_differ(np.array([0, 0]), np.array([5, 5])) is None
    assert classes_differ(np.array([7, 0]), np.array([900, 0])) is None
    assert acceptance_differs((0, 0), (0, 0)) is None
