"""The gate: a teacher that is worse than what its labels alone teach is replaced, and its weights are never touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.config import LabelConfig, TrainConfig
from labelsvc.errors import LabelsvcError
from labelsvc.flows import _baseline, _follow, _teach
from labelsvc.flows._train import TrainOutcome
from labelsvc.records import Progress
from labelsvc.store import models

from .digits import HELD_OUT, QUICK, Digits, Heard, ask, newest, store_of

GOOD = replace(QUICK, steps=100)
BAD = replace(GOOD, settings={**QUICK.settings, "learning_rate": "5"})
COMMANDS = "SELECT command, status FROM run WHERE command <> 'ingest' ORDER BY started_at"

pytestmark = pytest.mark.seconds  # two trainings each


@dataclass(frozen=True)
class Trained:
    """A workspace after a training, what came of it, and what was said meanwhile."""

    workspace: Path
    outcome: TrainOutcome
    heard: Heard


def trained(workspace: Path, config: TrainConfig) -> Trained:
    """Train in a workspace."""
    heard = Heard()
    return Trained(workspace, flows.train(workspace, config, listener=heard), heard)


def copied(made: Trained, folder: Path) -> Trained:
    """Return the same in a workspace of one's own."""
    return replace(made, workspace=shutil.copytree(made.workspace, folder / "workspace"))


