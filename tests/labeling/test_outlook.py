"""What is told before anything is spent: the arithmetic of promises, and whether pseudo-labels are likely to help."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_moons

from labelsvc.labeling.bounds import look_level, lower_bound, p_value_of_rest
from labelsvc.labeling.outlook import Evidence, Verdict, gather, judge, promise

Features = NDArray[np.float64]


def blobs(rows: int, classes: int, *, spread: float, seed: int = 0) -> tuple[Features, NDArray[np.int32]]:
    """Return rows around the corners of a simplex, as many of each class."""
    codes = (np.arange(rows) % classes).astype(np.int32)
    return 4 * np.eye(classes)[codes] + np.random.default_rng(seed).normal(0, spread, (rows, classes)), codes


def verdict(features: Features, codes: NDArray[np.int32], pool: Features, classes: int) -> tuple[Verdict, Evidence]:
    """Return what is said of labels and pool, and on which evidence."""
    evidence = gather(features, codes, pool, class_count=classes, precision=0.95)
    return judge(evidence, [f"class {code}" for code in range(classes)]), evidence


@pytest.mark.parametrize(("precision", "audit", "first"), [(0.95, 59, 61), (0.98, 149, 154), (0.99, 299, 309)])
def test_how_many_rows_a_precision_takes(precision: float, audit: int, first: int) -> None:
    """An audit spends all of δ and takes fewer rows than a first look, that fewer than a second one."""
    found = promise(precision, 0.95, calibration=0)
    assert (found.audit, found.needed[0], found.missing) == (audit, first, first)
    assert promise(precision, 0.95, calibration=0, pool=59_000).needed[0] == first
    second = promise(precision, 0.95, calibration=0, look=2)
    assert second.needed[0] is not None and second.needed[0] > first


def test_needed_rows_are_the_fewest() -> None:
    """One row fewer than what is needed fails the very test that a certificate rests on, in a small pool too."""
    for pool in (100, 1_000, 50_000):
        found = promise(0.95, 0.95, calibration=0, pool=pool)
        for wrong, rows in enumerate(found.needed):
            assert rows is not None
            assert p_value_of_rest(rows, wrong, 0.95, pool) <= look_level(1, 0.05) + 1e-12
            assert p_value_of_rest(rows - 1, wrong, 0.95, pool) > look_level(1, 0.05)


def test_the_best_promise_is_what_would_pass() -> None:
    """It passes the test, a pool row less would not, and more wrong rows promise less; none promise nothing."""
    found = promise(0.95, 0.95, calibration=200, pool=1_000)
    for wrong, best in enumerate(found.best):
        level = look_level(1, 0.05)
        assert (
            p_value_of_rest(200, wrong, round(best, 3), 1_000)
            <= level
            < p_value_of_rest(200, wrong, round(best + 0.001, 3), 1_000)
        )
    assert list(found.best) == sorted(found.best, reverse=True)
    endless = promise(0.95, 0.95, calibration=200)
    assert endless.best[1] == lower_bound(200, 1, look_level(1, 1 - 0.95))
    assert promise(0.95, 0.95, calibration=0, pool=1_000).best == (0.0, 0.0, 0.0)


def test_labels_that_can_be_learnt_help() -> None:
    """Classes that overlap a little, and labels that more labels improve upon, are what pseudo-labels are for."""
    features, codes = blobs(200, 5, spread=1.6)
    said, evidence = verdict(features, codes, blobs(500, 5, spread=1.6, seed=1)[0], 5)
    assert said.helps, said
    assert [point.labels for point in evidence.curve] == sorted({point.labels for point in evidence.curve})
    assert evidence.agreement > 2 * evidence.agreement_by_chance
    assert 0 < evidence.reaching <= 1


@pytest.mark.parametrize("counts", [[20, 20, 1], [20, 20, 0]])
def test_a_class_with_one_label_or_none_is_a_gamble(counts: list[int]) -> None:
    """It cannot be known whether such a class is told apart, and the class is named."""
    features, codes = blobs(300, 3, spread=0.5)
    rows = np.concatenate([np.flatnonzero(codes == code)[:count] for code, count in enumerate(counts)])
    said, _ = verdict(features[rows], codes[rows], features, 3)
    assert not said.helps
    assert "at most one label of a class (class 2)" in said.reason


def test_one_label_per_class_is_a_gamble() -> None:
    """Nothing can be held out of a single label, so nothing is known; five names are enough."""
    features, codes = blobs(10, 10, spread=0.5)
    said, _ = verdict(features, codes, features, 10)
    assert str(said).startswith("pseudo-labels will not help reliably, because there is at most one label of a class")
    assert "class 4 and 5 more" in said.reason


def test_random_labels_will_not_help() -> None:
    """Labels that the rows do not tell are seen to be no better than chance, and so are their neighbours'."""
    features, codes = blobs(400, 5, spread=1.0)
    shuffled = np.random.default_rng(0).permutation(codes)
    said, evidence = verdict(features, shuffled, features, 5)
    assert not said.helps
    assert "do not tell the labels" in said.reason
    assert evidence.agreement == pytest.approx(evidence.agreement_by_chance, abs=0.08)


