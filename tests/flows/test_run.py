"""run: the whole flow in one call, which does what is missing and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labelsvc import flows
from labelsvc.config import LabelConfig
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


def made(workspace: Path) -> list[tuple[Any, ...]]:
    """Count the finished runs by command."""
    return ask(workspace, "SELECT command, count(*) FROM run WHERE status = 'done' GROUP BY ALL ORDER BY ALL")


def test_a_run_has_a_child_for_every_step(digits: Digits, tmp_path: Path) -> None:
    """Ingest, train, label, distill and export are children of one run, in this order, and all of them are done."""
    outcome = whole(tmp_path / "w", digits, onnx=tmp_path / "student.onnx")
    runs = ask(tmp_path / "w", "SELECT command, parent_id, status FROM run ORDER BY started_at")
    steps = ["ingest", "train", "label", "distill", "export"]
    assert runs == [("run", None, "done"), *((step, outcome.run_id, "done") for step in steps)]
    assert outcome.exported is not None
    assert outcome.exported.model == outcome.student
    assert (tmp_path / "student.onnx").exists()
    assert outcome.student.parent_id == outcome.teacher.model_id == outcome.labels.model.model_id
    assert outcome.rows == outcome.labels.rows
    assert outcome.rows.given == 300


def test_a_run_again_repeats_nothing(digits: Digits, tmp_path: Path) -> None:
    """The second call finds every step done: the same models, the same set, no second training."""
    first, heard = whole(tmp_path / "w", digits), Heard()
    again = whole(tmp_path / "w", digits, listener=heard)
    assert (again.teacher, again.student) == (first.teacher, first.student)
    assert again.labels.label_set == first.labels.label_set
    assert made(tmp_path / "w") == [("distill", 1), ("ingest", 1), ("label", 1), ("run", 2), ("train", 1)]
    assert not heard.stages


def test_another_threshold_only_labels_and_distils(digits: Digits, tmp_path: Path) -> None:
    """A changed threshold keeps the teacher, writes another set and distils its student; going back repeats nothing."""
    first, heard = whole(tmp_path / "w", digits), Heard()
    stricter = replace(CONFIG, label=replace(CONFIG.label, threshold=0.2))
    second = whole(tmp_path / "w", digits, stricter, listener=heard)
    assert second.teacher == first.teacher
    assert second.labels.label_set != first.labels.label_set
    assert second.student != first.student
    assert heard.stages == {"train student"}
    back = whole(tmp_path / "w", digits)
    assert back.student == first.student
    assert label_sets.current(store_of(tmp_path / "w")) == first.labels.label_set


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
    outcome = flows.run(tmp_path / "w", [digits.labeled], test=[digits.test], config=replace(CONFIG, ingest=HELD_OUT))
    assert outcome.rows.given == 0
    assert outcome.student.role == "student"
