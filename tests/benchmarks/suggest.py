"""What suggested labels are worth beside random ones: scikit-learn's digits, 20 labels and 30 more, several draws.

Run: ``uv run python tests/benchmarks/suggest.py WORKSPACES [SEED...]``. Each draw trains a teacher on 20 random labels,
lets it suggest 30 rows, and trains on the 50 labels; beside it, on the 20 and 30 random ones. Another draw has no
label of one class, and counts at which place of the suggestions the first row of that class stands (0: at none).
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from record import keep_table
from sklearn.datasets import load_digits

from labelsvc import flows

LABELS, MORE, TEST = 20, 30, 500
TRAINING = flows.TrainConfig(steps=200, settings={"labeled_batch": "32", "pool_batch": "64"})


def main() -> None:
    """Measure each draw, and keep the table."""
    workspaces = Path(sys.argv[1])
    seeds = [int(seed) for seed in sys.argv[2:]] or list(range(6))
    keep_table("suggest", [_measure(workspaces / f"draw-{seed}", seed) for seed in seeds])


def _measure(folder: Path, seed: int) -> dict[str, float]:
    classes = load_digits(return_X_y=True)[1].astype(str)
    order = np.random.default_rng(seed).permutation(len(classes))
    test, rest = order[:TEST], order[TEST:]
    workspace = _ingested(folder / "start", rest[:LABELS], rest[LABELS:], test, classes)
    flows.train(workspace, TRAINING)
    row = {"seed": float(seed), "20 labels": flows.evaluate(workspace).score.accuracy}
    suggested = flows.suggest(workspace, flows.SuggestConfig(n=MORE)).suggestions
    chosen = {"suggested": [int(one.id.removeprefix("digit-")) for one in suggested]}
    chosen["random"] = [int(place) for place in rest[LABELS : LABELS + MORE]]
    for name, rows in chosen.items():
        row[f"and 30 {name}"] = _taught(workspace, folder / name, rows, classes)
    missing = str(seed % 10)
    labeled = rest[classes[rest] != missing][: LABELS * 2]
    workspace = _ingested(folder / "missing", labeled, np.setdiff1d(rest, labeled), test, classes)
    flows.train(workspace, TRAINING)
    found = flows.suggest(workspace, flows.SuggestConfig(n=MORE)).suggestions
    places = [place for place, one in enumerate(found, 1) if classes[int(one.id.removeprefix("digit-"))] == missing]
    return {**row, "first of a missing class": float(min(places, default=0)), "of it in 30": float(len(places))}


def _ingested(folder: Path, labeled: np.ndarray, pool: np.ndarray, test: np.ndarray, classes: np.ndarray) -> Path:
    """Take in a draw: its labels, its pool, its test rows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts = {"labeled": (labeled, classes), "pool": (pool, np.full(len(classes), None)), "test": (test, classes)}
    for name, (rows, labels) in parts.items():
        columns = {"id": _ids(rows), "image": _pictures(rows), "label": pa.array(labels[rows], pa.string())}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    files = [folder / f"{name}.parquet" for name in parts]
    flows.ingest(folder / "workspace", files[:2], test=files[2:])
    return folder / "workspace"


def _ids(rows: Sequence[int] | np.ndarray) -> list[str]:
    return [f"digit-{row}" for row in rows]


def _pictures(rows: np.ndarray) -> list[dict[str, bytes]]:
    cells = []
    for values in load_digits(return_X_y=True)[0][rows]:
        file = io.BytesIO()
        Image.fromarray((values.reshape(8, 8) * (255 / 16)).astype(np.uint8)).save(file, "PNG")
        cells.append({"bytes": file.getvalue()})
    return cells


def _taught(start: Path, folder: Path, rows: list[int], classes: np.ndarray) -> float:
    """Bring the labels of more rows, train, and return the accuracy on the test rows."""
    shutil.rmtree(folder, ignore_errors=True)
    workspace = shutil.copytree(start, folder / "workspace")
    labels = folder / "more.parquet"
    pq.write_table(pa.table({"id": _ids(rows), "label": list(classes[rows])}), labels)
    flows.ingest(workspace, config=flows.IngestConfig(labels=str(labels)))
    flows.train(workspace, TRAINING)
    return flows.evaluate(workspace).score.accuracy


if __name__ == "__main__":
    main()
