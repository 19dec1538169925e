"""A file in fewer bits gets its name if it costs little and is faster, and the refusal has the figures."""

from __future__ import annotations

import numpy as np
import pytest

from labelsvc.errors import LabelsvcError
from labelsvc.student.gate import (
    Loss,
    Speed,
    is_faster,
    is_telling,
    loss_of_accuracy,
    loss_of_agreement,
    refuse_loss,
    refuse_slow,
)

SURE = np.eye(4, dtype=np.float32)
OTHER = SURE[[0, 1, 2, 0]]  # the last row names another class


def test_accuracy_counts_right_rows() -> None:
    """A row that was wrong and becomes right makes up for one that was right and becomes wrong."""
    truth = np.array([0, 1, 2, 0], np.int32)
    assert loss_of_accuracy(SURE, OTHER, truth, 0.5).points == -25
    assert loss_of_accuracy(OTHER, SURE, truth, 0.5).points == 25
    assert loss_of_accuracy(SURE, SURE, truth, 0.5) == Loss("accuracy", 4, 3, 3, 0.5)


def test_agreement_counts_rows_that_are_named_alike() -> None:
    """Without labels, each row that is named otherwise is lost, whichever name was right."""
    assert loss_of_agreement(SURE, OTHER, 0.5).points == loss_of_agreement(OTHER, SURE, 0.5).points == 25
    assert loss_of_agreement(SURE, SURE, 0.0).is_small


def test_what_is_no_number_is_no_answer() -> None:
    """A row whose probabilities overflowed is lost, even where the first class was right."""
    broken = SURE.copy()
    broken[0] = np.nan
    assert loss_of_agreement(SURE, broken, 0.5).points == 25
    assert loss_of_accuracy(SURE, broken, np.arange(4, dtype=np.int32), 0.5).points == 25


def test_losing_as_much_as_is_allowed_is_allowed() -> None:
    """The limit belongs to what is let through; a gain always is."""
    refuse_loss("int8", Loss("accuracy", 200, 190, 189, 0.5))
    refuse_loss("int8", Loss("accuracy", 200, 190, 195, 0.0))
    with pytest.raises(LabelsvcError, match=r"no file was written: as int8 .*: 1\.00 points lost, 0\.5 allowed"):
        refuse_loss("int8", Loss("accuracy", 200, 190, 188, 0.5))


def test_a_few_rows_cannot_show_a_small_loss() -> None:
    """Accuracy decides only where one row weighs no more than what is allowed."""
    assert is_telling(1000, 0.1)
    assert not is_telling(999, 0.1)
    assert not is_telling(0, 0.5)
    assert not is_telling(10_000, 0.0)


def test_faster_at_one_batch_size_is_faster() -> None:
    """Only a file that gains nowhere is refused, and told how slow it is and where."""
    slow, fast = Speed(1, 1000.0, 900.0), Speed(32, 5000.0, 6000.0)
    assert is_faster([slow, fast])
    refuse_slow("fp16", [slow, fast], "cpu")
    with pytest.raises(LabelsvcError, match=r"this machine's cpu, fp16 is no faster, 0\.90 × .*--force writes it"):
        refuse_slow("fp16", [slow, slow], "cpu")
