"""Which rows to label next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from labelsvc.labeling import suggest as module
from labelsvc.labeling.suggest import suggest


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 15), st.integers(1, 50), st.integers(0, 3))
def test_rows_are_suggested_once(rows: int, labeled: int, n: int, kinds: int) -> None:
    """As many rows as are wanted and there, each once, whatever their number and however many are the same."""
    rng = np.random.default_rng(rows)
    places = rng.normal(size=(rows + labeled, 3)) if kinds else np.zeros((rows + labeled, 3))
    if kinds > 1:
        places = places[rng.integers(0, min(kinds, len(places)), len(places))]
    found = suggest(places[:rows], places[rows:], rng.random(rows), n=n, seed=0)
    assert len(found) == len(set(found.places.tolist())) == min(n, rows)
    assert set(found.places.tolist()) <= set(range(rows))
    assert len(found.cluster_rows) == len(found)


def test_the_same_seed_suggests_the_same() -> None:
    """Nothing but the arguments decides."""
    rng = np.random.default_rng(0)
    rows, labeled, doubt = rng.normal(size=(300, 5)), rng.normal(size=(20, 5)), rng.random(300)
    first, again = (suggest(rows, labeled, doubt, n=30, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.places, again.places)
    np.testing.assert_array_equal(first.cluster_rows, again.cluster_rows)


@pytest.mark.parametrize("labeled", [30, 400])
def test_a_cluster_without_a_label_comes_first(labeled: int) -> None:
    """Rows far from all labels are suggested before doubtful ones, however sure the model is of them."""
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(900, 2)), rng.normal(size=(100, 2)) + 12
    doubt = np.concatenate([rng.random(900), np.zeros(100)])
    found = suggest(np.concatenate([near, far]), rng.normal(size=(labeled, 2)), doubt, n=10, seed=0)
    assert found.places[0] >= 900
    assert found.cluster_rows[0] > 0


def test_with_many_labels_doubt_decides() -> None:
    """Where the labels reach everything, the doubtful rows are suggested, and no two of a place."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(100, 2)), 10, axis=0) + rng.normal(0, 1e-3, (1_000, 2))
    doubt = np.where(np.arange(1_000) < 200, 0.9, 0.1)  # twenty places of ten rows
    found = suggest(rows, rows[rng.integers(0, 1_000, 2_000)], doubt, n=20, seed=0)
    assert (found.cluster_rows == 0).mean() > 0.9
    doubtful = found.places[found.cluster_rows == 0]
    assert (doubtful < 200).all()
    assert len(set((doubtful // 10).tolist())) > 0.8 * len(doubtful)


def test_the_fewer_rows_are_ordered_by_doubt() -> None:
    """Where all rows are wanted, the most doubtful comes first."""
    found = suggest(np.zeros((3, 1)), np.zeros((0, 1)), np.array([0.1, 0.9, 0.5]), n=3, seed=0)
    assert found.places.tolist() == [1, 2, 0]


@pytest.mark.seconds
def test_suggested_digits_teach_more_than_random_ones() -> None:
    """Over eight draws of 20 digits, 30 suggested labels bring more than 30 random ones, nearly always."""
    values, classes = load_digits(return_X_y=True)
    gains = []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(values))
        test, labeled, pool = order[:500], order[500:520], order[520:]
        model = LogisticRegression(C=0.01, max_iter=5_000).fit(values[labeled], classes[labeled])
        scores = np.sort(model.predict_proba(values[pool]), axis=1)
        doubt = 1 - (scores[:, -1] - scores[:, -2])
        chosen = suggest(values[pool], values[labeled], doubt, n=30, seed=seed).places
        right = []
        for more in (pool[chosen], pool[:30]):
            rows = np.concatenate([labeled, more])
            taught = LogisticRegression(C=0.01, max_iter=5_000).fit(values[rows], classes[rows])
            right.append(float((taught.predict(values[test]) == classes[test]).mean()))
        gains.append(right[0] - right[1])
    assert np.mean(gains) > 0.03
    assert np.mean(np.array(gains) > 0) >= 0.75


def test_a_missing_class_is_among_the_first() -> None:
    """Of digits with one class without a label, suggested rows hold it within the first ten, for every class."""
    values, classes = load_digits(return_X_y=True)
    for missing in range(10):
        order = np.random.default_rng(missing).permutation(len(values))
        labeled = order[classes[order] != missing][:60]
        pool = np.setdiff1d(order, labeled)
        found = suggest(values[pool], values[labeled], np.zeros(len(pool)), n=30, seed=0).places
        assert (classes[pool[found[:10]]] == missing).any(), missing
    assert module.MOST_CLUSTERS > 90
