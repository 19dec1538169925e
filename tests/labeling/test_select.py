"""Which of a model's words become labels."""

from __future__ import annotations

import numpy as np
import pytest

from labelsvc.errors import UsageError
from labelsvc.labeling.select import accept, among, check_thresholds, thresholds_by_class
from labelsvc.records import PseudoLabels

NAMES = ("cat", "dog", "eel")


def words(*confidence: float) -> PseudoLabels:
    """Return candidates with classes 0, 1, 2, 0, 1, ... of these confidences."""
    rows = np.arange(len(confidence))
    codes = (rows % 3).astype(np.int32)
    scores = np.array(confidence, np.float64)
    return PseudoLabels(rows + 5, codes, scores, (codes + 1) % 3, 1 - scores)


def accepted(threshold: float, *confidence: float, **class_thresholds: float) -> list[int]:
    """Return the numbers of the accepted candidates, from 0."""
    thresholds = thresholds_by_class(threshold, class_thresholds, NAMES)
    return [int(number) - 5 for number in accept(words(*confidence), thresholds).numbers]


def test_at_the_threshold_is_accepted() -> None:
    """Confidence equal to the threshold is enough; the next float below it is not."""
    assert accepted(0.95, 0.95, np.nextafter(0.95, 0), 0.96, 0.1) == [0, 2]


def test_extreme_thresholds() -> None:
    """Zero accepts everything, one only what is certain."""
    assert accepted(0.0, 0.0, 0.5, 1.0) == [0, 1, 2]
    assert accepted(1.0, 0.0, np.nextafter(1, 0), 1.0) == [2]


def test_a_class_may_have_a_threshold_of_its_own() -> None:
    """A class's own threshold counts for the rows that are called that class, the common one for the others."""
    assert accepted(0.8, 0.85, 0.85, 0.85, 0.75, 0.95, 0.75, dog=0.9) == [0, 2, 4]
    assert accepted(0.8, 0.7, 0.7, 0.7, eel=0.6) == [2]


def test_accepted_rows_are_kept_whole() -> None:
    """Selection drops rows and changes none: of each that stays, every column does."""
    candidates = words(0.9, 0.2, 0.7)
    found = accept(candidates, thresholds_by_class(0.6, {}, NAMES))
    assert found.confidence.tolist() == [0.9, 0.7]
    assert found.runner_up.tolist() == [1, 0]
    np.testing.assert_allclose(found.runner_up_probability, [0.1, 0.3])
    assert found.classes.dtype == np.int32


@pytest.mark.parametrize("value", [float("nan"), -0.01, 1.01, float("inf")])
def test_what_is_no_probability_is_refused(value: float) -> None:
    """A threshold is a probability; the message says which one is not."""
    with pytest.raises(UsageError, match=r"--threshold .*is no probability"):
        check_thresholds(value, {}, NAMES)
    with pytest.raises(UsageError, match=r"dog.*is no probability"):
        check_thresholds(0.9, {"dog": value}, NAMES)


def test_unknown_classes_are_refused() -> None:
    """A threshold for a class that is not there is refused, and the message names those that are."""
    with pytest.raises(UsageError, match="'cow'; there are cat, dog, eel"):
        check_thresholds(0.9, {"cow": 0.5}, NAMES)


def test_probabilities_are_allowed() -> None:
    """Both ends count as probabilities."""
    check_thresholds(0.0, {"cat": 1.0, "dog": 0.0}, NAMES)
    check_thresholds(1.0, {}, NAMES)


def test_among_is_membership() -> None:
    """Whatever is asked, in any order, the answer is that of a set; nothing is among none."""
    rng = np.random.default_rng(0)
    some = np.unique(rng.integers(0, 100, 40))
    asked = rng.integers(-5, 105, 300)
    assert among(asked, some).tolist() == [number in set(some.tolist()) for number in asked.tolist()]
    assert not among(asked, some[:0]).any()
