"""Labels that spread until they agree, against the equation solved directly, and what they must do on curves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_moons

from labelsvc.errors import UsageError
from labelsvc.labeling import consistency
from labelsvc.labeling.consistency import Spreading
from labelsvc.labeling.neighbours import principal
from labelsvc.labeling.spread import graph


def moons(rows: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return two half circles, and which each row is on; the first and the second row are on different ones."""
    places, classes = make_moons(rows, noise=0.06, random_state=0)
    order = np.concatenate([[np.flatnonzero(classes == 0)[0], np.flatnonzero(classes == 1)[0]], np.arange(rows)])
    return places[order].astype(np.float32), classes[order].astype(np.int32)


def test_what_arrives_solves_the_papers_equation(monkeypatch: pytest.MonkeyPatch) -> None:
    """F* = (1 − α)(I − αS)⁻¹ Y, the limit of the iteration (their equation 3), in shares."""
    monkeypatch.setattr(consistency, "STEPS", 400)
    monkeypatch.setattr(consistency, "DOUBT", 1e-12)
    places, classes = moons(40)
    said = np.exp(
        Spreading(neighbours=5, alpha=0.8, balance=0).spread(places, np.arange(2), classes[:2], 2).astype(np.float64)
    )
    weights = graph(consistency._nearest(places, 5)).toarray().astype(np.float64)
    root = np.diag(1 / np.sqrt(weights.sum(axis=1)))
    told = np.zeros((len(places), 2))
    told[np.arange(2), classes[:2]] = 1
    solved = 0.2 * np.linalg.solve(np.eye(len(places)) - 0.8 * root @ weights @ root, told)
    reached = solved.sum(axis=1) > 1e-9
    np.testing.assert_allclose(said[reached], (solved / solved.sum(axis=1, keepdims=True))[reached], atol=2e-3)


def test_two_labels_name_two_moons() -> None:
    """One label on each half circle, which no straight line parts, is enough for nearly all rows."""
    places, classes = moons(400)
    said = Spreading(neighbours=8, alpha=0.99).spread(places, np.arange(2), classes[:2], 2)
    assert (said.argmax(axis=1) == classes).mean() > 0.95


def test_a_class_that_lies_by_anothers_cluster_does_not_take_it_whole() -> None:
    """A label between two clusters takes rows of both, unless its class is held to its share of the labels."""
    random = np.random.default_rng(0)
    left, right = (random.normal((place, 0), 1, (300, 2)).astype(np.float32) for place in (0, 3))
    places = np.concatenate([[[-1, 0], [-1, 1], [1.2, 0], [3, 0]], left, right]).astype(np.float32)
    given, truth = np.array([0, 0, 1, 1], np.int32), np.repeat([0, 1], 300)
    shares, right_often = [], []
    for balance in (0, 0.5, 1):
        said = Spreading(balance=balance).spread(places, np.arange(4), given, 2)
        shares.append(float(np.exp(said).mean(axis=0)[0]))
        right_often.append(float((said[4:].argmax(axis=1) == truth).mean()))
    assert shares[0] < shares[1] < shares[2] == pytest.approx(0.5, abs=0.02)
    assert right_often[0] < right_often[1]


def test_classes_that_are_said_to_be_alike_frequent_are_brought_to_that() -> None:
    """Three labels of one class and one of the other amid one cloud: three quarters are one's, or half is."""
    places = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    given = np.array([0, 0, 0, 1], np.int32)
    shares = [
        float(np.exp(Spreading(balance=1).spread(places, np.arange(4), given, 3, is_balanced=said)).mean(axis=0)[0])
        for said in (False, True)
    ]
    assert shares == pytest.approx([0.75, 0.5], abs=0.02)


def test_a_class_without_a_label_and_a_row_that_nothing_reaches() -> None:
    """The one is nowhere likeliest; the other is undecided, and no row is certain."""
    near, far = np.zeros((6, 2), np.float32), np.full((6, 2), 50, np.float32)
    places = np.concatenate([near, far]) + np.random.default_rng(0).normal(size=(12, 2), scale=0.1).astype(np.float32)
    said = np.exp(Spreading(neighbours=3).spread(places, np.array([0]), np.array([1], np.int32), 3))
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(said[6:], 1 / 3, atol=1e-5)
    assert (said[:6].argmax(axis=1) == 1).all()
    assert said.max() < 1


def test_a_shift_or_a_turn_of_the_rows_changes_nothing() -> None:
    """Only distances count."""
    places, classes = moons(100)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    way, sources = Spreading(), np.arange(2)
    here, there = (way.spread(each, sources, classes[:2], 2) for each in (places, places @ turn + 3))
    np.testing.assert_allclose(np.exp(here), np.exp(there), atol=1e-3)


def test_principal_components_keep_distances() -> None:
    """All of them are a turn of the centred rows; fewer are those that vary most."""
    rows = np.random.default_rng(0).normal(size=(50, 3)) * [1, 5, 0.1]
    kept = principal(rows.astype(np.float32), 5)
    assert kept.shape == (50, 3)
    np.testing.assert_allclose(
        np.linalg.norm(kept[0] - kept[1:], axis=1), np.linalg.norm(rows[0] - rows[1:], axis=1), rtol=1e-4
    )
    assert np.corrcoef(principal(rows.astype(np.float32), 1)[:, 0], rows[:, 1])[0, 1] ** 2 > 0.99


@pytest.mark.parametrize("wrong", [{"alpha": 1.0}, {"neighbours": 0}, {"over": "mars"}])
def test_what_is_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    """When it is made, by the name of the setting."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Spreading(**wrong)  # type: ignore[arg-type]
