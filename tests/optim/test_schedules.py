"""Learning rates over a training."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from labelsvc.optim.schedules import SCHEDULES, one_cycle


@pytest.mark.parametrize(
    ("name", "start", "middle", "end"),
    [
        ("constant", 1.0, 1.0, 1.0),
        ("cosine", 1.0, math.cos(7 * math.pi / 32), math.cos(7 * math.pi / 16)),
        ("annealed", 1.0, 0.5, 0.0),
        ("one-cycle", 0.04, 4e-4 + (1 - 4e-4) * (1 + math.cos(math.pi * 2 / 7)) / 2, 4e-4),
    ],
)
def test_corners(name: str, start: float, middle: float, end: float) -> None:
    """Each schedule begins, passes and ends where its formula says."""
    assert [SCHEDULES[name](share) for share in (0.0, 0.5, 1.0)] == pytest.approx([start, middle, end])


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_are_shares_of_the_highest_rate(name: str) -> None:
    """A schedule stays between 0 and 1, reaches 1, and jumps nowhere."""
    factors = [SCHEDULES[name](step / 1000) for step in range(1001)]
    assert 0 <= min(factors) <= max(factors) == pytest.approx(1.0, abs=1e-12)
    assert max(abs(after - before) for before, after in pairwise(factors)) < 0.01


def test_one_cycle_peaks_where_its_warm_up_ends() -> None:
    """One cycle rises until its warm-up is over, and falls from there."""
    factors = [one_cycle(step / 100, warmup=0.2) for step in range(101)]
    assert factors[:21] == sorted(factors[:21])
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert factors[20] == 1.0
