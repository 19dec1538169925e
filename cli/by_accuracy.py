"""Teachers that were compared, the best first, as a table on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import tables

if TYPE_CHECKING:
    from labelsvc.flows._candidates import Candidate


def show(candidates: Sequence[Candidate], taken: str | None) -> None:
    """Show how often each was right on labels that it was not shown; one that could not be compared says why."""
    if not candidates:
        return
    ordered = sorted(candidates, key=lambda one: -(one.accuracy or 0.0))
    rows = [
        [
            one.name,
            None if one.accuracy is None else f"{one.accuracy:.2%}",
            one.log_loss,
            round(one.seconds, 1),
            "taken" if one.name == taken else one.reason,
        ]
        for one in ordered
    ]
    tables.show(["teacher", "right on held-out labels", "log loss", "seconds", ""], rows, sys.stderr)
