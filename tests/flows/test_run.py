"""run: the whole flow in one call, which does what is missing and nothing twice."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from labelsvc import flows
from labelsvc.config import IngestConfig, LabelConfig, TrainConfig
from labelsvc.errors import UsageError
from labelsvc.flows import RunConfig
from labelsvc.flows._run import RunOutcome
from labelsvc.records import Progress
from labelsvc.store import label_sets

from .digits import HELD_OUT, SHORT, Digits, Heard, ask, store_of

CONFIG = RunConfig(HELD_OUT, replace(SHORT, steps=10), LabelConfig(threshold=0.15, device="cpu"))

pytestmark = pytest.mark.seconds  # two trainings a run


def whole(workspace: Path, digits: Digits, config: RunConfig = CONFIG, **more: Any) -> RunOutcome:  # noqa: ANN401
    """Run it all."""
    return flows.run(workspace, [digits.labeled, digits.unlabeled], test=[digits.test], config=config, **more)


@dataclass(frozen=True)
class Ran:
    """A workspace after a whole run, and what the run said."""

    workspace: Path
    said: RunOutcome


@pytest.fixture(scope="module")
def ran_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run it all once, with an export beside the workspace."""
    folder = tmp_path_factory.mktemp("ran")
    return Ran(folder / "workspace", whole(folder / "workspace", digits, onnx=folder / "student.onnx"))


@pytest.fixture
def ran(ran_once: Ran, tmp_path: Path) -> Ran:
    """Give a workspace of one's own after a whole run."""
    return Ran(shutil.copytree(ran_once.workspace, tmp_path / "workspace"), ran_once.said)


def test_a_run_has_a_child_for_every_step(ran: Ran) -> None:
    """Ingest, train, label, distill and export are children of one run, in this order, and all of them are done."""
    runs = ask(ran.workspace, "SELECT command, parent_id, status FROM run ORDER BY started_at")
    steps = ["ingest", "train", "label", "distill", "export"]
    assert runs == [("run", None, "done"), *((step, ran.said.run_id, "done") for step in steps)]


def test_a_run_says_what_it_made(ran: Ran) -> None:
    """The student was taught by the run's own teacher, its file is there, and the rows are those of its labels."""
    said = ran.said
    assert said.student.parent_id == said.teacher.model_id == said.labels.model.model_id
    assert said.exported is not None
    assert said.exported.model == said.student
    assert Path(said.exported.path).stat().st_size == said.exported.bytes
    assert said.rows == said.labels.rows
    assert said.rows.given == 300


def test_a_run_again_repeats_nothing(ran: Ran, digits: Digits) -> None:
    """The second call finds every step done: the same models, the same set, no second training."""
    heard = Heard()
    again = whole(ran.workspace, digits, listener=heard)
    assert (again.teacher, again.student) == (ran.said.teacher, ran.said.student)
    assert again.labels.label_set == ran.said.labels.label_set
    counted = ask(ran.workspace, "SELECT command, count(*) FROM run GROUP BY ALL ORDER BY ALL")
    assert counted == [("distill", 1), ("export", 1), ("ingest", 1), ("label", 1), ("run", 2), ("train", 1)]
    assert not heard.stages


def test_another_threshold_only_labels_and_distils(ran: Ran, digits: Digits) -> None:
    """A changed threshold keeps the teacher, writes another set and distils its student; going back repeats nothing."""
    heard = Heard()
    stricter = replace(CONFIG, label=replace(CONFIG.label, threshold=0.2))
    second = whole(ran.workspace, digits, stricter, listener=heard)
    assert second.teacher == ran.said.teacher
    assert second.labels.label_set != ran.said.labels.label_set
    assert second.student != ran.said.student
    assert heard.stages == {"train student"}
    back = whole(ran.workspace, digits)
    assert back.student == ran.said.student
    assert label_sets.current(store_of(ran.workspace)) == ran.said.labels.label_set


def test_an_interrupted_run_goes_on_where_it_was(digits: Digits, tmp_path: Path) -> None:
    """What was done before an interruption stays done: the next call starts with the step that was interrupted."""

    def interrupt(progress: Progress) -> None:
        if progress.stage == "train student":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole(tmp_path / "w", digits, listener=Heard(interrupt))
    statuses = ask(tmp_path / "w", "SELECT command, status FROM run WHERE status <> 'done' ORDER BY ALL")
    assert statuses == [("distill", "interrupted"), ("run", "interrupted")]
    heard = Heard()
    whole(tmp_path / "w", digits, listener=heard)
    assert heard.stages == {"train student"}


def test_settings_of_the_method_are_the_teachers(digits: Digits, tmp_path: Path) -> None:
    """``--set`` may name a setting that only the teacher's method has: the student is distilled all the same."""
    config = replace(CONFIG, train=replace(CONFIG.train, settings={**SHORT.settings, "sigmas": "3"}))
    assert whole(tmp_path / "w", digits, config).student.role == "student"


def test_everything_labeled_runs_too(digits: Digits, tmp_path: Path) -> None:
    """Without a pool there is nothing to label, and the run still ends in a student of the given labels."""
    outcome = flows.run(tmp_path / "w", [digits.labeled], config=replace(CONFIG, ingest=IngestConfig()))
    assert outcome.rows.given == 0
    assert outcome.student.role == "student"


def test_a_wrong_threshold_is_refused_before_any_work(digits: Digits, tmp_path: Path) -> None:
    """NaN as a threshold, or an unknown method, is a wrong call that makes no workspace."""
    for config in (
        flows.RunConfig(label=LabelConfig(threshold=float("nan"))),
        flows.RunConfig(train=TrainConfig(method="wishes")),
    ):
        with pytest.raises(UsageError):
            flows.run(tmp_path / "workspace", [digits.labeled], config=config)
    assert not (tmp_path / "workspace").exists()
