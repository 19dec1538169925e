"""Made tables of mixed columns for benchmarks, of three classes that overlap.

24 numbers, six of them whole and four with nulls, and 6 categories, two of them with nulls.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 50_000
NUMBERS, CATEGORIES = 24, (2, 3, 5, 8, 13, 40)
CLASSES = np.array(["red", "green", "blue"])


def write_mixed(path: Path, rows: int, *, labeled: bool = False, seed: int = 0) -> Path:
    """Write a Parquet file of rows with an id and 30 columns, and their classes where it is ``labeled``."""
    random = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, GROUP_ROWS):
        table = _mixed(random, min(GROUP_ROWS, rows - start), f"{seed}-{start}")
        table = table if labeled else table.drop_columns(["label"])
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return path


def _mixed(random: np.random.Generator, rows: int, name: str) -> pa.Table:
    means = 0.3 * np.random.default_rng(0).normal(size=(len(CLASSES), NUMBERS))
    classes = random.integers(0, len(CLASSES), rows)
    columns: dict[str, pa.Array] = {"id": pa.array([f"{name}-{row}" for row in range(rows)])}
    for place, values in enumerate(random.normal(means[classes], 1.0).astype(np.float32).T):
        gaps = random.random(rows) < 0.05 if place % 6 == 0 else None
        columns[f"number_{place}"] = pa.array((values * 100).astype(np.int32) if place % 4 == 1 else values, mask=gaps)
    for place, count in enumerate(CATEGORIES):
        codes = (random.integers(0, count, rows) + classes * (random.random(rows) < 0.2)) % count
        gaps = random.random(rows) < 0.1 if place < 2 else None
        columns[f"category_{place}"] = pa.array(np.char.add("kind_", codes.astype(str)), mask=gaps)
    return pa.table({**columns, "label": pa.array(CLASSES[classes])})
