"""``ingest``, ``label`` and ``predict`` of a million rows of 30 columns, 2,000 of them labeled: memory and time.

Run: ``uv run python tests/benchmarks/tables_million.py run [FOLDER]``, then ``... table``. Each verb runs as a program
of its own, on 100 thousand rows and on a million; its peak is what the system says of the process (maximum resident
set), its seconds are those of the call, without imports. Beside them stand the limits, as programs of their own in the
same run: pyarrow's bare read of the same files for ``ingest``, and for the others ``predict_proba`` of the same fitted
estimator on arrays that are ready, all rows at once. The student is the teacher, exported.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
from mixed import write_mixed
from record import RESULTS, keep_table

SIZES, LABELED = (100_000, 1_000_000), 2_000
TEACHERS = ("logistic-regression", "gradient-boosting")
ROUNDS = 3  # of a verb and its limit in turn; label, which is long, is done once
NAME = "tables_million"


def main() -> None:
    """Measure, or show what was measured; a child does one thing alone and says how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("run", "table", *CHILDREN))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("argument", nargs="?", default="")
    told = parser.parse_args()
    if told.mode == "table":
        print(_table())  # noqa: T201
    elif told.mode == "run":
        with TemporaryDirectory(dir=told.folder) as folder:
            keep_table(NAME, [line for rows in SIZES for line in _measured(Path(folder) / str(rows), rows)])
    else:
        print(json.dumps(CHILDREN[told.mode](told.folder, told.argument)))  # noqa: T201


def _measured(place: Path, rows: int) -> list[dict[str, float | str]]:
    """Return a line for each verb and teacher."""
    place.mkdir()
    _child("make", place, str(rows))
    found: list[dict[str, float | str]] = [
        {"rows": rows, "teacher": "any", "verb": "ingest", **_paired("ingest", "read", place, "", ROUNDS)}
    ]
    for teacher in TEACHERS:
        _child("train", place, teacher)
        about: dict[str, float | str] = {"rows": rows, "teacher": teacher}
        found.append({**about, "verb": "label", **_paired("label", "ask", place, teacher, 1)})
        _child("export", place, teacher)
        found.append({**about, "verb": "predict", **_paired("predict", "ask", place, teacher, ROUNDS)})
    return found


def _paired(verb: str, limit: str, place: Path, argument: str, rounds: int) -> dict[str, float]:
    """Return the median of a verb's seconds and of its limit's, in turn, of their ratios, and the largest peak."""
    pairs = [(_child(verb, place, argument), _child(limit, place, argument)) for _ in range(rounds)]
    return {
        "peak_mb": round(max(ours[1] for ours, _ in pairs)),
        "seconds": round(statistics.median(ours[0] for ours, _ in pairs), 2),
        "limit_seconds": round(statistics.median(bare[0] for _, bare in pairs), 3),
        "times_the_limit": round(statistics.median(ours[0] / bare[0] for ours, bare in pairs), 2),
    }


def _child(mode: str, place: Path, argument: str) -> tuple[float, float]:
    """Return the seconds and the peak in megabytes of a program of its own."""
    process = subprocess.Popen([sys.executable, __file__, mode, place, argument], stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{mode} {argument} failed")
    seconds, peak = float(json.loads(said)), usage.ru_maxrss / 1024
    print(f"{mode} {argument} of {place.name} rows: {seconds:.2f} s, {peak:.0f} MB", flush=True)  # noqa: T201
    return seconds, peak


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _make(place: Path, rows: str) -> float:
    write_mixed(place / "labeled.parquet", LABELED, labeled=True, seed=1)
    return _timed(lambda: write_mixed(place / "pool.parquet", int(rows) - LABELED, seed=2))


def _ingest(place: Path, _: str) -> float:
    import shutil

    from labelsvc import flows

    shutil.rmtree(place / "workspace", ignore_errors=True)
    files, roles = [place / "labeled.parquet", place / "pool.parquet"], flows.IngestConfig(validation=0, calibration=0)
    ingest = flows.ingest  # which loads it
    return _timed(lambda: ingest(place / "workspace", files, config=roles))


def _read(place: Path, _: str) -> float:
    def read() -> None:
        for name in ("labeled", "pool"):
            for batch in pq.ParquetFile(place / f"{name}.parquet").iter_batches():
                del batch

    return _timed(read)


def _train(place: Path, teacher: str) -> float:
    from labelsvc import flows

    return _timed(lambda: flows.train(place / "workspace", flows.TrainConfig("supervised", network=teacher)))


def _label(place: Path, _: str) -> float:
    import skops.io  # noqa: F401 - by which a teacher is read

    from labelsvc import flows

    label = flows.label
    return _timed(lambda: label(place / "workspace", flows.LabelConfig(threshold=0.9)))


def _export(place: Path, _: str) -> float:
    from labelsvc import flows

    return _timed(lambda: flows.export(place / "workspace", place / "student.onnx"))


def _predict(place: Path, _: str) -> float:
    from labelsvc import flows

    (place / "out.parquet").unlink(missing_ok=True)
    predict = flows.predict
    return _timed(lambda: predict(place / "student.onnx", place / "pool.parquet", place / "out.parquet"))


def _ask(place: Path, _: str) -> float:
    """Ask the newest teacher's estimator about the pool's features, which are read before."""
    from labelsvc.classical.keeping import load
    from labelsvc.flows._inputs import rows_to_ask
    from labelsvc.flows._models import newest
    from labelsvc.flows._session import open_store
    from labelsvc.store import samples
    from labelsvc.workspace import find

    workspace = find(place / "workspace")
    store = open_store(workspace)
    estimator = load(workspace.root / newest(store, None).path)
    rows = rows_to_ask(workspace, store, samples.pool(store), device="cpu")
    features = np.concatenate([block.numpy() for block in rows.blocks(1 << 16)])
    return _timed(lambda: estimator.predict_proba(features))


CHILDREN = {
    "make": _make,
    "ingest": _ingest,
    "read": _read,
    "train": _train,
    "label": _label,
    "export": _export,
    "predict": _predict,
    "ask": _ask,
}


def _table() -> str:
    from lines import markdown

    rows = json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))["rows"]
    header = ("rows", "verb", "teacher", "peak_mb", "seconds", "limit_seconds", "times_the_limit")
    return markdown(header, [[f"{row[name]:,}" if name == "rows" else row[name] for name in header] for row in rows])


if __name__ == "__main__":
    main()
