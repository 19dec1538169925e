"""Runs, their curves, models, and finding any of them by the ending of its identifier."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest
from labeling_task import Task

from labelsvc.errors import UsageError
from labelsvc.records import MetricPoint, RowCount
from labelsvc.store import models, runs
from labelsvc.store.identifiers import new_id, resolve
from labelsvc.store.runs import NewRun


def dead_pid() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_identifiers_are_version_seven_and_sort_by_time() -> None:
    """Identifiers made one after the other sort so."""
    made = [new_id() for _ in range(100)]
    assert {uuid.UUID(one).version for one in made} == {7}
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}
    assert [one[:18] for one in made] == sorted(one[:18] for one in made)
    assert len(set(made)) == 100


def test_any_unique_ending_is_enough() -> None:
    """An identifier is found by a unique ending, by itself, or as the latest."""
    candidates = ["01-aa1", "02-ba1", "03-bb2"]
    assert resolve(candidates, "2") == "03-bb2"
    assert resolve(candidates, "aa1") == "01-aa1"
    assert resolve(candidates, "02-ba1") == "02-ba1"
    assert resolve(candidates, "latest") == "03-bb2"


@pytest.mark.parametrize(
    ("candidates", "ending", "said"),
    [
        ([], "a", "there is no model yet"),
        (["aa", "ba"], "a", r"2 models end in 'a' \(aa, ba\)"),
        (["aa", "ba"], "c", r"no model ends in 'c'; the newest are aa, ba"),
        (["aa"], "", "no model ends in ''"),
    ],
)
def test_other_endings_are_wrong_calls(candidates: list[str], ending: str, said: str) -> None:
    """None or several is an error that names what there is."""
    with pytest.raises(UsageError, match=said):
        resolve(candidates, ending, what="model")


def test_a_run_is_told_from_start_to_end(task: Task) -> None:
    """All that was said of a run comes back."""
    new = NewRun("train", {"alpha": 0.1}, "c0ffee", 7, {"torch": "2"}, "cuda", parent_id="p")
    run_id = runs.start(task.store, new)
    assert runs.get(task.store, "latest").status == "running"
    rows = RowCount(given=10, labeled=6, abstained=3, failed=1)
    runs.finish(task.store, run_id, "done", rows, stop_reason="steps", outcome={"accuracy": 0.5})
    run = runs.get(task.store, run_id[-6:])
    assert (run.command, run.config, run.seed, run.device, run.parent_id) == (
        "train",
        {"alpha": 0.1},
        7,
        "cuda",
        "p",
    )
    assert (run.rows, run.stop_reason, run.error, run.outcome) == (rows, "steps", None, {"accuracy": 0.5})
    assert run.ended_at is not None
    assert run.ended_at >= run.started_at


def test_only_done_runs_are_found(task: Task) -> None:
    """Doing the same again is answered by the newest run that is done, never by a failed one."""
    assert runs.find_done(task.store, "train", "c0ffee") is None
    ids = [runs.start(task.store, NewRun("train", {}, "c0ffee")) for _ in range(3)]
    runs.finish(task.store, ids[0], "done")
    runs.finish(task.store, ids[1], "done")
    runs.finish(task.store, ids[2], "failed", error="out of memory")
    found = runs.find_done(task.store, "train", "c0ffee")
    assert found is not None
    assert found.run_id == ids[1]
    assert runs.find_done(task.store, "label", "c0ffee") is None
    assert [run.run_id for run in runs.listing(task.store, 2)] == [ids[2], ids[1]]


def test_a_run_whose_process_is_gone_was_interrupted(task: Task) -> None:
    """It is shown so, and the store keeps what was written; a process of another machine is believed."""
    runs.start(task.store, NewRun("train", {}, "1"))
    gone = dead_pid()
    with task.store.writing() as connection:
        connection.execute("UPDATE run SET pid = ?", [gone])
    assert [run.status for run in runs.listing(task.store)] == ["interrupted"]
    assert task.ask("SELECT status FROM run") == [("running",)]
    with task.store.writing() as connection:
        connection.execute("UPDATE run SET host = 'elsewhere'")
    assert [run.status for run in runs.listing(task.store)] == ["running"]


def test_curves_show_every_point(task: Task) -> None:
    """Metrics come back in the order of their steps."""
    run_id = runs.start(task.store, NewRun("train", {}, "1"))
    runs.add_metrics(task.store, run_id, [MetricPoint(20, "loss", 0.5), MetricPoint(10, "loss", 1.5)])
    runs.add_metrics(task.store, run_id, [])
    assert task.ask("SELECT command, round, step, name, value FROM curves") == [
        ("train", 1, 10, "loss", 1.5),
        ("train", 1, 20, "loss", 0.5),
    ]


def test_a_model_comes_back_as_it_was(task: Task) -> None:
    """A model is found by its ending, its run, its role or as the newest, and is equal to what was added."""
    first, second = task.model(), task.model()
    assert models.get(task.store, first.model_id[-8:]) == first
    assert models.get(task.store, "latest") == models.newest(task.store) == second
    assert models.newest(task.store, "student") is None
    assert models.by_run(task.store, first.run_id) == (first,)
