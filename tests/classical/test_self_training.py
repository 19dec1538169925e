"""Self-training in its two ways: what it takes in, what it never changes, and when it stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from labelsvc.classical.lesson import Lesson
from labelsvc.classical.self_training import Exam, SelfTraining
from labelsvc.errors import UsageError

WINE, KINDS = load_wine(return_X_y=True)
WINE = ((WINE - WINE.mean(axis=0)) / WINE.std(axis=0)).astype(np.float32)
KINDS = KINDS.astype(np.int32)
FEW = np.concatenate([np.flatnonzero(code == KINDS)[:5] for code in range(3)])
REST = np.setdiff1d(np.arange(len(WINE)), FEW)
LESSON = Lesson(WINE[FEW], KINDS[FEW], WINE[REST], 3)


class Recorder(LogisticRegression):  # type: ignore[misc]
    """Logistic regression that remembers what it was fitted to."""

    fitted: list[tuple[Any, Any, Any]] = []  # noqa: RUF012 - shared on purpose

    def fit(self, rows: Any, classes: Any, sample_weight: Any = None) -> Recorder:  # noqa: ANN401
        """Remember, and fit."""
        Recorder.fitted.append((rows, classes, sample_weight))
        super().fit(rows, classes, sample_weight)
        return self


def recorded(way: SelfTraining, lesson: Lesson = LESSON, exam: Exam | None = None) -> Any:  # noqa: ANN401
    """Fit with a recorder, and return what came of it."""
    Recorder.fitted = []
    return way.fit(lesson, lambda: Recorder(max_iter=1000), seed=1, exam=exam)


@pytest.mark.parametrize("way", ["growing", "tutorial"])
def test_without_a_pool_it_is_the_supervised_teacher(way: str) -> None:
    """Zero rounds leave the teacher of the labels alone."""
    alone = Lesson(LESSON.labeled, LESSON.classes, LESSON.pool[:0], 3)
    taught = recorded(SelfTraining(way=way), alone)
    own = LogisticRegression(max_iter=1000).fit(LESSON.labeled, LESSON.classes)
    assert np.array_equal(taught.estimator.predict_proba(WINE), own.predict_proba(WINE))
    assert taught.turns == ()


@pytest.mark.parametrize("way", ["growing", "tutorial"])
def test_given_labels_never_change(way: str) -> None:
    """Every fit begins with the labeled rows, their labels and a weight of 1."""
    recorded(SelfTraining(way=way))
    for rows, classes, weights in Recorder.fitted:
        assert np.array_equal(rows[: len(FEW)], LESSON.labeled)
        assert np.array_equal(classes[: len(FEW)], LESSON.classes)
        assert (weights[: len(FEW)] == 1).all()


def test_growing_takes_the_same_share_of_each_class_and_ends_with_all() -> None:
    """Round n takes n / R of the pool; the last fit is on all of it, at weights under those of labels."""
    taught = recorded(SelfTraining(rounds=4))
    sizes = [turn.rows for turn in taught.turns]
    assert sizes[0] == 0
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(REST)
    assert abs(sizes[2] - len(REST) / 2) <= 3
    _, _, weights = Recorder.fitted[-1]
    assert (weights[len(FEW) :] <= 0.5).all()


def test_no_row_confirms_itself() -> None:
    """From the second round on, what speaks of a row has not learnt from it: each half has its own teacher."""
    recorded(SelfTraining(rounds=2))
    first, left, right, last = Recorder.fitted
    assert len(first[0]) == len(FEW)
    ours, theirs = ({tuple(row) for row in rows[len(FEW) :]} for rows, *_ in (left, right))
    assert ours
    assert theirs
    assert not ours & theirs
    assert len(last[0]) == len(WINE)


def test_it_stops_before_the_round_that_is_right_less_often() -> None:
    """Where validation falls, the teacher of the round before is the result."""
    wrong = Exam(WINE[FEW], (KINDS[FEW] + 1) % 3)  # the better it learns, the less it is right
    right = recorded(SelfTraining(), exam=Exam(WINE[REST], KINDS[REST]))
    assert right.turns[0].accuracy is not None
    stopped = recorded(SelfTraining(rounds=3), exam=wrong)
    assert all(turn.accuracy == 0 for turn in stopped.turns[:-1])


def test_tutorial_uses_the_pool_up_and_freezes_labels() -> None:
    """A quarter each time, in four iterations; what was labeled once keeps its label."""
    taught = recorded(SelfTraining(way="tutorial", sample_rate=0.25))
    assert [turn.rows for turn in taught.turns][-1] == len(REST)
    assert 4 <= len(taught.turns) <= 5
    for (_, before, _), (_, after, _) in zip(Recorder.fitted, Recorder.fitted[1:], strict=False):
        assert np.array_equal(before, after[: len(before)])


def test_a_ramp_begins_with_nothing_and_ends_with_three() -> None:
    """The weights of pseudo-labels grow as α(t) does."""
    recorded(SelfTraining(way="tutorial", sample_rate=0.1, ramp=True))
    first, last = Recorder.fitted[1], Recorder.fitted[-1]
    assert len(first[0]) == len(FEW)  # α = 0: they are not heard
    assert np.allclose(last[2][len(FEW) :], 3)


def test_settings_have_bounds() -> None:
    """A value out of its bounds is refused with them."""
    with pytest.raises(UsageError, match=r"sample_rate=1\.5 is out of bounds"):
        SelfTraining(sample_rate=1.5)
    with pytest.raises(UsageError, match="growing or tutorial"):
        SelfTraining(way="sideways")
