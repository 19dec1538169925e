"""Drift: silence where rows are alike or few, a word where they moved, and which classes did."""

from __future__ import annotations

import numpy as np
import pytest

from labelsvc.student.drift import drift, in_words
from labelsvc.student.metadata import Words

CLASSES = ("cat", "dog", "emu")


def words(shares: list[float], rows: int, *, sure: float = 0.9, seed: int = 0) -> Words:
    """Return what a student says of rows drawn with these shares of classes, of one confidence."""
    best = np.random.default_rng(seed).choice(len(shares), rows, p=shares).astype(np.int64)
    return Words.of(best, np.full(rows, sure), len(shares))


POOL = words([0.5, 0.3, 0.2], 5_000)


def test_rows_like_the_pool_are_no_drift() -> None:
    """Of a hundred samples of the pool's own population none is remarked upon."""
    for seed in range(1, 101):
        found = drift(POOL, words([0.5, 0.3, 0.2], 400, seed=seed), CLASSES)
        assert found is not None
        assert in_words(found) is None


def test_other_shares_are_told_with_their_classes() -> None:
    """Where a class takes over, the note says which, from which share to which."""
    found = drift(POOL, words([0.05, 0.05, 0.9], 1_000), CLASSES)
    assert found is not None
    assert found.moved[0].label == "emu"
    said = in_words(found)
    assert said is not None
    assert "not like the pool" in said
    assert f"emu {found.moved[0].pool:.1%} → {found.moved[0].rows:.1%}" in said


def test_less_confidence_is_drift_too() -> None:
    """The same classes said less surely are another population."""
    found = drift(POOL, words([0.5, 0.3, 0.2], 1_000, sure=0.5), CLASSES)
    assert found is not None
    assert found.classes < 0.1
    assert found.confidence > 0.25


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_few_rows_say_nothing(rows: int) -> None:
    """Too few rows, or too few for so many classes, differ by chance alone."""
    assert drift(POOL, words([1.0, 0, 0], rows), CLASSES) is None
    many = words([0.001] * 1000, 5_000)
    assert drift(many, words([0.001] * 1000, 5_000, seed=1), [str(code) for code in range(1000)]) is None
