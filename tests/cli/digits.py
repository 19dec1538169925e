"""Real digits in small Parquet files, and the program called as its users call it."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits

from labelsvc.cli.main import main

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
LABELED, POOL, TEST = range(60), range(60, 150), range(150, 190)
FAST = ("--steps", "20", "--set", "labeled_batch=16", "--set", "pool_batch=16", "--device", "cpu")


@dataclass(frozen=True)
class Said:
    """What the program printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return self.err.splitlines()[-1]


def labelsvc(*arguments: str | Path) -> Said:
    """Call the program in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Said(code, out.getvalue(), err.getvalue())


def write_digits(path: Path, rows: range, *, labels: bool = True, broken: tuple[int, ...] = ()) -> Path:
    """Write rows of scikit-learn's digits as 8×8 PNGs; those at ``broken`` are no pictures."""
    pixels, classes = load_digits(return_X_y=True)
    cells = [{"bytes": b"no picture" if row in broken else _png(pixels[row]), "path": None} for row in rows]
    columns = {"id": [f"digit-{row}" for row in rows], "image": pa.array(cells, IMAGE)}
    if labels:
        columns["label"] = [str(classes[row]) for row in rows]
    pq.write_table(pa.table(columns), path)
    return path


def write_truth(path: Path, rows: range) -> Path:
    """Write ids and true labels of ``rows``."""
    _, classes = load_digits(return_X_y=True)
    ids = [f"digit-{row}" for row in rows]
    pq.write_table(pa.table({"id": ids, "label": [str(classes[row]) for row in rows]}), path)
    return path


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray((pixels.reshape(8, 8) * 15).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()
