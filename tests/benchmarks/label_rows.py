"""Writing a label set of a million labels, against ``executemany`` of DuckDB's Python client, row by row.

Run: ``uv run python tests/benchmarks/label_rows.py``. As a million rows by ``executemany`` take minutes, it is timed on
some thousand of them and compared by rows per second.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
from record import keep

from labelsvc.records import LabelSet, Policy, PseudoLabels
from labelsvc.store import Store, label_sets
from labelsvc.store.identifiers import new_id

ROWS, FEW, ROUNDS = 1_000_000, 5_000, 3


def main() -> None:
    """Measure and keep."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "labels.duckdb")
        _fill(store)
        labels = _labels()
        ours = [_timed_set(store, labels) for _ in range(ROUNDS)]
        limit = [_timed_rows(Path(folder) / f"{turn}.duckdb", labels) * ROWS / FEW for turn in range(ROUNDS)]
    keep("label_rows", ours=ours, limit=limit, rows=ROWS, what="the speed of executemany", aim=100)


def _fill(store: Store) -> None:
    """Make a pool of a million samples and two classes."""
    with store.writing() as connection:
        connection.execute("INSERT INTO class VALUES (0, 'cat'), (1, 'dog')")
        connection.execute(
            "INSERT INTO sample (sample_no, sample_id, content_hash, role) "
            f"SELECT range, 'sample-' || range, md5(range::VARCHAR), 'pool' FROM range({ROWS})"
        )


def _labels() -> PseudoLabels:
    random = np.random.default_rng(0)
    classes = random.integers(0, 2, ROWS).astype(np.int32)
    confidence = random.uniform(0.9, 1.0, ROWS)
    return PseudoLabels(np.arange(ROWS), classes, confidence, 1 - classes, 1 - confidence)


def _timed_set(store: Store, labels: PseudoLabels) -> float:
    policy = Policy(new_id(), "run", "model", 0.9)
    label_set = LabelSet(new_id(), "run", "model", policy.policy_id, len(labels), "")
    started = time.perf_counter()
    label_sets.write(store, label_set, policy, labels, make_current=True)
    return time.perf_counter() - started


def _timed_rows(path: Path, labels: PseudoLabels) -> float:
    columns = [column[:FEW].tolist() for column in vars(labels).values() if column is not None]
    rows = [("set", *row) for row in zip(*columns, strict=True)]
    with duckdb.connect(path) as connection:
        connection.execute(
            "CREATE TABLE pseudo_label (label_set_id VARCHAR, sample_no BIGINT, class INTEGER, confidence DOUBLE, "
            "runner_up INTEGER, runner_up_probability DOUBLE)"
        )
        started = time.perf_counter()
        connection.begin()
        connection.executemany("INSERT INTO pseudo_label VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.commit()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
