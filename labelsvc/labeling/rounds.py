"""Rounds of labeling: what each has come to, and when they stop.

Counts are whole numbers throughout, so that no row is lost to rounding. Knows no store and no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FEW = 1000  # fewer than one row of the pool in so many with another label: the rounds have settled


@dataclass(frozen=True)
class Round:
    """One round: its model, the model's right answers on validation rows, and its labels against the set before.

    ``label_set_id`` is None where the labels were not written, because the model is worse than the one before.
    """

    round: int
    model_id: str
    label_set_id: str | None = None
    pool: int = 0  # rows that could get a label
    labels: int = 0
    gained: int = 0
    changed: int = 0
    withdrawn: int = 0
    validation_right: int | None = None
    validation_rows: int = 0

    @property
    def moved(self) -> int:
        """How many rows have another label than in the set before, or one of the two has none."""
        return self.gained + self.changed + self.withdrawn

    @property
    def accuracy(self) -> float | None:
        """The share of right answers on validation rows, None where there are none."""
        return None if self.validation_right is None else self.validation_right / max(self.validation_rows, 1)


def is_worse(before: Round, after: Round) -> bool:
    """Return whether the later model has fewer right answers on validation rows; never without such rows."""
    if before.validation_right is None or after.validation_right is None:
        return False
    return after.validation_right < before.validation_right


def stop_reason(rounds: Sequence[Round], wanted: int) -> str | None:
    """Return why no further round follows, the first reason that applies, or None.

    >>> first = Round(1, "teacher", "a", pool=5000, labels=4000, gained=4000)
    >>> stop_reason([first], 3)
    >>> stop_reason([first, Round(2, "student", "b", pool=5000, labels=4001, gained=3, withdrawn=1)], 3)
    'under 0.1% of the pool changed'
    """
    last = rounds[-1]
    if len(rounds) > 1 and is_worse(rounds[-2], last):
        return _fell(rounds[-2], last)
    if last.labels >= last.pool:
        return "all of the pool is labeled"
    if len(rounds) > 1 and last.moved * FEW < last.pool:
        return "under 0.1% of the pool changed"
    if len(rounds) >= wanted:
        return f"{wanted:,} rounds done"
    return None


def _fell(before: Round, after: Round) -> str:
    counts = f"{before.validation_right:,} to {after.validation_right:,} of {after.validation_rows:,} rows"
    return f"validation accuracy fell from {before.accuracy:.2%} to {after.accuracy:.2%} ({counts})"
