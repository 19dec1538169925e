"""A stored teacher: whom a method learns from, what is kept of it, and that the same call is the same training."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from labelsvc import flows
from labelsvc.config import LabelConfig, PlanConfig, TrainConfig
from labelsvc.errors import InputError, UsageError
from labelsvc.flows import _follow, _taught
from labelsvc.labeling.pool import answers
from labelsvc.records import Progress, SampleNumbers
from labelsvc.store import models

from .digits import HELD_OUT, NINETY, QUICK, SHORT, Digits, Heard, ask, newest, store_of, written

DISTIL = replace(SHORT, method="distillation", steps=8)
TAUGHT = pytest.mark.parametrize("method", ["distillation", "reduced-mpl"])
COMMANDS = "SELECT command, status FROM run WHERE command <> 'ingest' ORDER BY started_at"

pytestmark = pytest.mark.seconds  # a training or two each


def words(workspace: Path, run_id: str, classes: tuple[str, ...]) -> tuple[SampleNumbers, NDArray[np.float64]]:
    """Return what a run kept of its teacher."""
    blocks = list(answers(workspace / "runs" / run_id / "targets.parquet", classes))
    return np.concatenate([one.numbers for one, _ in blocks]), np.concatenate([scores for _, scores in blocks])


def interrupt(stage: str, done: int, total: int) -> Heard:
    """Return a listener that presses Ctrl-C at a step of a stage of so many."""

    def act(progress: Progress) -> None:
        if (progress.stage, progress.done, progress.total) == (stage, done, total):
            raise KeyboardInterrupt

    return Heard(act)


@pytest.fixture(autouse=True)
def _checkpoints_at_every_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_follow, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(_follow, "CHECKPOINT_SHARE", float("inf"))


@pytest.fixture(scope="module")
def alone_once(ingested_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distil where there is no model yet."""
    place = shutil.copytree(ingested_once, tmp_path_factory.mktemp("alone") / "workspace")
    flows.train(place, DISTIL)
    return place


@pytest.fixture
def alone(alone_once: Path, tmp_path: Path) -> Path:
    """Give a workspace of one's own whose model made itself a teacher."""
    return shutil.copytree(alone_once, tmp_path / "workspace")


@TAUGHT
def test_the_newest_model_is_learnt_from(method: str, taught: Path) -> None:
    """Without --teacher it is the newest model, which is said, recorded as the parent, and takes all of the steps."""
    teacher, heard = newest(taught), Heard()
    outcome = flows.train(taught, replace(DISTIL, method=method), listener=heard)
    assert (outcome.model.parent_id, outcome.model.method, outcome.steps) == (teacher.model_id, method, 8)
    assert (outcome.model.role, outcome.model.round) == ("teacher", 1)
    assert any(teacher.model_id in note for note in heard.notes)
    assert newest(taught) == outcome.model


def test_the_words_are_the_teachers(taught: Path) -> None:
    """What is kept is what ``label`` says by the same model of the pool and of the calibration inputs, row by row."""
    teacher = newest(taught)
    flows.label(taught, NINETY)
    outcome = flows.train(taught, DISTIL)
    numbers, said = words(taught, outcome.run_id, teacher.classes)
    ((labeled,),) = ask(taught, "SELECT outcome->>'$.predictions' FROM run WHERE command = 'label'")
    blocks = list(answers(taught / labeled, teacher.classes))
    everywhere = np.concatenate([one.numbers for one, _ in blocks])
    known = np.concatenate([scores for _, scores in blocks])[np.searchsorted(everywhere, numbers)]
    roles = ask(taught, "SELECT sample_no FROM sample WHERE role IN ('pool', 'calibration') ORDER BY ALL")
    assert numbers.tolist() == [number for (number,) in roles]
    np.testing.assert_allclose(said, known, atol=1e-6)


@TAUGHT
def test_the_same_call_again_does_nothing(method: str, taught: Path) -> None:
    """Neither the model itself nor what came of it is taken for a new teacher; naming the old one is the same call."""
    teacher, config = newest(taught), replace(DISTIL, method=method)
    first = flows.train(taught, config)
    flows.label(taught, LabelConfig(threshold=0.2, device="cpu"))
    student = flows.distill(taught, SHORT).model
    assert (newest(taught), student.parent_id) == (student, first.model.model_id)
    for again in (config, replace(config, teacher=teacher.model_id[-8:])):
        heard = Heard()
        outcome = flows.train(taught, again, listener=heard)
        assert (outcome.repeated, outcome.model) == (True, first.model)
        assert not heard.stages


