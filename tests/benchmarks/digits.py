"""Noisy digits of scikit-learn's as PNGs of 28 × 28 pixels in Parquet, as many as a benchmark needs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

DISTINCT = 20_000  # pictures; beyond these they come again under other ids
GROUP_ROWS = 5_000


def write_digits(path: Path, rows: int, *, labeled: bool = False, start: int = 0) -> Path:
    """Write ``rows`` digits with ids from ``start`` on, with their labels or without."""
    cells, classes = _cells(min(rows, DISTINCT))
    with pq.ParquetWriter(path, _table(cells[:1], classes[:1], start, labeled=labeled).schema) as writer:
        for first in range(0, rows, GROUP_ROWS):
            places = [place % len(cells) for place in range(first, min(first + GROUP_ROWS, rows))]
            group = _table(
                [cells[place] for place in places], [classes[place] for place in places], start + first, labeled=labeled
            )
            writer.write_table(group)
    return path


def _table(cells: list[dict[str, bytes]], classes: list[str], start: int, *, labeled: bool) -> pa.Table:
    columns = {"id": [f"digit-{start + row:07d}" for row in range(len(cells))], "image": cells}
    return pa.table({**columns, "label": classes} if labeled else columns)


def _cells(count: int) -> tuple[list[dict[str, bytes]], list[str]]:
    from sklearn.datasets import load_digits

    digits, classes = load_digits(return_X_y=True)
    pictures = digits.reshape(-1, 8, 8)
    noise = np.random.default_rng(0)
    cells = [_png(pictures[row % len(pictures)], noise) for row in range(count)]
    return cells, [str(classes[row % len(classes)]) for row in range(count)]


def _png(digit: np.ndarray, noise: np.random.Generator) -> dict[str, bytes]:
    picture = Image.fromarray((digit * (255 / 16)).astype(np.uint8)).resize((28, 28))
    pixels = np.asarray(picture, dtype=np.int16)
    pixels = np.where(pixels > 40, pixels + noise.integers(-20, 20, pixels.shape), 0).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue()}


def pictures_of(path: Path) -> Iterator[bytes]:
    """Yield the encoded pictures of a file as pyarrow reads them."""
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(columns=["image"]):
            for cell in batch["image"].to_pylist():
                yield cell["bytes"]
