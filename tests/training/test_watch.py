"""Collapse is noticed in what a training measures of itself, and nothing else is."""

from __future__ import annotations

import pytest

from labelsvc.training.loop import Interval, Plan, begin, run
from labelsvc.training.watch import Watch

from .bars import CLASSES, lesson, network, plan, small

STEPS = 1000


def heard(*, expected: float = 0.1, pool_batch: int = 64, every: int = 10, **figures: list[float]) -> list[str]:
    """Return what a watch finds in curves of equally long intervals; the last value stays to the end."""
    watch, found = Watch(STEPS, pool_batch, expected=expected), []
    for place, step in enumerate(range(every, STEPS + 1, every)):
        now = {name.replace("_", " "): values[min(place, len(values) - 1)] for name, values in figures.items()}
        found.append(watch.see(Interval(step, {"loss": 1.0, **now})))
    return [finding for finding in found if finding is not None]


def test_a_pool_that_goes_out_of_use_is_noticed_once() -> None:
    """When the used share falls to almost nothing, that is said once, with what it means."""
    (finding,) = heard(used=[1.0] * 50 + [0.005])
    assert "the pool counts for 0.5%" in finding
    assert "--method supervised" in finding


def test_a_class_that_swallows_the_rest_is_noticed_once() -> None:
    """When one class has almost all pseudo-labels, its share and the share to be expected are said, and what to do."""
    (finding,) = heard(used=[1.0], largest_class=[0.2] * 30 + [0.99])
    assert "one class has 91.1% of the pseudo-labels" in finding  # on the way from 20% to 99%
    assert "should have 10.0%" in finding
    assert "--set learning_rate" in finding


@pytest.mark.parametrize(
    "figures",
    [
        {"used": [1.0], "largest_class": [0.2]},
        {"used": [0.05], "largest_class": [0.85]},
        {"largest_class": [1.0] * 9 + [0.3]},  # every network looks for its classes at first
        {"used": [0.0] * 9 + [0.5]},
        {"used": [1.0] * 40 + [0.0] * 3 + [1.0]},  # a moment is no collapse
        {},
    ],
)
def test_health_is_not_remarked_on(figures: dict[str, list[float]]) -> None:
    """Little use, a common class, the first steps and a passing moment are none; nor is a method without a pool."""
    assert heard(**figures) == []


def test_a_class_that_should_have_nearly_all_may_have_all() -> None:
    """Where 99.9 labels in 100 are of one class, a tenth of the steps is too little to miss the others."""
    assert heard(expected=0.999, largest_class=[1.0]) == []
    assert heard(expected=0.9, largest_class=[1.0]) != []
    assert heard(expected=0.9, largest_class=[0.97]) == []


def test_the_length_of_intervals_makes_no_difference() -> None:
    """Looked at every step or every twentieth, a collapse is noticed within the same interval."""
    found = [heard(every=every, largest_class=[0.1] * (500 // every) + [1.0]) for every in (1, 10, 20)]
    steps = [int(finding[0].split("step ")[1].split()[0].replace(",", "")) for finding in found]
    assert max(steps) - min(steps) <= 20


def test_short_trainings_are_left_alone() -> None:
    """A hundred steps and fewer are over before a network has found its classes."""
    watch = Watch(100, 64, expected=0.1)
    assert [watch.see(Interval(step, {"used": 0.0, "largest class": 1.0})) for step in range(1, 101)] == [None] * 100


@pytest.mark.seconds
@pytest.mark.parametrize(("rate", "collapsed"), [("0.06", False), ("5", True)])
def test_real_trainings(rate: str, *, collapsed: bool) -> None:
    """A healthy training of a real network is not remarked on; one under an absurd learning rate is."""
    method = small("softmatch", learning_rate=rate)
    once = plan(method, 300)
    task = lesson()
    every = Plan(once.method, once.steps, once.seed, once.device, frozenset(range(0, 300, 3)))
    watch = Watch(300, method.recipe.pool_batch, expected=1 / CLASSES)
    found = [watch.see(interval) for interval in run(begin(network, task, every), task, every)]
    assert any(found) is collapsed
