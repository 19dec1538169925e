"""``ingest`` of 20,000 small PNGs, against reading them with pyarrow and decoding them with Pillow in one thread.

Run: ``uv run python tests/benchmarks/ingest.py [FILE.parquet]``; a file of photos shows what several cores bring.
Beside the decoding, ``ingest`` hashes the file and every picture, writes the decoded cache and fills the store.
"""

from __future__ import annotations

import io
import sys
import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from digits import pictures_of, write_digits
from PIL import Image
from record import keep, paired

from labelsvc import flows
from labelsvc.records import PictureShape

ROWS, ROUNDS = 20_000, 5


def main() -> None:
    """Measure and keep."""
    with tempfile.TemporaryDirectory() as folder:
        place, number = Path(folder), count()
        source = Path(sys.argv[1]) if len(sys.argv) > 1 else write_digits(place / "in.parquet", ROWS)
        shape = flows.ingest(place / "shape", [source]).shape

        def ours() -> None:
            flows.ingest(place / str(next(number)), [source])

        def limit() -> None:
            for data in pictures_of(source):
                _decoded(data, shape)

        seconds = paired(ours, limit, rounds=ROUNDS)
        rows = pq.read_metadata(source).num_rows
        what = "pyarrow's read and Pillow's decoding in one thread"
        name = "ingest" if len(sys.argv) == 1 else f"ingest_{source.parent.name}"
        keep(name, ours=seconds[0], limit=seconds[1], rows=rows, what=what, aim=0.5)


def _decoded(data: bytes, shape: PictureShape) -> np.ndarray:
    picture = Image.open(io.BytesIO(data)).convert("L" if shape.channels == 1 else "RGB")
    if picture.size != (shape.width, shape.height):
        picture = picture.resize((shape.width, shape.height), Image.Resampling.BILINEAR)
    return np.asarray(picture)


if __name__ == "__main__":
    main()
