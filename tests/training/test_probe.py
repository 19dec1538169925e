"""A budget of seconds becomes a number of steps. The clock here is one that the steps themselves move."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from labelsvc.errors import UsageError
from labelsvc.methods.contract import Course, Turn
from labelsvc.methods.supervised import Supervised
from labelsvc.networks import Classifier
from labelsvc.training import probe
from labelsvc.training.probe import kept_bytes, steps_for

from .bars import lesson, network, plan, small


class Clock:
    """A clock that every forward pass of its networks moves, the first ones by more."""

    def __init__(self, each: float, *, first: float) -> None:
        self.now, self.steps = 100.0, 0
        self._each, self._first = each, first

    def network(self, number: int = 0) -> Classifier:
        """Return a network that takes this clock's time."""
        timed = network(number)
        timed.register_forward_hook(self._tick)
        return timed

    def _tick(self, *_: object) -> None:
        self.steps += 1
        self.now += self._each if self.steps > probe.WARM_UP else self._first


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock of 0.1 seconds a step, ten times as much while warming up."""
    clock = Clock(0.1, first=1.0)
    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


@pytest.mark.parametrize("budget", [7.0, 30.0, 1000.0])
def test_steps_fill_the_budget(clock: Clock, budget: float) -> None:
    """The steps, with the time that timing took, fill the budget and do not pass it."""
    steps = steps_for(budget, clock.network, lesson(), plan(small("supervised"), 1))
    used = clock.now - 100 + 0.1 * steps
    assert steps >= 1
    assert budget - 0.2 < used <= budget + 1e-6


def test_timing_takes_a_small_share(clock: Clock) -> None:
    """Beyond the warm-up, timing takes a few hundredths of the budget, and at most ten seconds."""
    steps_for(1000.0, clock.network, lesson(), plan(small("supervised"), 1))
    assert clock.now - 100 <= 5.0 + 10.0 + 0.2


def test_a_budget_without_room_is_refused(clock: Clock) -> None:
    """Where not even one step is left, the call is wrong, and the message says what a step takes."""
    with pytest.raises(UsageError, match=r"2 seconds have no room for a single step of 0\.1 s: .*--budget"):
        steps_for(2.0, clock.network, lesson(), plan(small("supervised"), 1))


def test_what_is_kept_grows_with_the_batch() -> None:
    """A forward pass keeps at least its input, without the weights: twice as much for twice the pictures, nearly."""
    made = network()
    shape = made.mean.shape[1]
    few, many = (kept_bytes(made, torch.zeros(rows, shape, 8, 8)) for rows in (8, 16))
    assert few >= 8 * shape * 8 * 8 * 4
    assert 1.8 < many / few <= 2.0


def test_steps_are_timed_half_way(clock: Clock) -> None:
    """What is timed is neither a method's warm-up nor its end, where it may leave the pool alone."""
    shares = []

    class Noted(Supervised):
        def turn(self, step: int, course: Course) -> Turn:
            shares.append(step / course.steps)
            return super().turn(step, course)

    steps_for(30.0, clock.network, lesson(), plan(Noted(), 1))
    assert shares
    assert all(0.4 < share < 0.6 for share in shares)
