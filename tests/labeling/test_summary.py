"""Coverage and precision by class."""

from __future__ import annotations

import numpy as np

from labelsvc.labeling.summary import Checked, Tally, summarise
from labelsvc.records import ClassCodes

NAMES = ("a", "b", "c")


def codes(*values: int) -> ClassCodes:
    """Return class codes."""
    return np.array(values, np.int32)


def random_rows(seed: int, rows: int = 200) -> tuple[ClassCodes, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return classes, what is accepted, and confidences."""
    random = np.random.default_rng(seed)
    confidence = random.random(rows)
    return random.integers(0, 3, rows).astype(np.int32), confidence >= 0.6, confidence


def test_classes_add_up_to_the_pool() -> None:
    """Every row is said to be of one class, and accepted as that class or not at all."""
    said, accepted, confidence = random_rows(0)
    found = summarise(Tally.empty(3).add(said, accepted, confidence), NAMES)
    assert sum(one.predicted for one in found) == 200
    assert sum(one.accepted for one in found) == accepted.sum()
    assert all(one.confidence is not None and 0.6 <= one.confidence <= 1 for one in found)


def test_blocks_add_up_to_the_whole() -> None:
    """However the pool is cut into blocks, the summary is the same."""
    rows = random_rows(1)
    whole = Tally.empty(3).add(*rows)
    tally = Tally.empty(3)
    for start in range(0, 200, 37):
        tally = tally.add(*(part[start : start + 37] for part in rows))
    assert summarise(tally, NAMES)[:1][0].predicted == summarise(whole, NAMES)[0].predicted
    np.testing.assert_array_equal(tally.accepted, whole.accepted)
    np.testing.assert_allclose(tally.confidence, whole.confidence)


def test_precision_is_of_accepted_validation_rows() -> None:
    """A class is right as often as the validation rows that the rule accepts as it are; others do not count."""
    checked = Checked(codes(0, 0, 0, 1), np.array([True, True, False, True]), codes(0, 1, 2, 1))
    first, second, third = summarise(Tally.empty(3), NAMES, checked)
    assert (first.checked, first.right, first.precision) == (2, 1, 0.5)
    assert (second.checked, second.right, second.precision) == (1, 1, 1.0)
    assert (third.checked, third.right, third.precision) == (0, 0, None)


def test_without_validation_rows_nothing_is_claimed() -> None:
    """Precision is unknown, not 0, without validation rows; so is the coverage of a class that no row is said to be."""
    said, accepted, confidence = codes(0, 0), np.array([True, False]), np.array([0.9, 0.2])
    none = Checked(codes(), np.array([], bool), codes())
    for checked in (None, none):
        found = summarise(Tally.empty(3).add(said, accepted, confidence), NAMES, checked)
        assert [one.checked for one in found] == [one.precision for one in found] == [None] * 3
        assert [one.coverage for one in found] == [0.5, None, None]
        assert [one.confidence for one in found] == [0.9, None, None]


def test_all_classes_are_there() -> None:
    """A class that nothing is said to be has a row of zeros, in the order of the classes."""
    found = summarise(Tally.empty(3).add(codes(2), np.array([True]), np.array([1.0])), NAMES)
    assert [(one.name, one.predicted, one.accepted) for one in found] == [("a", 0, 0), ("b", 0, 0), ("c", 1, 1)]
