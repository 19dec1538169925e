"""How often ``label --precision .95`` keeps its word on tables: letter and adult, labels drawn anew a hundred times.

Each time 2,000 rows are drawn from all rows at random and labeled, 600 of them kept for calibration and none for
validation; a teacher is fitted to the other 1,400: the cheapest, then extra trees, so that no result chose them. What
is written is scored against the truth of the pool when all is done. A promise at 95% confidence may be broken five
times in a hundred; a refusal writes nothing and breaks nothing. ``DIR/letter`` and ``DIR/adult`` are as for
``tables.py``::

    export LABELSVC_TEST_DATA=DIR
    uv run python tests/benchmarks/tables_promises.py run WORKSPACES [CASE...] [--draws N]
    uv run python tests/benchmarks/tables_promises.py table

A draw that has its line is not done again; the workspace of one that is done is removed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from itertools import product
from pathlib import Path

from lines import Line, Lines, markdown
from tables import drawn

from labelsvc import flows
from labelsvc.errors import PromiseError
from labelsvc.labeling.bounds import allowed_wrong

CASES = ("letter", "adult")
LABELS, CALIBRATION = 2000, 600
PRECISION, CONFIDENCE = 0.95, 0.95
TEACHERS = ("logistic-regression", "extra-trees")
CERTIFIED, REFUSED = "certified", "refused"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("run", "table"))
    parser.add_argument("workspaces", type=Path, nargs="?", default=Path("workspaces"))
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--draws", type=int, default=100)
    told = parser.parse_args()
    lines = Lines.named("tables_promises")
    if told.mode == "table":
        print(_table(lines))  # noqa: T201
        return
    for teacher, draw, case in product(TEACHERS, range(told.draws), told.cases or CASES):
        if not lines.having(case=case, teacher=teacher, draw=draw):
            folder = told.workspaces / f"promise-{case}-{teacher}-{draw}"
            shutil.rmtree(folder, ignore_errors=True)  # of a draw that was interrupted
            lines.add(case=case, teacher=teacher, draw=draw, **_measured(folder, case, teacher, draw))
            shutil.rmtree(folder)


def _measured(folder: Path, case: str, teacher: str, draw: int) -> Line:
    """Train and label on one draw, and return what came of the promise."""
    data = Path(os.environ["LABELSVC_TEST_DATA"]) / case
    labeled, unlabeled, truth = drawn(data, folder, labels=LABELS, alike=None, seed=draw)
    place, started = folder / "workspace", time.monotonic()
    roles = flows.IngestConfig(validation=0, calibration=CALIBRATION)
    flows.ingest(place, [labeled, unlabeled], config=roles)
    flows.train(place, flows.TrainConfig("supervised", network=teacher, seed=draw))
    found: Line = {"precision": PRECISION, "confidence": CONFIDENCE}
    try:
        outcome = flows.label(place, flows.LabelConfig(precision=PRECISION, confidence=CONFIDENCE))
    except PromiseError as error:
        return {**found, "outcome": REFUSED, "reason": str(error), "seconds": round(time.monotonic() - started, 1)}
    score = flows.evaluate(place, truth=truth).score
    return {
        **found,
        "outcome": CERTIFIED,
        "pool": outcome.rows.given,
        "labeled": outcome.rows.labeled,
        "scored": score.labeled,
        "right": score.right,
        "broken": score.labeled - score.right > allowed_wrong(PRECISION, score.labeled),
        "seconds": round(time.monotonic() - started, 1),
    }


def _table(lines: Lines) -> str:
    header = (
        "data",
        "teacher",
        "draws",
        "certified",
        "refused",
        "broken",
        "right, median",
        "worst",
        "coverage",
        "range",
    )
    pairs = product(CASES, TEACHERS)
    return markdown(
        header, [_row(*pair, found) for pair in pairs if (found := lines.having(case=pair[0], teacher=pair[1]))]
    )


def _row(case: str, teacher: str, found: list[Line]) -> list[object]:
    kept = [line for line in found if line["outcome"] == CERTIFIED]
    right = [line["right"] / line["scored"] for line in kept]
    covered = [line["labeled"] / line["pool"] for line in kept]
    counts = [case, teacher, len(found), len(kept), len(found) - len(kept), sum(line["broken"] for line in kept)]
    if not kept:
        return [*counts, "-", "-", "-", "-"]
    return [
        *counts,
        f"{statistics.median(right):.2%}",
        f"{min(right):.2%}",
        f"{statistics.median(covered):.1%}",
        f"{min(covered):.1%} to {max(covered):.1%}",
    ]


if __name__ == "__main__":
    main()
