"""Ctrl-C: once ends in order, twice ends at once, and the same command goes on."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from digits import FAST, labelsvc

PROGRAM = (sys.executable, "-c", "import sys; from labelsvc.cli.main import main; sys.exit(main())")


@contextmanager
def training(workspace: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a long training, and hand it over when its steps begin."""
    command = [*PROGRAM, "train", *FAST, "--steps", "100000", *options, "--workspace", str(workspace)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("train teacher"):
                break
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.seconds
def test_a_second_interrupt_quits_at_once(workspace: Path) -> None:
    """While the first Ctrl-C waits for the store, which another program holds, a second one ends the process."""
    with training(workspace) as running, duckdb.connect(workspace / "labels.duckdb"):
        assert running.stderr is not None
        running.send_signal(signal.SIGINT)
        for line in running.stderr:
            if "Ctrl-C again quits at once" in line:
                break
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(timeout=1)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) == 130
        assert "Traceback" not in running.stderr.read()
    assert labelsvc("runs", "--json", "--workspace", workspace).json["runs"][0]["status"] == "interrupted"


@pytest.mark.seconds
def test_what_was_interrupted_is_resumed(workspace: Path, tmp_path: Path) -> None:
    """After Ctrl-C, --resume goes on with the settings of the run that was interrupted."""
    other = shutil.copytree(workspace, tmp_path / "other")
    with training(workspace, "--seed", "7") as running:
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 130
    assert labelsvc("train", "--resume", "--workspace", other).code == 2, "nothing was interrupted there"
    with training(workspace, "--resume") as running:
        running.kill()
    newest = labelsvc("runs", "--json", "--workspace", workspace).json["runs"][0]
    assert (newest["command"], newest["status"], newest["seed"]) == ("train", "interrupted", 7)
    assert newest["config"]["steps"] == 100000