def test_a_newer_model_is_another_teacher(taught: Path) -> None:
    """A model that has nothing to do with the call is a new teacher, and so a new training."""
    first = flows.train(taught, DISTIL)
    other = flows.train(taught, replace(SHORT, seed=1))
    second = flows.train(taught, DISTIL)
    assert (second.repeated, second.model.parent_id) == (False, other.model.model_id)
    assert flows.train(taught, replace(DISTIL, teacher=first.model.parent_id)).model == first.model


def test_a_teacher_is_made_where_there_is_none(alone: Path) -> None:
    """Half of the steps go to a teacher of the default method, in a run below the training's, which is its parent."""
    train, own = (run for run in flows.list_runs(alone)[::-1] if run.command in ("train", "teacher"))
    assert ask(alone, COMMANDS) == [("train", "done"), ("teacher", "done")]
    assert (own.parent_id, own.outcome["steps"], train.outcome["steps"]) == (train.run_id, 4, 4)
    teacher = models.get(store_of(alone), own.outcome["model"])
    assert (teacher.method, teacher.role, teacher.parent_id) == ("softmatch", "teacher", None)
    assert newest(alone).parent_id == teacher.model_id
    assert newest(alone).network == teacher.network


def test_a_teacher_is_made_once(alone: Path) -> None:
    """The same call again finds its training, and does not take its own teacher for one that was there."""
    heard = Heard()
    assert flows.train(alone, DISTIL, listener=heard).repeated
    assert not heard.stages
    (alone / newest(alone).path).unlink()
    before = newest(alone)
    again = flows.train(alone, DISTIL)
    assert (again.repeated, again.model.sha256) == (False, before.sha256)
    assert ask(alone, "SELECT count(*) FROM run WHERE command = 'teacher'") == [(1,)]


def test_half_of_a_budget_is_the_teachers(ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a budget each takes a half, and nothing of the teacher's goes to a baseline."""
    asked = []

    def steps_for(budget: float, *_: object) -> int:
        asked.append(budget)
        return 3

    monkeypatch.setattr("labelsvc.flows._teach.steps_for", steps_for)
    flows.train(ingested, replace(DISTIL, steps=None, budget=12.0))
    assert asked == pytest.approx([6.0, 5.0])  # a sixth of what is left is the baseline's


def test_a_wrong_teacher_costs_no_run(taught: Path) -> None:
    """No such model, or a method that learns from none: a wrong call that says so, and nothing is started."""
    before = ask(taught, COMMANDS)
    with pytest.raises(UsageError, match="no model ends in 'nobody'"):
        flows.train(taught, replace(DISTIL, teacher="nobody"))
    with pytest.raises(
        UsageError, match=r"--teacher is for reduced-mpl and distillation; softmatch learns from no stored teacher"
    ):
        flows.train(taught, replace(SHORT, teacher="latest"))
    with pytest.raises(UsageError, match="leave it out"):
        flows.run(taught, [], config=flows.RunConfig(train=replace(SHORT, teacher="latest")))
    assert ask(taught, COMMANDS) == before


def test_lost_weights_are_said(taught: Path) -> None:
    """A wanted teacher without its weights is an error; an unwanted one is passed over."""
    teacher = newest(taught)
    (taught / teacher.path).unlink()
    with pytest.raises(InputError, match=r"weights of teacher .* are gone.*--teacher"):
        flows.train(taught, replace(DISTIL, teacher=teacher.model_id))
    assert flows.train(taught, DISTIL).model.parent_id != teacher.model_id


def test_a_teacher_of_other_classes_is_refused(taught: Path, digits: Digits, tmp_path: Path) -> None:
    """Where a class came since, what the old model says is of other columns: it is refused, or passed over."""
    teacher = newest(taught)
    flows.ingest(taught, [digits.write(tmp_path / "more.parquet", range(700, 702), ["ten", "ten"])])
    with pytest.raises(InputError, match=r"knows the classes 0, 1, .*and the labels are of .*ten"):
        flows.train(taught, replace(DISTIL, teacher=teacher.model_id))
    assert flows.train(taught, DISTIL).model.parent_id != teacher.model_id


@pytest.mark.parametrize(
    ("stage", "done", "total"), [("train teacher", 3, 5), ("ask the teacher", 320, 320), ("train teacher", 3, 6)]
)
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    stage: str, done: int, total: int, ingested: Path, second: Callable[[], Path]
) -> None:
    """Interrupted in its own teacher, while asking it or later, it goes on in the same runs to the same weights."""
    config, other = replace(DISTIL, steps=11), second()
    whole = flows.train(other, config)
    with pytest.raises(KeyboardInterrupt):
        flows.train(ingested, config, listener=interrupt(stage, done, total))
    told = flows.interrupted_training(ingested, "train", Heard())
    assert flows.train(ingested, told).model.sha256 == whole.model.sha256
    assert ask(ingested, COMMANDS) == [("train", "done"), ("teacher", "done")]
    weights = "SELECT sha256, method FROM model ORDER BY ALL"
    assert ask(ingested, weights) == ask(other, weights)


