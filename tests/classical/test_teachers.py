"""The table of classical teachers, classes by their path, and files without a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine

from labelsvc.classical.estimated import FLOOR, log_probabilities
from labelsvc.classical.keeping import load, save
from labelsvc.classical.lesson import Lesson, dealt, out_of_fold
from labelsvc.classical.teachers import FROM_POOL, TEACHERS, is_classical, make
from labelsvc.errors import InputError, UsageError

WINE, KINDS = load_wine(return_X_y=True)
WINE = ((WINE - WINE.mean(axis=0)) / WINE.std(axis=0)).astype(np.float32)
KINDS = KINDS.astype(np.int32)
LESSON = Lesson(WINE[::2], KINDS[::2], WINE[1::2], 3)


@pytest.mark.seconds
@pytest.mark.parametrize("name", [*sorted(set(TEACHERS) - FROM_POOL - {"quadratic-sgd"}), "svm+extra-trees"])
def test_a_teacher_is_the_same_from_its_file(name: str, tmp_path: Path) -> None:
    """What is loaded says what was saved, and the same seed makes the same teacher."""
    taught = [make(name, 3).fit(LESSON.labeled, LESSON.classes) for _ in range(2)]
    sha256 = save(taught[0], tmp_path / "teacher.skops")
    kept = load(tmp_path / "teacher.skops", sha256=sha256)
    said = [log_probabilities(one, LESSON.pool, 3) for one in (*taught, kept)]
    assert np.array_equal(said[0], said[1])
    assert np.array_equal(said[0], said[2])
    assert (said[0].argmax(axis=1) == KINDS[1::2]).mean() > 0.9


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file that changed, or is gone, is not loaded."""
    save(make("logistic-regression", 0).fit(LESSON.labeled, LESSON.classes), tmp_path / "t.skops")
    with pytest.raises(InputError, match="not the one that was recorded"):
        load(tmp_path / "t.skops", sha256="0" * 64)
    with pytest.raises(InputError, match="is gone"):
        load(tmp_path / "other.skops")


class Foreign:
    """A type that is nobody's."""


def test_a_foreign_type_is_not_made(tmp_path: Path) -> None:
    """A file that holds types of elsewhere is refused, and nothing of it is run."""
    save(Foreign(), tmp_path / "t.skops")
    with pytest.raises(InputError, match=r"Foreign, which is not scikit-learn's"):
        load(tmp_path / "t.skops")


def test_classes_go_by_their_path() -> None:
    """scikit-learn's need no word; what is no classifier, or of another library, is refused with what to do."""
    assert type(make("sklearn.naive_bayes.GaussianNB", 0)).__name__ == "GaussianNB"
    assert make("sklearn.tree.DecisionTreeClassifier", 7).random_state == 7
    with pytest.raises(UsageError, match=r"no classifier sklearn\.tree\.Oak"):
        make("sklearn.tree.Oak", 0)
    with pytest.raises(UsageError, match="no predict_proba"):
        make("sklearn.linear_model.RidgeClassifier", 0)
    with pytest.raises(UsageError, match="--trust-import"):
        make("xgboost.XGBClassifier", 0)
    with pytest.raises(UsageError, match="there are logistic-regression, svm"):
        make("oracle", 0)
    assert is_classical("svm+extra-trees")
    assert not is_classical("mlp")


def test_a_class_that_was_not_met_has_the_floor() -> None:
    """An estimator that knows two of three classes says the floor of the third, at its place."""
    two = make("logistic-regression", 0).fit(WINE[KINDS != 1], KINDS[KINDS != 1])
    said = log_probabilities(two, WINE[:5], 3)
    assert np.allclose(said[:, 1], np.log(FLOOR))
    assert np.allclose(np.exp(said[:, [0, 2]]).sum(axis=1), 1, atol=1e-5)


def test_every_row_is_answered_without_its_label() -> None:
    """Out of fold, a teacher that repeats what it saw is right about nothing that it was shown alone."""
    rows = np.eye(6, dtype=np.float32)
    lesson = Lesson(rows, np.arange(6, dtype=np.int32) % 2, rows[:0], 2)
    seen: list[Lesson] = []

    def learn(part: Lesson) -> object:
        seen.append(part)
        return make("logistic-regression", 0).fit(part.labeled, part.classes)

    fold = dealt(lesson.classes, seed=0) % 3
    said = out_of_fold(lesson, learn, fold)
    assert said.shape == (6, 2)
    assert all(len(part.labeled) + len(part.pool) == 6 for part in seen)
    for number, part in enumerate(seen):
        assert np.array_equal(part.pool, rows[fold == number])
