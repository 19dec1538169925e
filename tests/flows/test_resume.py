"""Resume: a training that was interrupted goes on, and ends as if nothing had happened, bit for bit."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.config import LabelConfig, TrainConfig
from labelsvc.errors import InputError, UsageError
from labelsvc.flows import _follow, _teach
from labelsvc.records import Progress

from .digits import NINETY, QUICK, Digits, Heard, ask

CURVES = "SELECT step, name, value FROM curves WHERE command = ? ORDER BY ALL"
SMALL = {"labeled_batch": "16", "pool_batch": "32"}
CONFIGS = {
    "softmatch": QUICK,
    "supervised": replace(QUICK, method="supervised"),
    "lee": replace(QUICK, method="pseudo-label", network="tutorial", settings={**SMALL, "form": "lee"}),
    "alternating": replace(
        QUICK, method="pseudo-label", network="tutorial", settings={**SMALL, "form": "alternating", "t1": "2"}
    ),
}


@pytest.fixture(autouse=True)
def _checkpoints_at_every_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_follow, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(_follow, "CHECKPOINT_SHARE", float("inf"))


def interrupt_at(step: int) -> Heard:
    """Return a listener that presses Ctrl-C when the training says that it has come to a step."""

    def act(progress: Progress) -> None:
        if progress.stage.startswith("train") and progress.done == step:
            raise KeyboardInterrupt

    return Heard(act)


def curves(workspace: Path) -> list[tuple[object, ...]]:
    """Return all curves of a workspace."""
    return ask(workspace, "SELECT step, name, value FROM curves ORDER BY ALL")


@pytest.mark.seconds
@pytest.mark.parametrize("name", CONFIGS)
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    name: str, ingested: Path, second: Callable[[], Path]
) -> None:
    """Interrupted twice and taken up, by every method and with dropout, weights and curves are those of one go."""
    config, other = CONFIGS[name], second()
    whole = flows.train(other, config)
    for step in (7, 30):
        with pytest.raises(KeyboardInterrupt):
            flows.train(ingested, config, listener=interrupt_at(step))
    heard = Heard()
    resumed = flows.train(ingested, config, listener=heard)
    assert any("at step 29 of 40" in note for note in heard.notes)
    assert resumed.model.sha256 == whole.model.sha256
    assert curves(ingested) == curves(other)


def test_it_is_one_run_from_first_to_last(ingested: Path) -> None:
    """The run that was interrupted is the one that is done; its checkpoint is gone."""
    with pytest.raises(KeyboardInterrupt):
        flows.train(ingested, QUICK, listener=interrupt_at(9))
    (interrupted,) = [run for run in flows.list_runs(ingested) if run.command == "train"]
    assert (interrupted.status, interrupted.error) == ("interrupted", "interrupted by the user")
    assert (ingested / "runs" / interrupted.run_id / "checkpoint.pt").exists()
    done = flows.train(ingested, QUICK)
    (run,) = [run for run in flows.list_runs(ingested) if run.command == "train"]
    assert (run.run_id, run.status, run.error) == (done.run_id, "done", None)
    assert done.run_id == interrupted.run_id
    assert not (ingested / "runs" / run.run_id / "checkpoint.pt").exists()


def test_another_config_is_another_training(ingested: Path) -> None:
    """An interrupted training is not gone on with under another seed."""
    with pytest.raises(KeyboardInterrupt):
        flows.train(ingested, QUICK, listener=interrupt_at(9))
    other = flows.train(ingested, replace(QUICK, seed=1))
    assert len([run for run in flows.list_runs(ingested) if run.command == "train"]) == 2
    assert other.model.sha256 == flows.train(ingested, replace(QUICK, seed=1)).model.sha256


def test_a_budget_is_not_timed_again(ingested: Path) -> None:
    """The steps that a budget was turned into stay, however fast the machine is when the training goes on."""
    config, heard = TrainConfig(budget=3, device="cpu", settings=SMALL), []

    def act(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flows.train(ingested, config, listener=Heard(act))
    planned = heard[0].total
    assert flows.train(ingested, config).steps == planned


def test_a_model_that_was_recorded_is_not_trained_again(ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between its last write and its end, a training is found complete, and makes no second model."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_teach, "_concluded", killed)
        with pytest.raises(KeyboardInterrupt):
            flows.train(ingested, QUICK)
    found = flows.train(ingested, QUICK, listener=(heard := Heard()))
    assert not heard.stages
    assert found.steps == 40
    assert ask(ingested, "SELECT count(*) FROM model") == [(1,)]


def test_a_damaged_checkpoint_is_an_error_that_says_what_to_do(ingested: Path) -> None:
    """A checkpoint that cannot be read is named, and removing it lets the training start anew."""
    with pytest.raises(KeyboardInterrupt):
        flows.train(ingested, QUICK, listener=interrupt_at(9))
    (checkpoint,) = ingested.glob("runs/*/checkpoint.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint.*remove it to train anew"):
        flows.train(ingested, QUICK)
    checkpoint.unlink()
    assert flows.train(ingested, QUICK).steps == 40


@pytest.mark.seconds
def test_a_whole_run_goes_on_where_it_stopped(digits: Digits, tmp_path: Path) -> None:
    """Interrupted while distilling, ``run`` repeats no step that is done and goes on with the student."""
    config = flows.RunConfig(train=QUICK, label=NINETY)
    files = [digits.labeled, digits.unlabeled]
    whole = flows.run(tmp_path / "whole", files, config=config)

    def act(progress: Progress) -> None:
        if progress.stage == "train student" and progress.done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flows.run(tmp_path / "cut", files, config=config, listener=Heard(act))
    heard = Heard()
    told = flows.interrupted_run(tmp_path / "cut", heard)
    resumed = flows.run(
        tmp_path / "cut", told.files, test=told.test, onnx=told.onnx, config=told.config, listener=heard
    )
    assert heard.stages == {"train student"}
    assert resumed.student.sha256 == whole.student.sha256
    assert resumed.labels.label_set.digest == whole.labels.label_set.digest
    assert [(run.command, run.status) for run in flows.list_runs(tmp_path / "cut")] == [
        ("distill", "done"),
        ("label", "done"),
        ("train", "done"),
        ("ingest", "done"),
        ("run", "done"),
    ]


def test_there_must_be_something_to_resume(taught: Path) -> None:
    """--resume after a training that was done is a wrong call."""
    with pytest.raises(UsageError, match="nothing to resume"):
        flows.interrupted_training(taught, "train", Heard())


@pytest.mark.slow
def test_killed_at_random_moments(ingested: Path, second: Callable[[], Path]) -> None:
    """Killed five times without warning, a training's weights and the labels it writes are those of one go."""
    config = replace(QUICK, steps=4000)
    other = second()
    whole = flows.train(other, config)
    command = [str(Path(sys.executable).with_name("labelsvc")), "train", "--workspace", str(ingested)]
    options = ["--steps", "4000", "--device", "cpu", "--set", "labeled_batch=16", "--set", "pool_batch=32"]
    moments = random.Random(0)  # noqa: S311
    for kill in range(5):
        process = subprocess.Popen([*command, *(options if kill == 0 else ["--resume"])], stderr=subprocess.DEVNULL)
        _wait_for_a_checkpoint(ingested, process)
        time.sleep(moments.uniform(0, 3))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was done before it was killed"
    assert subprocess.run([*command, "--resume"], check=False).returncode == 0
    resumed = flows.train(ingested, config)
    assert resumed.repeated
    assert resumed.model.sha256 == whole.model.sha256
    labels = [flows.label(place, LabelConfig(threshold=0.9, device="cpu")).label_set for place in (ingested, other)]
    assert labels[0].digest == labels[1].digest


def _wait_for_a_checkpoint(workspace: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until this process has written a checkpoint."""
    started = time.time()
    while process.poll() is None:
        if any(path.stat().st_mtime > started for path in workspace.glob("runs/*/checkpoint.pt")):
            return
        time.sleep(0.02)
