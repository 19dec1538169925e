"""A small real table, scikit-learn's wine, with columns of all kinds beside its numbers, and the same as vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_wine

from labelsvc import flows

LABELED, POOL = 60, 80  # of 178 wines; the others are test rows
MEASURES = 6  # of the 13


def wines() -> pa.Table:
    """Return all wines in a random order, with a category, a boolean, a time and some nulls."""
    found = load_wine()
    order = np.random.default_rng(0).permutation(len(found.target))
    rng = np.random.default_rng(1)
    rows = found.data[order]
    columns = {f"m{place}": pa.array(rows[:, place].astype(np.float32)) for place in range(MEASURES)}
    columns["m0"] = pa.array(rows[:, 0], mask=rng.random(len(rows)) < 0.1)
    columns["colour"] = pa.array(np.where(rows[:, 9] > 5, "dark", "light"))
    columns["sweet"] = pa.array(rows[:, 12] > 700)
    columns["bottled"] = pa.array(rng.integers(1_500_000_000, 1_700_000_000, len(rows))).cast(pa.timestamp("s"))
    named = {"id": pa.array([f"wine {number}" for number in order]), **columns}
    return pa.table({**named, "label": pa.array(found.target_names[found.target[order]])})


def vectors() -> pa.Table:
    """Return all wines as vectors of their standardised measures."""
    found = load_wine()
    order = np.random.default_rng(0).permutation(len(found.target))
    rows = ((found.data - found.data.mean(axis=0)) / found.data.std(axis=0))[order].astype(np.float32)
    return pa.table(
        {
            "id": pa.array([f"wine {number}" for number in order]),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1]),
            "label": pa.array(found.target_names[found.target[order]]),
        }
    )


def write(folder: Path, table: pa.Table) -> tuple[Path, Path, Path]:
    """Write labeled, unlabeled and test rows, and return the files."""
    names = ("labeled", "unlabeled", "test")
    parts = (
        table.slice(0, LABELED),
        table.slice(LABELED, POOL).drop_columns("label"),
        table.slice(LABELED + POOL),
    )
    for name, part in zip(names, parts, strict=True):
        pq.write_table(part, folder / f"{name}.parquet")
    labeled, unlabeled, test = (folder / f"{name}.parquet" for name in names)
    return labeled, unlabeled, test


def ingested(folder: Path, table: pa.Table, config: flows.IngestConfig | None = None) -> Path:
    """Ingest a table into a workspace of its own."""
    labeled, unlabeled, test = write(folder, table)
    flows.ingest(folder / "ws", [labeled, unlabeled], test=[test], config=config)
    return folder / "ws"