def test_labels_that_are_often_wrong_will_not_help() -> None:
    """Where half of the labels are random, not even the surest answers are right often enough."""
    features, codes = blobs(600, 4, spread=0.8)
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(600) < 0.5, rng.permutation(codes), codes).astype(np.int32)
    said, _ = verdict(features, noisy, features, 4)
    assert not said.helps
    assert "too many would be wrong" in said.reason


@pytest.mark.parametrize("labels", [4, 6, 10])
def test_two_moons_with_few_labels_are_not_told(labels: int) -> None:
    """Between two moons a handful of labels does not agree with its neighbours, or is too few to see it."""
    pool, _ = make_moons(1_000, noise=0.1, random_state=0)
    features, codes = make_moons(labels, noise=0.1, random_state=1)
    said, _ = verdict(features, codes.astype(np.int32), pool, 2)
    assert not said.helps, said


def test_labels_at_the_ends_of_two_moons_do_not_cover_them() -> None:
    """Where all labels lie in one corner of the pool, most of it is far from any of them."""
    pool, sides = make_moons(2_000, noise=0.05, random_state=0)
    ends = np.flatnonzero(np.where(sides == 0, pool[:, 0] < -0.8, pool[:, 0] > 1.8))
    said, evidence = verdict(pool[ends], sides[ends].astype(np.int32), pool, 2)
    assert not said.helps
    assert evidence.covered is not None and evidence.covered < 0.5
    assert "lies near a labeled row" in said.reason


def test_there_is_nothing_to_gain_at_the_top() -> None:
    """Where the labels alone are enough and more of them bring nothing, pseudo-labels do not either."""
    values, classes = load_digits(return_X_y=True)
    said, evidence = verdict(*blobs(800, 4, spread=0.4), blobs(100, 4, spread=0.4, seed=1)[0], 4)
    assert not said.helps
    assert "little to gain" in said.reason
    assert evidence.accuracy > 0.99
    few, _ = verdict(values[:100], classes[:100].astype(np.int32), values[100:600], 10)
    assert few.helps, few


def test_without_a_pool_or_a_second_class_there_is_nothing_to_do() -> None:
    """Both are said, and nothing breaks; nor with no label at all."""
    features, codes = blobs(60, 3, spread=1.0)
    said, evidence = verdict(features, codes, features[:0], 3)
    assert "there is no pool" in said.reason and evidence.covered is None
    said, _ = verdict(features, np.zeros(60, np.int32), features, 3)
    assert "fewer than two classes" in said.reason
    said, evidence = verdict(features[:0], codes[:0], features, 3)
    assert "fewer than two classes" in said.reason
    assert (evidence.curve, evidence.labels, evidence.accuracy) == ((), 0, 0.0)


def test_the_same_seed_says_the_same() -> None:
    """Folds and projections come from the seed alone."""
    features, codes = blobs(150, 3, spread=1.5)
    again = [gather(features, codes, features, class_count=3, precision=0.9, seed=seed) for seed in (1, 1, 2)]
    assert again[0] == again[1]
    assert again[0] != again[2]
