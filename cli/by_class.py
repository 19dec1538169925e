"""Coverage and precision of each class as a table on stderr, where a label set is summed up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import tables, terminal

if TYPE_CHECKING:
    from labelsvc.labeling.summary import ClassSummary

MOST = 30  # classes in a table; of more, those that are covered least


def show(summaries: Sequence[ClassSummary]) -> None:
    """Show a line for each class; those of precision are left out where no validation rows were kept."""
    shown = least_covered(summaries)
    checked = any(one.checked is not None for one in shown)
    headers = ["class", "said of", "labels", "coverage", "confidence"]
    rows = [[one.name, one.predicted, one.accepted, _share(one.coverage), _share(one.confidence)] for one in shown]
    if checked:
        headers += ["validation", "right", "precision"]
        rows = [[*row, one.checked, one.right, _share(one.precision)] for row, one in zip(rows, shown, strict=True)]
    tables.show(headers, rows, sys.stderr)
    if len(shown) < len(summaries):
        terminal.note(f"these are the {len(shown)} of {len(summaries):,} classes with the least coverage")


def least_covered(summaries: Sequence[ClassSummary]) -> Sequence[ClassSummary]:
    """Return all classes in their order or, of many, those with the least coverage, the least first."""
    if len(summaries) <= MOST:
        return summaries
    return sorted(summaries, key=lambda one: (one.coverage or 0.0, one.name))[:MOST]


def _share(value: float | None) -> str | None:
    """Return a share in per cent, and nothing for one that is not known.

    >>> _share(0.5), _share(None)
    ('50.0%', None)
    """
    return None if value is None else f"{value:.1%}"
