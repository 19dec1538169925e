"""The most memory that ``ingest``, ``label`` and ``predict`` take, at 60 thousand and at 600 thousand rows.

Run: ``uv run python tests/benchmarks/memory.py``. Each verb runs as a program of its own, on noisy digits of 28 × 28
pixels; its peak is what the system says of the process (maximum resident set). The two should differ by less than 10%.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from digits import write_digits
from record import keep_table

SIZES = (60_000, 600_000)
PROGRAM = (sys.executable, "-c", "import sys; from labelsvc.cli.main import main; sys.exit(main())")


def main() -> None:
    """Measure both sizes, and keep the table."""
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    rows = [_measure(size) for size in sizes]
    growth = {f"{verb}_ratio": rows[-1][verb] / rows[0][verb] for verb in rows[0] if verb.endswith("_mb")}
    keep_table("memory", [*rows, growth])


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
