"""predict as a program of its own: without the heavy packages, and killed at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Flow
from digits import write_digits

pytestmark = pytest.mark.seconds

START = "import sys; from labelsvc.cli.main import main; sys.exit(main())"
SMALL = (
    "from labelsvc.data import sources; from labelsvc.student import parts; "
    "parts.PART_ROWS = 500; sources.rows_per_batch = lambda shape: 50; "
)
HEAVY = ("torch", "torchvision", "duckdb", "sklearn", "onnx", "onnxscript", "scipy", "safetensors", "jaxtyping")
ROWS = 20_000


def program(code: str, *arguments: object) -> list[str]:
    """Return the command of the program, after some code of ours."""
    return [sys.executable, "-c", code + START, *map(str, arguments)]


def test_without_the_heavy_packages(flow: Flow, tmp_path: Path) -> None:
    """Where torch, duckdb, scikit-learn, onnx and more cannot be imported, predict and --help work all the same."""
    poison = f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r})); "
    source = write_digits(tmp_path / "new.parquet", range(200, 210), labels=False)
    for arguments in (["--help"], ["predict", flow.folder / "student.onnx", source, tmp_path / "out.parquet"]):
        done = subprocess.run(program(poison, *arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 10
    done = subprocess.run(program(poison, "train"), capture_output=True, text=True, check=False)
    assert done.returncode != 0, "or the poison would be none"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Give raw pictures that take a while, in row groups that are no multiple of anything."""
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 64), np.uint8)
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(64), ROWS, [None, pa.py_buffer(pixels.tobytes())])
    path = tmp_path / "many.parquet"
    pq.write_table(pa.table({"id": pa.array([*range(ROWS)]), "image": column}), path, row_group_size=1_777)
    return path


def call(flow: Flow, source: Path, target: Path) -> list[str]:
    """Return the command that labels ``source`` in small parts."""
    options = ("--shape", "8x8", "--threshold", "0.5", "--probabilities", "--device", "cpu")
    return program(SMALL, "predict", flow.folder / "student.onnx", source, target, *options)


def killed(command: Sequence[str], target: Path, *, after: int, pause: float) -> bool:
    """Start a command and kill it when some parts are there, after a pause; say whether it was still running."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        folder = target.with_name(f"{target.name}.parts")
        while running.poll() is None and len([*folder.glob("_part-*")]) < after:
            time.sleep(0.001)
        time.sleep(pause)
        running.send_signal(signal.SIGKILL)
        return running.wait() == -signal.SIGKILL


def whole(flow: Flow, source: Path, target: Path) -> bytes:
    """Return what an undisturbed run writes."""
    done = subprocess.run(call(flow, source, target), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in target.parent.iterdir()) == sorted({source.name, "whole.parquet", target.name})
    return target.read_bytes()


def test_killed_again_and_again_it_ends_in_the_same_bytes(flow: Flow, many: Path) -> None:
    """Killed wherever it is, a few times in a row, the same command goes on and ends in what one run writes."""
    target, chance = many.with_name("out.parquet"), random.Random(0)  # noqa: S311 - moments, no secrets
    expected = whole(flow, many, many.with_name("whole.parquet"))
    command, done = call(flow, many, target), 0
    for _ in range(3):
        assert killed(command, target, after=done + 5, pause=chance.uniform(0, 0.02))
        found = len([*target.with_name("out.parquet.parts").glob("_part-*")])
        assert found >= done + 5
        done = found
    assert whole(flow, many, target) == expected


@pytest.mark.slow
def test_killed_at_any_of_twenty_moments(flow: Flow, many: Path) -> None:
    """From its first import to its last rename, wherever it is killed, the next run ends in the same bytes."""
    started = time.monotonic()
    expected = whole(flow, many, many.with_name("whole.parquet"))
    lasts, chance = time.monotonic() - started, random.Random(1)  # noqa: S311
    target = many.with_name("out.parquet")
    for moment in range(20):
        target.unlink(missing_ok=True)
        pause = lasts * (moment + chance.random()) / 20
        killed(call(flow, many, target), target, after=0, pause=pause)
        assert not target.exists() or target.read_bytes() == expected, "a name is given to nothing half-made"
        assert whole(flow, many, target) == expected


def test_a_killed_process_holds_nothing(flow: Flow, many: Path) -> None:
    """While one process is at it another is refused; once that is killed, the next one may."""
    target = many.with_name("out.parquet")
    with subprocess.Popen(call(flow, many, target), stderr=subprocess.DEVNULL) as running:
        while not target.with_name("out.parquet.parts").exists():
            time.sleep(0.001)
        second = subprocess.run(call(flow, many, target), capture_output=True, text=True, check=False)
        if running.poll() is None:
            assert second.returncode == 1
            assert "another process is writing" in second.stderr.splitlines()[-1]
        running.kill()
    assert subprocess.run(call(flow, many, target), capture_output=True, check=False).returncode == 0
