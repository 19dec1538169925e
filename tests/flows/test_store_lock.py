"""The store in other hands: a training that is done waits for it, and its model is not lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.flows import _session
from labelsvc.records import Progress
from labelsvc.store import Store
from labelsvc.workspace import Workspace

from .digits import SHORT, Heard, newest

HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.seconds
def test_a_finished_training_waits_for_the_store(ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock at the end of a training is waited for, however short the patience at its start: the model is recorded."""
    holders = []

    def hold(progress: Progress) -> None:
        if progress.done == progress.total:
            command = [sys.executable, "-c", HOLD, str(ingested / "labels.duckdb"), "0.7"]
            holders.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert holders[0].stdout is not None
            assert holders[0].stdout.readline() == "held\n"

    def impatient(workspace: Workspace) -> Store:
        return Store(workspace.store_path, patience=0.1)

    monkeypatch.setattr(_session, "open_store", impatient)
    try:
        outcome = flows.train(ingested, SHORT, listener=Heard(hold))
    finally:
        for holder in holders:
            holder.communicate()
    assert newest(ingested) == outcome.model
    assert flows.list_runs(ingested)[0].status == "done"