@pytest.fixture(scope="module")
def good_once(ingested_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train a teacher that stands."""
    return trained(shutil.copytree(ingested_once, tmp_path_factory.mktemp("good") / "workspace"), GOOD)


@pytest.fixture(scope="module")
def bad_once(ingested_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train a teacher at an absurd learning rate."""
    return trained(shutil.copytree(ingested_once, tmp_path_factory.mktemp("bad") / "workspace"), BAD)


@pytest.fixture
def good(good_once: Trained, tmp_path: Path) -> Trained:
    """Give a workspace of one's own whose teacher stands."""
    return copied(good_once, tmp_path)


@pytest.fixture
def bad(bad_once: Trained, tmp_path: Path) -> Trained:
    """Give a workspace of one's own whose teacher is worse than its baseline."""
    return copied(bad_once, tmp_path)


def interrupt_in(stage: str, step: int) -> Heard:
    """Return a listener that presses Ctrl-C at a step of a stage."""

    def act(progress: Progress) -> None:
        if (progress.stage, progress.done) == (stage, step):
            raise KeyboardInterrupt

    return Heard(act)


def test_a_worse_teacher_is_replaced(bad: Trained) -> None:
    """The baseline is what the training came to and the newest model; the output says so with its counts."""
    found = bad.outcome
    assert found.comparison is not None
    assert found.comparison.is_worse
    assert (found.model.method, found.model.role, found.steps) == ("supervised", "teacher", 20)
    assert newest(bad.workspace) == models.get(store_of(bad.workspace), "latest") == found.model
    (said,) = [note for note in bad.heard.notes if "is worse than its labels alone" in note]
    assert f"of 20 validation rows the teacher has {found.comparison.teacher_right} right" in said
    assert "takes its place" in said


def test_the_run_records_the_comparison(bad: Trained) -> None:
    """The training's run names teacher, baseline, counts and the model to use; the baseline's run is its child."""
    whole, child = (next(run for run in flows.list_runs(bad.workspace) if run.command == name) for name in BOTH)
    assert whole.stop_reason == "all 100 steps done; worse than the supervised baseline, which takes its place"
    assert whole.outcome["model"] == whole.outcome["baseline"] == child.outcome["model"] == bad.outcome.model.model_id
    assert whole.outcome["comparison"] == child.outcome["comparison"]
    assert whole.outcome["comparison"]["rows"] == 20
    assert (child.parent_id, child.outcome["replaces"]) == (whole.run_id, whole.outcome["teacher"])


BOTH = ("train", "baseline")


def test_a_replaced_teacher_labels_nothing(bad: Trained) -> None:
    """``label`` takes the baseline, and ``distill`` as many steps as the teacher took, not as few as the baseline."""
    labels = flows.label(bad.workspace, LabelConfig(threshold=0.5, device="cpu"))
    assert labels.model == bad.outcome.model
    student = flows.distill(bad.workspace, TrainConfig(device="cpu", settings=QUICK.settings))
    assert (student.steps, student.model.parent_id) == (100, bad.outcome.model.model_id)


def test_the_same_call_again_says_the_same(bad: Trained) -> None:
    """Nothing is trained twice, and that the teacher was replaced is said again."""
    again = trained(bad.workspace, BAD)
    assert replace(again.outcome, repeated=False) == bad.outcome
    assert again.outcome.repeated
    assert not again.heard.stages
    assert any("takes its place" in note for note in again.heard.notes)


def test_a_teacher_that_is_no_worse_stands(good: Trained) -> None:
    """The teacher is the newest model although its baseline was trained after it; both keep their weights."""
    found = good.outcome
    assert found.comparison is not None
    assert not found.comparison.is_worse
    assert (found.model.method, found.steps) == ("softmatch", 100)
    assert newest(good.workspace) == models.get(store_of(good.workspace), "latest") == found.model
    assert ask(good.workspace, "SELECT method FROM model ORDER BY created_at") == [("softmatch",), ("supervised",)]
    assert any(note.startswith("the teacher stands: of 20 validation rows") for note in good.heard.notes)
    assert found.collapse is None


def test_a_collapse_is_recorded(bad_once: Trained, ingested: Path) -> None:
    """A training that collapses says so once, and its run remembers it; a healthy one says nothing."""
    longer = trained(ingested, replace(BAD, steps=160, baseline=False))
    (said,) = [note for note in longer.heard.notes if note.startswith("collapse")]
    assert "one class has" in said
    assert longer.outcome.collapse == said
    assert next(run for run in flows.list_runs(ingested) if run.command == "train").outcome["collapse"] == said
    assert bad_once.outcome.collapse is None  # it was too short to tell


def test_the_comparison_changes_no_weights(good_once: Trained, ingested: Path) -> None:
    """With or without a baseline the teacher's weights are the same to the bit; without one, there is none."""
    alone = trained(ingested, replace(GOOD, baseline=False))
    assert alone.outcome.model.sha256 == good_once.outcome.model.sha256
    assert alone.outcome.comparison is None
    assert ask(ingested, COMMANDS) == [("train", "done")]
    assert not any("baseline" in note for note in alone.heard.notes)


@pytest.mark.parametrize(("stage", "step"), [("train teacher", 40), ("train baseline", 9)])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    stage: str, step: int, good: Trained, second: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in either part it goes on there, in the same runs, and comes to the same weights and counts."""
    monkeypatch.setattr(_follow, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(_follow, "CHECKPOINT_SHARE", float("inf"))
    place = second()
    with pytest.raises(KeyboardInterrupt):
        flows.train(place, GOOD, listener=interrupt_in(stage, step))
    resumed = trained(place, GOOD)
    assert resumed.outcome.model.sha256 == good.outcome.model.sha256
    assert resumed.outcome.comparison == good.outcome.comparison
    assert ask(place, COMMANDS) == [("train", "done"), ("baseline", "done")]
    weights = "SELECT method, sha256 FROM model ORDER BY method"
    assert ask(place, weights) == ask(good.workspace, weights)
    assert any(f"at step {step - 1} of" in note for note in resumed.heard.notes)
    assert ("train teacher" in resumed.heard.stages) is (stage == "train teacher")


def test_killed_after_the_comparison_nothing_is_trained_again(bad: Trained, second: Callable[[], Path]) -> None:
    """Killed between the baseline's end and its own, a training reads what was compared."""

    class Killed(Heard):
        def note(self, message: str) -> None:
            if "takes its place" in message:
                raise KeyboardInterrupt

    place = second()
    with pytest.raises(KeyboardInterrupt):
        flows.train(place, BAD, listener=Killed())
    resumed = trained(place, BAD)
    assert not resumed.heard.stages
    assert resumed.outcome.comparison == bad.outcome.comparison
    assert newest(place) == resumed.outcome.model
    assert resumed.outcome.model.sha256 == bad.outcome.model.sha256


def test_while_the_baseline_learns_the_teacher_is_the_newest(ingested: Path) -> None:
    """A baseline that was not compared yet counts for nothing."""
    with pytest.raises(KeyboardInterrupt):
        flows.train(ingested, GOOD, listener=interrupt_in("train baseline", 9))
    assert newest(ingested).method == "softmatch"


def test_a_comparison_that_fails_costs_no_teacher(ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the baseline cannot be trained or asked, that is said, and the teacher is kept."""

    def fail(*_: object) -> None:
        raise LabelsvcError("the disk is full")

    monkeypatch.setattr(_baseline, "compare", fail)
    found = trained(ingested, GOOD)
    assert (found.outcome.model.method, found.outcome.comparison) == ("softmatch", None)
    assert any(
        "could not be compared with a supervised baseline: the disk is full" in note for note in found.heard.notes
    )
    assert ask(ingested, COMMANDS) == [("train", "done"), ("baseline", "failed")]
    assert newest(ingested) == found.outcome.model


def test_without_validation_rows_it_is_off_and_said(digits: Digits, tmp_path: Path) -> None:
    """No validation row, no comparison, and a note that says how to have one."""
    flows.ingest(tmp_path / "w", [digits.labeled, digits.unlabeled])
    found = trained(tmp_path / "w", GOOD)
    assert found.outcome.comparison is None
    assert any("no validation rows; `labelsvc ingest --validation`" in note for note in found.heard.notes)
    assert ask(tmp_path / "w", COMMANDS) == [("train", "done")]


def test_supervised_and_short_trainings_have_no_baseline(ingested: Path) -> None:
    """A supervised teacher is its own baseline, and of fewer than 100 steps a fifth teaches nothing, which is said."""
    assert flows.train(ingested, replace(GOOD, method="supervised")).comparison is None
    found = trained(ingested, replace(GOOD, steps=99))
    assert any("too short to be compared" in note for note in found.heard.notes)
    assert ask(ingested, COMMANDS) == [("train", "done")] * 2


def test_a_budget_is_for_both(ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a budget the teacher plans for five sixths, and all of it where there is no baseline, which takes a fifth."""
    asked = []

    def steps_for(budget: float, *_: object) -> int:
        asked.append(budget)  # this machine takes 20 steps a second
        return int(20 * budget)

    monkeypatch.setattr(_teach, "steps_for", steps_for)
    flows.train(ingested, replace(GOOD, steps=None, budget=6.0))
    steps = {run.command: run.outcome["steps"] for run in flows.list_runs(ingested) if "steps" in run.outcome}
    assert steps == {"train": 100, "baseline": 20}
    flows.train(ingested, replace(GOOD, steps=None, budget=2.0, baseline=False))
    assert asked == pytest.approx([5.0, 2.0])


def test_a_whole_run_goes_on_with_the_baseline(digits: Digits, tmp_path: Path) -> None:
    """``run`` labels with what its training came to, and distils from its labels."""
    config = flows.RunConfig(HELD_OUT, BAD, LabelConfig(threshold=0.5, device="cpu"))
    said = flows.run(tmp_path / "w", [digits.labeled, digits.unlabeled], config=config)
    assert said.teacher.method == "supervised"
    assert said.labels.model == said.teacher
    assert said.student.parent_id == said.teacher.model_id
