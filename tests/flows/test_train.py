"""train: what it may see, what it must not, and that it can be repeated to the bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labelsvc import flows
from labelsvc.config import TrainConfig
from labelsvc.errors import InputError, LabelsvcError, UsageError
from labelsvc.records import Progress

from .digits import HELD_OUT, POOL, QUICK, SHORT, TEST, Digits, Heard, ask, newest

COUNT = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE written_meanwhile (x INTEGER)")
connection.execute("DROP TABLE written_meanwhile")
print(connection.execute("SELECT count(*) FROM sample").fetchall()[0][0])
"""


def settled(workspace: Path, run_id: str) -> dict[str, Any]:
    """Return what a run wrote down of its settings."""
    return json.loads((workspace / "runs" / run_id / "config.json").read_text())  # type: ignore[no-any-return]


def sha256(workspace: Path, config: TrainConfig = SHORT) -> str:
    """Train, and return what the weights are known by."""
    return flows.train(workspace, config).model.sha256


@pytest.fixture(scope="module")
def reference(ingested_once: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give what a short training's weights are known by, to compare others with."""
    return sha256(shutil.copytree(ingested_once, tmp_path_factory.mktemp("reference") / "workspace"))


@pytest.mark.seconds
def test_training_cannot_see_test_rows(reference: str, digits: Digits, tmp_path: Path) -> None:
    """Other test pictures with other labels, or none at all: the weights are the same to the bit."""
    files = [digits.labeled, digits.unlabeled]
    other = digits.write(tmp_path / "other.parquet", range(800, 900), [str(row % 10) for row in range(100)])
    flows.ingest(tmp_path / "other", files, test=[other], config=HELD_OUT)
    flows.ingest(tmp_path / "none", files, config=HELD_OUT)
    assert sha256(tmp_path / "other") == sha256(tmp_path / "none") == reference


def test_calibration_labels_are_invisible(reference: str, ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """With every calibration label turned into another one, the weights are the same to the bit."""
    rows = [int(name[-4:]) for (name,) in ask(ingested, "SELECT sample_id FROM sample WHERE role = 'calibration'")]
    wrong = [str((int(digits.classes[row]) + 1) % 10) for row in rows]
    relabeled = flows.ingest(ingested, [digits.write(tmp_path / "wrong.parquet", rows, wrong)])
    assert relabeled.rows.labeled == 20
    assert sha256(ingested) == reference


def test_train_labels_are_visible(reference: str, ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """The control: with one train label turned into another, the weights differ."""
    row = int(ask(ingested, "SELECT min(sample_id) FROM sample WHERE role = 'train'")[0][0][-4:])
    wrong = [str((int(digits.classes[row]) + 1) % 10)]
    flows.ingest(ingested, [digits.write(tmp_path / "wrong.parquet", [row], wrong)])
    assert sha256(ingested) != reference


def test_the_same_call_again_returns_the_same_teacher(ingested: Path) -> None:
    """Nothing is trained twice: the second call names the first one's run and model."""
    first, heard = flows.train(ingested, SHORT), Heard()
    again = flows.train(ingested, SHORT, listener=heard)
    assert (again.repeated, again.model, again.run_id, again.steps) == (True, first.model, first.run_id, 3)
    assert not first.repeated
    assert not heard.stages
    assert ask(ingested, "SELECT count(*) FROM run WHERE command = 'train'") == [(1,)]


@pytest.mark.seconds
def test_the_seed_decides_the_weights(reference: str, ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """The same seed in another workspace gives the same weights to the bit, another seed gives others."""
    files = [digits.labeled, digits.unlabeled]
    flows.ingest(tmp_path / "twin", files, test=[digits.test], config=HELD_OUT)
    assert sha256(tmp_path / "twin") == reference
    assert sha256(ingested, replace(SHORT, seed=1)) != reference


def test_test_rows_that_come_first_change_nothing(reference: str, digits: Digits, tmp_path: Path) -> None:
    """Test rows that were ingested before all others shift no training: the weights are the same to the bit."""
    flows.ingest(tmp_path / "w", [], test=[digits.test])
    flows.ingest(tmp_path / "w", [digits.labeled, digits.unlabeled], config=HELD_OUT)
    assert sha256(tmp_path / "w") == reference


def test_a_training_of_no_steps_gives_a_model(ingested: Path) -> None:
    """``--steps 0`` records the network as it was drawn, which labels at chance and can be used."""
    outcome = flows.train(ingested, replace(QUICK, steps=0))
    assert outcome.steps == 0
    assert flows.evaluate(ingested, model="latest").score.rows == 200


def test_without_labels_nothing_is_trained(digits: Digits, tmp_path: Path) -> None:
    """A workspace of pool and test rows has nothing to learn from, and says what is missing."""
    flows.ingest(tmp_path / "w", [digits.unlabeled], test=[digits.test])
    with pytest.raises(InputError, match="label column"):
        flows.train(tmp_path / "w", SHORT)


def test_without_a_workspace_nothing_is_trained(tmp_path: Path) -> None:
    """A folder without a store is an error that says how to make one, and nothing is made there."""
    with pytest.raises(InputError, match="labelsvc ingest"):
        flows.train(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_without_a_pool_the_labeled_inputs_are_it(digits: Digits, tmp_path: Path) -> None:
    """Where everything is labeled, softmatch takes the labeled inputs with their labels hidden, and says so."""
    flows.ingest(tmp_path / "w", [digits.labeled])
    heard = Heard()
    outcome = flows.train(tmp_path / "w", SHORT, listener=heard)
    assert settled(tmp_path / "w", outcome.run_id)["pool"] == 100
    assert any("there is no pool" in note for note in heard.notes)


def test_calibration_inputs_are_learnt_from_like_the_pool(ingested: Path) -> None:
    """The pool that a method sees is the pool and the calibration inputs; the labeled rows are train's."""
    written = settled(ingested, flows.train(ingested, SHORT).run_id)
    assert (written["labeled"], written["pool"]) == (60, 320)


def test_settings_are_recorded(ingested: Path) -> None:
    """What a run was told and what it made of it lies in its folder: method, network, views, device, steps, seed."""
    config = replace(SHORT, seed=7, settings={**SHORT.settings, "sigmas": "3"})
    written = settled(ingested, flows.train(ingested, config).run_id)
    assert (written["steps"], written["seed"], written["device"]) == (3, 7, "cpu")
    assert (written["network"], written["views"]) == ("convnet", "glyphs")
    method = written["method"]
    assert (method["name"], method["sigmas"]) == ("softmatch", 3.0)
    assert (method["recipe"]["labeled_batch"], method["recipe"]["pool_batch"]) == (16, 32)


@pytest.mark.seconds
def test_a_method_is_recorded_by_its_full_name(ingested: Path) -> None:
    """``mpl`` is another name for the same training, with the same settings: asked by either, it is done once."""
    settings = {**SHORT.settings, "form": "v1", "holdout": "0.4"}
    first = flows.train(ingested, replace(SHORT, method="mpl", settings=settings, baseline=False))
    again = flows.train(ingested, replace(SHORT, method="meta-pseudo-labels", settings=settings, baseline=False))
    assert first.model.method == "meta-pseudo-labels"
    written = settled(ingested, first.run_id)["method"]
    assert (written["name"], written["form"], written["holdout"]) == ("meta-pseudo-labels", "v1", 0.4)
    assert again.repeated
    assert again.run_id == first.run_id


def test_an_unknown_setting_is_refused_before_anything_starts(ingested: Path) -> None:
    """A misspelt name costs no training and leaves no run."""
    with pytest.raises(UsageError, match="sigma"):
        flows.train(ingested, replace(SHORT, settings={"sigma": "3"}))
    assert [run.command for run in flows.list_runs(ingested)] == ["ingest"]


def test_curves_reach_the_store(taught: Path) -> None:
    """Loss and the share of the pool that was used are kept, and validation accuracy where there are such rows."""
    curves = ask(taught, "SELECT name, count(*), max(step) FROM curves GROUP BY name")
    points = {name: (count, last) for name, count, last in curves}
    assert points.keys() >= {"loss", "labeled loss", "pool loss", "used", "validation accuracy"}
    assert points["loss"] == (40, 40)
    assert points["validation accuracy"] == (20, 40)
    assert ask(taught, "FROM curves WHERE name IN ('used', 'validation accuracy') AND value NOT BETWEEN 0 AND 1") == []


def test_moments_are_kept(ingested: Path) -> None:
    """``--keep-moments 3`` leaves the weights of three moments, the last of which are the model's."""
    config = replace(SHORT, steps=6, keep_moments=3)
    outcome = flows.train(ingested, config)
    kept = sorted((ingested / "runs" / outcome.run_id / "moments").iterdir())
    assert [path.name for path in kept] == [f"step-{step:09d}.safetensors" for step in (2, 4, 6)]
    assert kept[-1].read_bytes() == (ingested / outcome.model.path).read_bytes()


@pytest.mark.seconds
def test_a_budget_is_turned_into_steps(ingested: Path) -> None:
    """Seconds become a number of steps before the first one, recorded with the run; the budget is kept."""
    outcome = flows.train(ingested, replace(SHORT, steps=None, budget=1.5))
    assert outcome.steps > 0
    assert settled(ingested, outcome.run_id)["steps"] == outcome.steps
    (run,) = (one for one in flows.list_runs(ingested) if one.run_id == outcome.run_id)
    assert (run.config["budget"], run.outcome["steps"]) == (1.5, outcome.steps)


def test_an_interruption_leaves_no_model(ingested: Path) -> None:
    """A run that is interrupted says so and makes no model; the same call afterwards trains."""

    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flows.train(ingested, SHORT, listener=Heard(interrupt))
    run = flows.list_runs(ingested)[0]
    assert (run.command, run.status) == ("train", "interrupted")
    assert run.ended_at is not None
    assert ask(ingested, "SELECT count(*) FROM model") == [(0,)]
    assert not list((ingested / "runs" / run.run_id).glob("*.safetensors"))
    assert not flows.train(ingested, SHORT).repeated
    assert newest(ingested).run_id == flows.list_runs(ingested)[0].run_id


def test_confidence_is_calibrated_on_validation_rows_only(taught: Path, digits: Digits, tmp_path: Path) -> None:
    """With validation rows a temperature is fitted; without them it is 1, and the output says uncalibrated."""
    assert newest(taught).calibrated
    assert newest(taught).temperature != 1
    flows.ingest(tmp_path / "plain", [digits.labeled, digits.unlabeled])
    heard = Heard()
    model = flows.train(tmp_path / "plain", SHORT, listener=heard).model
    assert (model.temperature, model.calibrated) == (1.0, False)
    assert any("uncalibrated" in note for note in heard.notes)


@pytest.mark.seconds
def test_the_store_is_free_while_training(ingested: Path) -> None:
    """Another process can read and write the store between the first step and the last."""
    counted = []

    def count_from_outside(progress: Progress) -> None:
        if progress.done == 2:
            command = [sys.executable, "-c", COUNT, str(ingested / "labels.duckdb")]
            counted.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    flows.train(ingested, SHORT, listener=Heard(count_from_outside))
    assert counted == [100 + len(POOL) + len(TEST)]


def test_rows_are_accounted_for(ingested: Path) -> None:
    """A training is given the train rows and has labels for all of them."""
    rows = flows.train(ingested, SHORT).rows
    assert (rows.given, rows.labeled, rows.abstained) == (60, 60, 0)


def test_a_training_that_diverges_leaves_no_model(ingested: Path) -> None:
    """A loss that is no number ends the training with what to do about it, and nothing to label with."""
    wild = replace(SHORT, steps=30, settings={"learning_rate": "100000"})
    with pytest.raises(LabelsvcError, match=r"diverged.*learning_rate"):
        flows.train(ingested, wild)
    assert ask(ingested, "SELECT count(*) FROM model") == [(0,)]
    assert flows.list_runs(ingested)[0].status == "failed"


def test_lost_weights_are_trained_again(taught: Path) -> None:
    """A training whose weights are gone is not done: the same call makes the same ones."""
    before = newest(taught)
    (taught / before.path).unlink()
    again = flows.train(taught, QUICK)
    assert not again.repeated
    assert again.model.sha256 == before.sha256


def test_a_schedule_of_another_length_is_scaled_aloud(ingested: Path) -> None:
    """A method with a published length says by how much this training scales it; others say nothing of the kind."""
    for method, said in (("pseudo-label", True), ("supervised", False)):
        heard = Heard()
        flows.train(ingested, replace(SHORT, method=method), listener=heard)
        assert any("is scaled by" in note for note in heard.notes) is said
