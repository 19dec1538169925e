"""The promise: simulated over and over, it is broken no oftener than it says, and the usual rule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from labelsvc.labeling import certify
from labelsvc.labeling.bounds import allowed_wrong
from labelsvc.labeling.certify import NOTHING

PRECISION, DELTA = 0.95, 0.05

Errors = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class World:
    """A made population: how many rows, how often a row of a confidence is wrong, and how confidences are rounded."""

    errors: Errors
    pool: int = 1500
    calibration: int = 200
    decimals: int | None = None
    share: float = 1.0  # of the rows that are of the class that is asked about

    def draw(self, generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return confidence and whether wrong of all rows, those of the pool first; the order is random."""
        rows = generator.binomial(self.pool + self.calibration, self.share)
        confidence = generator.random(rows)
        wrong = generator.random(rows) < self.errors(confidence)
        return (confidence if self.decimals is None else confidence.round(self.decimals)), wrong

    def split(self, generator: np.random.Generator, rows: int) -> NDArray[np.bool_]:
        """Return which rows are calibration rows."""
        share = self.calibration / (self.pool + self.calibration)
        return generator.permutation(rows) < round(share * rows)


WORLDS = {
    "smooth": World(lambda confidence: 0.25 * (1 - confidence) ** 2, pool=3000, calibration=400),
    "flat just under the target": World(lambda confidence: np.full_like(confidence, 0.052), pool=3000),
    "not monotone at the top": World(lambda confidence: np.where(confidence > 0.98, 0.3, 0.1 * (1 - confidence))),
    "a rare class": World(lambda confidence: 0.2 * (1 - confidence) ** 2, pool=11_000, calibration=2500, share=0.08),
    "ties": World(lambda confidence: 0.15 * (1 - confidence) ** 2, calibration=400, decimals=1),
    "few rows": World(lambda confidence: 0.22 * (1 - confidence) ** 3, pool=150, calibration=75),
}


@dataclass(frozen=True)
class Drawn:
    """A population, dealt out."""

    pool: certify.Units
    calibration: certify.Units
    candidates: NDArray[np.float64]

    def misses(self, threshold: float | None) -> bool:
        """Return whether the pool's labels at a threshold are wrong oftener than the target allows."""
        accepted, wrong = self.pool.count(NOTHING if threshold is None else threshold)
        return wrong > allowed_wrong(PRECISION, accepted)


def drawn(world: World, seed: int) -> Drawn:
    """Draw a population and deal it out."""
    generator = np.random.default_rng([seed, 7])
    confidence, wrong = world.draw(generator)
    held = world.split(generator, len(confidence))
    sides = [certify.units(confidence[side], wrong[side]) for side in (~held, held)]
    return Drawn(sides[0], sides[1], certify.thresholds(confidence))


def certified(found: Drawn) -> float | None:
    """Return the threshold that is certified, None where none is."""
    hidden = found.calibration.accepted
    ordered = certify.descending(found.candidates, found.pool, hidden, precision=PRECISION, level=DELTA)
    finding = certify.fixed_sequence(ordered, found.pool, found.calibration, precision=PRECISION, level=DELTA)
    return None if finding.chosen is None else finding.chosen.threshold


def share_of_misses(world: World, runs: int, rule: Callable[[Drawn], float | None]) -> float:
    """Return how often a rule's labels miss the target."""
    populations = [drawn(world, seed) for seed in range(runs)]
    return float(np.mean([found.misses(rule(found)) for found in populations]))


def naive(found: Drawn) -> float | None:
    """Return what the usual rule takes: the lowest threshold whose measured precision reaches the target."""
    return certify.suggested(found.candidates, found.calibration, PRECISION)


def highest_fair_share(runs: int) -> float:
    """Return δ plus three standard errors of a share measured in so many runs."""
    return DELTA + 3 * float(np.sqrt(DELTA * (1 - DELTA) / runs))


