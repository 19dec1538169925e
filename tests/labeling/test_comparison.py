"""The paired test of a teacher against its baseline."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from labelsvc.labeling.comparison import compare, paired_p_value
from labelsvc.records import ClassCodes


def answers(right: list[bool]) -> ClassCodes:
    """Return answers to questions whose right answer is 0."""
    return np.where(right, 0, 1).astype(np.int32)


@pytest.mark.parametrize("rows", [1, 2, 7, 30, 101, 500])
def test_the_p_value_is_the_binomial_tests(rows: int) -> None:
    """At every count of discordant rows it is scipy's exact one-sided test at even odds."""
    for lost in range(rows + 1):
        exact = binomtest(lost, rows, 0.5, alternative="greater").pvalue
        assert paired_p_value(rows - lost, lost) == pytest.approx(exact, rel=1e-9)


def test_without_a_difference_nothing_is_worse() -> None:
    """Equal answers, all right or all wrong, are no evidence; neither are no rows at all."""
    truth = answers([True] * 50)
    for same in (answers([True] * 50), answers([False] * 50)):
        found = compare(same, same, truth)
        assert (found.p_value, found.is_worse) == (1.0, False)
    assert not compare(truth[:0], truth[:0], truth[:0]).is_worse


def test_counts_are_those_of_the_rows() -> None:
    """Right answers are counted for each, and apart where only one of the two has them."""
    teacher, baseline = answers([True, True, False, False]), answers([True, False, True, False])
    found = compare(teacher, baseline, answers([True] * 4))
    assert (found.rows, found.teacher_right, found.baseline_right) == (4, 2, 2)
    assert (found.teacher_only, found.baseline_only) == (1, 1)


def test_five_rows_lost_and_none_won_are_the_fewest_that_tell() -> None:
    """At 5% four rows to none are too few, five are enough; a better teacher is never worse."""
    truth = answers([True] * 9)
    for lost, worse in ((4, False), (5, True)):
        teacher = answers([False] * lost + [True] * (9 - lost))
        assert compare(teacher, truth, truth).is_worse is worse
        assert not compare(truth, teacher, truth).is_worse


def test_equal_models_are_called_worse_at_most_once_in_twenty() -> None:
    """Of 4,000 pairs of models that are right by the same chance, about 5% at most are told apart."""
    random = np.random.default_rng(0)
    truth = answers([True] * 100)
    told = [compare(*answers_by_chance(random), truth).is_worse for _ in range(4000)]
    assert sum(told) / 4000 <= 0.05 + 3 * (0.05 * 0.95 / 4000) ** 0.5


def answers_by_chance(random: np.random.Generator) -> tuple[ClassCodes, ClassCodes]:
    """Return the answers of two models that are each right 8 times in 10."""
    first, second = (random.random((2, 100)) < 0.8).tolist()
    return answers(first), answers(second)
