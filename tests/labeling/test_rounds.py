"""Rounds stop for the first reason that applies, and counts decide, not shares."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from labelsvc.labeling.rounds import Round, is_worse, stop_reason

counts = st.integers(min_value=0, max_value=10**6)
FIRST = Round(1, "teacher", "a", pool=1000, labels=500, gained=500, validation_right=90, validation_rows=100)
SECOND = Round(2, "student", "b", pool=1000, labels=501, gained=1, validation_right=90, validation_rows=100)


def test_one_round_may_be_followed() -> None:
    """After the first of several rounds nothing has changed yet, so that only a full pool or the number stops them."""
    assert stop_reason([replace(FIRST, gained=0)], 2) is None
    assert stop_reason([replace(FIRST, labels=1000)], 2) == "all of the pool is labeled"
    assert stop_reason([FIRST], 1) == "1 rounds done"


def test_a_thousandth_of_the_pool_is_not_few() -> None:
    """Exactly 0.1% of the pool goes on, one row less stops; what was gained, changed and withdrawn counts alike."""
    for moves in ({"gained": 1}, {"gained": 0, "changed": 1}, {"gained": 0, "withdrawn": 1}):
        assert stop_reason([FIRST, replace(SECOND, **moves)], 3) is None
    assert stop_reason([FIRST, replace(SECOND, gained=0)], 3) == "under 0.1% of the pool changed"
    assert stop_reason([FIRST, replace(SECOND, pool=1001)], 3) == "under 0.1% of the pool changed"


def test_the_number_of_rounds_is_kept_to() -> None:
    """Rounds that change much end when as many were done as were asked for."""
    rounds = [FIRST, replace(SECOND, gained=300)]
    assert stop_reason(rounds, 2) == "2 rounds done"
    assert stop_reason(rounds, 3) is None


def test_the_first_reason_counts() -> None:
    """A fall of accuracy comes before a full pool, that before few changes, those before the number of rounds."""
    last = replace(SECOND, labels=1000, gained=0, validation_right=89)
    said = [stop_reason([FIRST, last], 2)]
    last = replace(last, validation_right=90)
    said.append(stop_reason([FIRST, last], 2))
    last = replace(last, labels=999)
    said.append(stop_reason([FIRST, last], 2))
    assert said == [
        "validation accuracy fell from 90.00% to 89.00% (90 to 89 of 100 rows)",
        "all of the pool is labeled",
        "under 0.1% of the pool changed",
    ]


def test_as_many_right_answers_are_not_worse() -> None:
    """One right answer fewer is worse, the same number is not, and without validation rows nothing is."""
    assert is_worse(FIRST, replace(SECOND, validation_right=89))
    assert not is_worse(FIRST, SECOND)
    assert not is_worse(FIRST, replace(SECOND, validation_right=91))
    assert not is_worse(replace(FIRST, validation_right=None), replace(SECOND, validation_right=None))


def test_an_empty_pool_is_all_labeled() -> None:
    """Where there is nothing to label, one round is enough."""
    assert stop_reason([Round(1, "teacher", "a")], 5) == "all of the pool is labeled"


@given(pool=counts, labels=counts, gained=counts, withdrawn=counts, wanted=st.integers(1, 9))
def test_rounds_end(pool: int, labels: int, gained: int, withdrawn: int, wanted: int) -> None:
    """Whatever the rounds come to, there are never more than were asked for."""
    turn = Round(1, "m", "s", pool=pool, labels=min(labels, pool), gained=gained, withdrawn=withdrawn)
    assert stop_reason([turn] * wanted, wanted) is not None
