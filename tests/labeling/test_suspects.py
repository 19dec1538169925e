"""Which labels look wrong: what neighbours outvote, and what copies contradict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as some

from labelsvc.labeling.neighbours import directions, nearest
from labelsvc.labeling.suspects import FEWEST, NEIGHBOURS, Votes, rivals, suspicious, vote
from labelsvc.records import ClassCodes

CLASSES = 4


def clusters(rows: int, seed: int = 0) -> tuple[np.ndarray, ClassCodes]:
    """Return features of well separated classes, ``rows`` of each, and the classes."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(CLASSES), rows).astype(np.int32)
    features = 5 * np.eye(CLASSES, 20)[classes] + rng.normal(0, 1, (len(classes), 20))
    return features.astype(np.float32), classes


def listed(features: np.ndarray, classes: ClassCodes, apart: np.ndarray | None = None) -> list[int]:
    """Return the rows whose labels look wrong."""
    apart = np.arange(len(classes)) if apart is None else apart
    return np.flatnonzero(suspicious(vote(directions(features), classes, apart, CLASSES), classes)).tolist()


def test_flipped_labels_are_found_and_others_are_not() -> None:
    """Where classes lie apart, exactly the labels that were changed are listed, with the right class suggested."""
    features, truth = clusters(40)
    flipped = np.random.default_rng(1).permutation(len(truth))[:16]
    told = truth.copy()
    told[flipped] = (truth[flipped] + 1) % CLASSES
    assert listed(features, truth) == []
    assert listed(features, told) == sorted(flipped.tolist())
    votes = vote(directions(features), told, np.arange(len(told)), CLASSES)
    assert (votes.favourite[flipped] == truth[flipped]).all()


def test_a_row_does_not_vote_for_itself() -> None:
    """The prediction is out of fold: a row's own label has no part in it, whatever that label is."""
    features, classes = clusters(20)
    other = classes.copy()
    other[3] = 2
    before, after = (vote(directions(features), told, np.arange(len(told)), CLASSES) for told in (classes, other))
    assert before.counts[3].tolist() == after.counts[3].tolist()


def test_kin_do_not_vote_for_each_other() -> None:
    """A wrong label that a whole group shares is found, as no row hears its own group."""
    features, classes = clusters(30)
    wrong, apart = [0, 1, 2, 3, 4, 5, 6, 7], np.arange(len(classes))
    features[wrong] = features[0] + np.random.default_rng(2).normal(0, 0.01, (len(wrong), 20))
    classes[wrong] = 3
    assert not set(wrong) & set(listed(features, classes))
    apart[wrong] = 0
    assert set(wrong) <= set(listed(features, classes, apart))


def test_too_few_rows_say_nothing() -> None:
    """With fewer labels than neighbours are asked, none is listed."""
    features, classes = clusters(3)
    classes[0] = 1
    assert len(classes) > NEIGHBOURS
    few = slice(0, FEWEST - 1)
    assert listed(features[few], classes[few]) == []


def test_the_lead_decides() -> None:
    """Six against two is listed, six against three is not; where the given class leads, its lead is zero."""
    votes = Votes(np.array([[6, 2, 2], [6, 3, 1], [2, 6, 2], *[[0, 10, 0]] * FEWEST]))
    told = np.ones(len(votes.counts), np.int32)
    assert suspicious(votes, told)[:4].tolist() == [True, False, False, False]
    assert votes.lead(told)[:3].tolist() == pytest.approx([0.4, 0.3, 0])


@for_all(some.lists(some.tuples(some.integers(0, 4), some.integers(0, 3)), max_size=30))
def test_contradictions_are_those_of_the_definition(rows: list[tuple[int, int]]) -> None:
    """A row has a rival where some row of its content has another class, and nowhere else."""
    contents = np.array([content for content, _ in rows], np.int64)
    told = np.array([code for _, code in rows], np.int32)
    for (content, code), rival in zip(rows, rivals(contents, told).tolist(), strict=True):
        contradicted = any(other == content and word != code for other, word in rows)
        assert (rival >= 0) == contradicted
        assert not contradicted or (contents[rival] == content and told[rival] != code)


def test_nearest_is_a_search_through_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of any size, neighbours and distances are those of all pairs, without rows that are kept apart."""
    rng = np.random.default_rng(3)
    places = directions(rng.normal(0, 1, (50, 8)).astype(np.float32))
    apart = rng.integers(0, 6, 50)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    distances[apart[:, None] == apart] = np.inf
    monkeypatch.setattr("labelsvc.labeling.neighbours.CELLS", 350)
    found = nearest(places, apart, 5)
    np.testing.assert_array_equal(found.rows, np.argsort(distances, axis=1)[:, :5])
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :5], atol=1e-5)
    some_rows = np.array([7, 3])
    np.testing.assert_array_equal(nearest(places, apart, 5, asked=some_rows).rows, found.rows[some_rows])


def test_who_is_nobodys_neighbour_is_infinitely_far() -> None:
    """Where a row has too few neighbours, the places that are left are at distance inf."""
    places = directions(np.random.default_rng(4).normal(0, 1, (4, 3)).astype(np.float32))
    found = nearest(places, np.array([0, 0, 0, 1]), 3)
    assert np.isinf(found.distances).sum(axis=1).tolist() == [2, 2, 2, 0]
