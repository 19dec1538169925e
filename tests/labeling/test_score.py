"""How many labels are right."""

from __future__ import annotations

import numpy as np
import pytest

from labelsvc.labeling.score import UNLABELED, score
from labelsvc.records import ClassCodes

NAMES = ("a", "b", "c")


def codes(*values: int) -> ClassCodes:
    """Return class codes."""
    return np.array(values, np.int32)


@pytest.mark.parametrize("seed", range(3))
def test_classes_add_up(seed: int) -> None:
    """Over the classes, rows, labeled and right add up to the whole; what is named adds up to what is labeled."""
    rng = np.random.default_rng(seed)
    answers, truth = rng.integers(-1, 3, 50).astype(np.int32), rng.integers(0, 3, 50).astype(np.int32)
    found = score(answers, truth, NAMES)
    for name in ("rows", "labeled", "right"):
        assert getattr(found, name) == sum(getattr(each, name) for each in found.classes)
    assert found.labeled == sum(each.named for each in found.classes)
    assert all(each.right <= each.labeled <= each.rows for each in found.classes)


def test_an_abstention_is_neither_right_nor_wrong() -> None:
    """Rows without a label count against coverage, not against accuracy."""
    found = score(codes(0, 1, UNLABELED, UNLABELED), codes(0, 0, 1, 2), NAMES)
    assert (found.rows, found.labeled, found.right) == (4, 2, 1)
    assert (found.coverage, found.accuracy) == (0.5, 0.5)
    assert [(each.rows, each.labeled, each.right, each.named) for each in found.classes] == [
        (2, 2, 1, 1),
        (1, 0, 0, 1),
        (1, 0, 0, 0),
    ]


def test_a_truth_of_no_known_class_is_never_right() -> None:
    """A row whose true class the model does not know counts as a row, and as wrong where it is labeled."""
    found = score(codes(0, UNLABELED), codes(UNLABELED - 1, UNLABELED - 1), NAMES)
    assert (found.rows, found.labeled, found.right) == (2, 1, 0)


def test_nothing_scores_nothing() -> None:
    """No rows have no accuracy and no coverage, and divide nothing by zero."""
    found = score(codes(), codes(), NAMES)
    assert (found.rows, found.coverage, found.accuracy) == (0, 0.0, 0.0)
