"""Near-duplicates across roles: what is nearly the same is found, what is merely alike is not."""

from __future__ import annotations

import numpy as np

from labelsvc.labeling.neighbours import directions
from labelsvc.labeling.twins import NEARER, twins

TRAIN, VALIDATION, CALIBRATION = 200, 40, 60
ROLES = np.repeat(np.arange(3), (TRAIN, VALIDATION, CALIBRATION))
HELD_OUT = np.flatnonzero(ROLES)


def features(seed: int = 0) -> np.ndarray:
    """Return rows of no twins."""
    return np.random.default_rng(seed).normal(0, 1, (len(ROLES), 24)).astype(np.float32)


def pairs(rows: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs that are found, the rows of each sorted."""
    found = twins(directions(rows), ROLES, HELD_OUT)
    assert (found.distances[:-1] <= found.distances[1:]).all()
    return [tuple(sorted((int(row), int(other)))) for row, other in zip(found.rows, found.others, strict=True)]


def test_rows_that_are_merely_alike_are_no_twins() -> None:
    """Among rows drawn independently, nothing is found."""
    assert pairs(features()) == []


def test_copies_and_near_copies_are_found_once() -> None:
    """Copies and slightly changed ones in another role are found, closest first, a pair of held-out rows once."""
    rows = features()
    rows[210] = rows[5]
    rows[250] = rows[9] + np.random.default_rng(1).normal(0, 0.1, 24)
    rows[260] = rows[215] + np.random.default_rng(2).normal(0, 0.2, 24)
    found = twins(directions(rows), ROLES, HELD_OUT)
    assert pairs(rows) == [(5, 210), (9, 250), (215, 260)]
    assert found.distances[0] < 0.01 < found.distances[1] <= found.distances[2] <= NEARER


def test_twins_of_one_role_do_no_harm() -> None:
    """A pair within training, or within calibration, is none."""
    rows = features()
    rows[1], rows[251] = rows[0], rows[250]
    assert pairs(rows) == []


def test_many_copies_are_found_all_the_same() -> None:
    """Where a row has more copies than neighbours are looked at, it is still a twin."""
    rows = features()
    rows[:20] = rows[299]
    assert [held for _, held in pairs(rows)] == [299]


def test_without_held_out_rows_there_are_no_twins() -> None:
    """Nothing is held out, or training is too small to compare with: no pair, and no error."""
    rows = directions(features())
    nothing = np.zeros(0, np.int64)
    assert len(twins(rows, ROLES * 0, nothing)) == 0
    assert len(twins(rows[:4], np.array([0, 0, 1, 1]), np.array([2, 3]))) == 0