@pytest.mark.seconds
@pytest.mark.parametrize("name", WORLDS)
def test_promises_are_kept(name: str) -> None:
    """The share of runs whose pool misses the target is at most δ, but for chance."""
    assert share_of_misses(WORLDS[name], 120, certified) <= highest_fair_share(120)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_promises_are_kept_in_thousands_of_runs(name: str) -> None:
    """The same in 2,000 runs, where chance hides little."""
    assert share_of_misses(WORLDS[name], 2000, certified) <= highest_fair_share(2000)


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["smooth", "ties", "flat just under the target"])
def test_the_usual_rule_fails(name: str) -> None:
    """The control: measured precision at the target misses it in over a quarter of the runs."""
    assert share_of_misses(WORLDS[name], 100, naive) > 0.25


@pytest.mark.seconds
def test_most_of_what_could_be_labeled_is() -> None:
    """Where errors are rare, nearly everything is accepted; a promise that covers nothing would be easy."""
    good = World(lambda confidence: 0.06 * (1 - confidence) ** 3, pool=4000, calibration=400)
    populations = [drawn(good, seed) for seed in range(50)]
    shares = [found.pool.count(certified(found) or NOTHING)[0] / len(found.pool) for found in populations]
    assert np.mean(shares) > 0.9


def test_the_sequence_ends_with_the_first_failure() -> None:
    """A threshold after one that failed is not tested, however good it would look."""
    calibration = certify.Units(np.linspace(1, 0, 400), np.concatenate([[0.99] * 30, np.full(370, -np.inf)]))
    pool = certify.units(np.linspace(1, 0, 5000))
    finding = certify.fixed_sequence([0.8, 0.1], pool, calibration, precision=PRECISION, level=DELTA)
    assert [test.threshold for test in finding.tests] == [0.8]
    assert finding.chosen is None


def test_the_widest_of_the_proven_is_chosen() -> None:
    """Of several proven thresholds, the one that labels most of the pool."""
    rows = certify.units(np.linspace(1, 0, 400))
    finding = certify.fixed_sequence([0.8, 0.5, 0.2], rows, rows, precision=PRECISION, level=DELTA)
    assert [test.threshold for test in finding.tests] == [0.8, 0.5, 0.2]
    assert finding.chosen == finding.tests[-1]


def test_the_order_reads_no_label() -> None:
    """The order begins where 59 rows without an error would do, and goes down from there."""
    hidden, pool = np.linspace(1, 0, 101), certify.units(np.linspace(1, 0, 10**5))
    ordered = certify.descending(np.array([0.9, 0.43, 0.42, 0.1]), pool, hidden, precision=PRECISION, level=DELTA)
    assert ordered.tolist() == [0.42, 0.1]


def test_a_group_counts_once() -> None:
    """A group is accepted with its surest row, and wrong from its surest wrong row on."""
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    found = certify.units(confidence, np.array([False, True, True, False]), groups=np.array([4, 4, 4, 9]))
    assert found.count(0.95) == (0, 0)
    assert found.count(0.85) == (1, 0)
    assert found.count(0.8) == (1, 1)
    assert found.count(0.5) == (2, 1)


def test_dependent_rows_keep_their_promise_as_groups() -> None:
    """Where a group is right or wrong as a whole, counting rows breaks the promise, and counting groups keeps it."""
    misses = {True: 0, False: 0}
    for seed in range(200):
        generator = np.random.default_rng([seed, 3])
        groups = np.repeat(np.arange(300), 8)
        wrong = np.repeat(generator.random(300) < 0.056, 8)
        confidence = np.full(len(groups), 0.9)
        held = np.repeat(generator.permutation(300) < 40, 8)
        for as_groups in (True, False):
            names = groups if as_groups else np.arange(len(groups))
            sides = [certify.units(confidence[side], wrong[side], names[side]) for side in (~held, held)]
            finding = certify.fixed_sequence([0.9], *sides, precision=PRECISION, level=2 * DELTA)
            misses[as_groups] += finding.chosen is not None and wrong[~held].mean() > 1 - PRECISION
    assert misses[True] / 200 <= 2 * DELTA
    assert misses[False] / 200 > highest_fair_share(200)
