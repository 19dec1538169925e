"""Labels spread in rounds: each over the features of a network that learnt what the last one brought."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_moons

from labelsvc import flows
from labelsvc.classical.lesson import Features, Lesson
from labelsvc.flows._spreading import arrived, learner
from labelsvc.labeling.consistency import Spreading
from labelsvc.networks import Classifier
from labelsvc.training.predict import answers_to

LEARN = learner(flows.TrainConfig(steps=150, device="cpu"))


@pytest.fixture
def moons() -> tuple[Lesson, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Two half circles with three labels each, and the truth of the others."""
    rows, classes = make_moons(400, noise=0.1, random_state=0)
    labeled = np.concatenate([np.flatnonzero(classes == code)[:3] for code in (0, 1)])
    others = np.setdiff1d(np.arange(400), labeled)
    seen = rows.astype(np.float32)
    return Lesson(seen[labeled], classes[labeled].astype(np.int32), seen[others], 2), classes[others]


def test_a_network_learns_what_arrived(moons: tuple[Lesson, np.ndarray[tuple[int], np.dtype[np.int64]]]) -> None:
    """It names nearly all rows of the pool as the words that it was given do; the same words make the same network."""
    lesson, _ = moons
    words = np.exp(arrived(Spreading(rounds=1), None, lesson, LEARN))
    first, second = (answers_to(LEARN(lesson, words), lesson.pool)[0] for _ in range(2))
    assert (first.argmax(axis=1) == words.argmax(axis=1)).mean() > 0.9
    np.testing.assert_array_equal(first, second)


def test_each_round_is_taught_what_the_last_brought(
    moons: tuple[Lesson, np.ndarray[tuple[int], np.dtype[np.int64]]],
) -> None:
    """One round asks no network; of three, two are taught; the rows' shares sum to one, and nearly all are right."""
    lesson, truth = moons
    taught: list[Features] = []

    def learn(lesson: Lesson, words: Features) -> Classifier:
        taught.append(words)
        return LEARN(lesson, words)

    once = np.exp(arrived(Spreading(rounds=1), None, lesson, learn))
    assert not taught
    thrice = np.exp(arrived(Spreading(rounds=3), None, lesson, learn))
    assert len(taught) == 2
    np.testing.assert_allclose(taught[0], once, atol=1e-6)
    assert np.abs(taught[1] - taught[0]).max() > 1e-3
    np.testing.assert_allclose(thrice.sum(axis=1), 1, atol=1e-5)
    assert (thrice.argmax(axis=1) == truth).mean() > 0.9