def test_kept_words_are_not_asked_for_again(taught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that goes on reads what its teacher said, though that teacher's weights are gone by then."""
    teacher = newest(taught)
    config = replace(DISTIL, teacher=teacher.model_id)
    with pytest.raises(KeyboardInterrupt):
        flows.train(taught, config, listener=interrupt("train teacher", 3, 8))
    (kept,) = taught.glob("runs/*/targets.parquet")
    before = (kept.stat().st_mtime_ns, kept.read_bytes())

    def refuse(*_: object) -> None:
        raise AssertionError("it was asked again")

    monkeypatch.setattr(_taught, "open_network", refuse)
    outcome = flows.train(taught, config)
    assert outcome.run_id == kept.parent.name
    assert (kept.stat().st_mtime_ns, kept.read_bytes()) == before


def test_other_programs_words_can_be_learnt_from(ingested: Path, digits: Digits) -> None:
    """Predictions that were brought for the whole pool are a teacher; such that leave rows out are refused."""
    rows = range(len(digits.classes))
    said = np.full((len(rows), 10), 0.02)
    said[rows, [int(name) for name in digits.classes]] = 0.82
    table = digits.table(rows).select(["id"])
    for code in range(10):
        table = table.append_column(str(code), [said[:, code]])
    for name, part in (("whole", table), ("part", table.slice(150))):
        file = written(ingested / f"{name}.parquet", part)
        flows.label(ingested, LabelConfig(threshold=0.5, predictions=str(file), device="cpu"))
        adopted = newest(ingested)
        if name == "part":
            with pytest.raises(InputError, match="says nothing of some of the 320 rows"):
                flows.train(ingested, DISTIL)
            return
        outcome = flows.train(ingested, DISTIL)
        assert outcome.model.parent_id == adopted.model_id
        assert set(words(ingested, outcome.run_id, adopted.classes)[1].round(6).ravel()) == {0.02, 0.82}


@TAUGHT
def test_without_a_pool_the_labeled_inputs_are_it(method: str, digits: Digits, tmp_path: Path) -> None:
    """Where everything is labeled, the teacher is asked about the labeled inputs, but those that are held out."""
    flows.ingest(tmp_path / "w", [digits.labeled])
    outcome = flows.train(tmp_path / "w", replace(DISTIL, method=method))
    numbers, _ = words(tmp_path / "w", outcome.run_id, outcome.model.classes)
    fifths = sum(round(0.2 * count) for count in Counter(digits.classes[:100]).values())
    assert len(numbers) == (100 if method == "distillation" else 100 - fifths)


def test_a_baseline_owes_the_teacher_nothing(taught: Path) -> None:
    """What a taught model is compared with learnt from labels alone, and has no parent."""
    flows.train(taught, replace(DISTIL, steps=100))
    assert ask(taught, "SELECT parent_id FROM model WHERE method = 'supervised'") == [(None,)]


@TAUGHT
def test_a_plan_can_be_made(method: str, ingested: Path) -> None:
    """``plan`` times the method without a teacher, says that one will be made, and writes nothing."""
    heard = Heard()
    before = ask(ingested, "FROM run")
    outcome = flows.plan(ingested, PlanConfig(train=TrainConfig(method, budget=60.0, device="cpu")), listener=heard)
    assert outcome.training is not None
    assert (outcome.training.method, outcome.training.seconds) == (method, 30.0)
    assert any("makes a softmatch teacher first" in note for note in heard.notes)
    assert ask(ingested, "FROM run") == before
    assert not list(ingested.glob("runs/*/targets.parquet"))


@TAUGHT
def test_a_whole_run_takes_these_methods(method: str, digits: Digits, tmp_path: Path) -> None:
    """``run`` makes teacher, model, labels and student, and the second time finds all of it done."""
    config = flows.RunConfig(HELD_OUT, replace(QUICK, method=method, steps=30), LabelConfig(threshold=0.2))
    files = [digits.labeled, digits.unlabeled]
    said = flows.run(tmp_path / "w", files, config=config)
    assert said.teacher.method == method
    assert (said.labels.model, said.student.parent_id) == (said.teacher, said.teacher.model_id)
    heard = Heard()
    assert flows.run(tmp_path / "w", files, config=config, listener=heard).student == said.student
    assert not heard.stages
