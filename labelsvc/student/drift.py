"""Whether new rows are like the pool that a student's labels were chosen on: by the classes it names, and how surely.

Two population stability indices. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelsvc.student.metadata import BINS, LITTLE, MUCH, Words, stability

CHANCE = 0.05  # the index that rows of the very pool may reach by chance, beyond which nothing is said
NAMED = 3  # classes whose shares moved most


@dataclass(frozen=True)
class Share:
    """A class's share of the pool, and of new rows."""

    label: str
    pool: float
    rows: float


@dataclass(frozen=True)
class Drift:
    """How far new rows are from the pool."""

    classes: float  # index of the shares of predicted classes
    confidence: float  # index of the shares of ten bins of confidence
    moved: tuple[Share, ...]  # the classes whose shares differ most

    @property
    def most(self) -> float:
        """The larger of the two indices."""
        return max(self.classes, self.confidence)


def drift(pool: Words, seen: Words, classes: Sequence[str]) -> Drift | None:
    """Compare new rows with the pool; None where so few rows differ by chance alone.

    Of k bins, two samples of n and m rows of one population have an index of about (k − 1) (1/n + 1/m).
    """
    if not (pool.rows and seen.rows):
        return None
    bins = max(len(classes), BINS)
    if (bins - 1) * (1 / pool.rows + 1 / seen.rows) > CHANCE:
        return None
    shares = [
        Share(label, expected / pool.rows, found / seen.rows)
        for label, expected, found in zip(classes, pool.classes, seen.classes, strict=True)
    ]
    moved = sorted(shares, key=lambda share: -abs(share.rows - share.pool))[:NAMED]
    indices = (stability(pool.classes, seen.classes), stability(pool.confidence, seen.confidence))
    return Drift(*indices, tuple(moved))


def in_words(found: Drift) -> str | None:
    """Say what is worth knowing, None where nothing is.

    >>> in_words(Drift(0.01, 0.02, ()))
    >>> in_words(Drift(0.3, 0.02, (Share("cat", 0.1, 0.4),)))[:63]
    'these rows are not like the pool that the labels were chosen on'
    """
    if found.most < LITTLE:
        return None
    shares = ", ".join(f"{share.label} {share.pool:.1%} → {share.rows:.1%}" for share in found.moved)
    what = (
        f"population stability index {found.classes:.2f} of the classes, {found.confidence:.2f} of the confidence; "
        f"shares that moved most: {shares}"
    )
    if found.most < MUCH:
        return f"these rows differ somewhat from the pool that the labels were chosen on ({what})"
    return (
        f"these rows are not like the pool that the labels were chosen on ({what}); what was promised of the labels "
        "may not hold here: judge some of them, or train on rows like these"
    )
