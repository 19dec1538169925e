"""The most memory that ``ingest``, ``label`` and ``predict`` take, at 60 thousand and at 600 thousand rows.

Run: ``uv run python tests/benchmarks/memory.py``. Each verb runs as a program of its own, on noisy digits of 28 × 28
pixels; its peak is what the system says of the process (maximum resident set). The two should differ by less than 10%.

``memory.py predict [ROWS...]`` measures ``predict`` alone, with an untrained student and pictures of 8 × 8 pixels, PNGs
and raw ones, at 60 thousand and at 6 million rows, with the probabilities of all classes in the output.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from digits import write_digits
from PIL import Image
from record import keep_table

SIZES, PREDICT_SIZES = (60_000, 600_000), (60_000, 6_000_000)
GROUP_ROWS = 50_000
MAKE = "make"  # the mode in which this program writes what another one measures
PROGRAM = (sys.executable, "-c", "import sys; from labelsvc.cli.main import main; sys.exit(main())")


def main() -> None:
    """Measure both sizes, and keep the table."""
    if sys.argv[1:2] == [MAKE]:
        _make(Path(sys.argv[2]), int(sys.argv[3]))
        return
    alone = sys.argv[1:2] == ["predict"]
    name, measure, usual = ("memory_predict", _measure_predict, PREDICT_SIZES) if alone else ("memory", _measure, SIZES)
    sizes = [int(size) for size in sys.argv[1 + alone :]] or usual
    rows = [measure(size) for size in sizes]
    growth = {f"{verb}_ratio": rows[-1][verb] / rows[0][verb] for verb in rows[0] if verb.endswith("_mb")}
    keep_table(name, [*rows, growth])


def _measure(rows: int) -> dict[str, float]:
    """Return the peaks of the three verbs in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        labeled = write_digits(place / "labeled.parquet", 200, labeled=True, start=rows)
        pool = write_digits(place / "pool.parquet", rows)
        student, here = place / "student.onnx", ("--workspace", place / "workspace")
        found: dict[str, float] = {"rows": rows}
        found["ingest_mb"] = _peak("ingest", labeled, pool, *here)
        _peak("train", "--steps", "50", "--device", "cpu", *here)
        found["label_mb"] = _peak("label", "--threshold", "0.5", "--device", "cpu", *here)
        _peak("export", student, *here)
        found["predict_mb"] = _peak("predict", student, pool, place / "out.parquet")
        return found


def _measure_predict(rows: int) -> dict[str, float]:
    """Return the peaks of predict in megabytes, for PNGs and for raw pixels."""
    found: dict[str, float] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # in a process of its own: a program's peak begins at that of the one that started it
        subprocess.run([sys.executable, __file__, MAKE, folder, str(rows)], check=True)
        for form, options in (("png", ()), ("raw", ("--shape", "8x8"))):
            paths = (place / "student.onnx", place / f"{form}.parquet", place / "out.parquet")
            found[f"{form}_mb"] = _peak("predict", *paths, "--probabilities", *options)
    return found


def _make(folder: Path, rows: int) -> None:
    """Write a student and its two files of pictures."""
    _untrained(folder / "student.onnx")
    for form in ("png", "raw"):
        _pictures(folder / f"{form}.parquet", rows, form)


def _untrained(path: Path) -> Path:
    """Write a student that learnt nothing."""
    from labelsvc import networks
    from labelsvc.records import Model, PictureShape, Preprocessing
    from labelsvc.student.export import export

    shape = Preprocessing(PictureShape(8, 8, 1), (0.3,), (0.3,))
    model = Model("none", "none", "student", "supervised", "convnet", "none", "none", tuple("0123456789"), shape)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)
    export(networks.build("convnet", shape, 10, seed=0), model, path, pixels=pixels)
    return path


def _pictures(path: Path, rows: int, form: str) -> Path:
    """Write noise of 8 × 8 pixels, a thousand different ones again and again."""
    noise = np.random.default_rng(0).integers(0, 256, (1_000, 8, 8), dtype=np.uint8)
    cells = [_png(picture) if form == "png" else picture.tobytes() for picture in noise]
    kind = pa.binary() if form == "png" else pa.binary(64)
    with pq.ParquetWriter(path, pa.schema([("id", pa.string()), ("image", kind)])) as writer:
        for first in range(0, rows, GROUP_ROWS):
            count = min(GROUP_ROWS, rows - first)
            places = pa.array([row % 1_000 for row in range(count)])
            ids = pa.array([f"row-{row:09}" for row in range(first, first + count)])
            writer.write_table(pa.table({"id": ids, "image": pa.array(cells, kind).take(places)}))
    return path


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _peak(*arguments: object) -> float:
    """Run labelsvc to its end and return the most memory that it took, in megabytes."""
    process = subprocess.Popen([*PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed: {said}")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
