"""The flow on real pictures, where the folder of real data is given."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from labelsvc import flows

DATA = Path(os.environ.get("LABELSVC_TEST_DATA", "")) / "mnist"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="LABELSVC_TEST_DATA names no folder with mnist in it")


def ingest(workspace: Path) -> None:
    """Take in 1,000 labeled digits, all of them to learn from, 59,000 unlabeled ones, and the test rows."""
    files = [DATA / "labeled_1000.parquet", DATA / "unlabeled_59000.parquet"]
    roles = flows.IngestConfig(validation=0, calibration=0)
    found = flows.ingest(workspace, files, test=[DATA / "test.parquet"], config=roles)
    assert found.roles == {"train": 1_000, "pool": 59_000, "test": 10_000}


def file_accuracy(student: Path, folder: Path) -> float:
    """Return how often an ONNX file is right on the raw test pictures."""
    flows.predict(student, DATA / "test.parquet", folder / "out.parquet", flows.PredictConfig(threshold=0.0))
    truth = pq.read_table(DATA / "test.parquet", columns=["label"])["label"]
    right: float = pc.mean(pc.equal(pq.read_table(folder / "out.parquet")["label"], truth)).as_py()
    return right


@pytest.mark.seconds
def test_a_short_training_learns_real_digits(tmp_path: Path) -> None:
    """A hundred steps label most of the pool rightly, and the exported file is as good as its network."""
    workspace = tmp_path / "workspace"
    ingest(workspace)
    flows.train(workspace, flows.TrainConfig(steps=100))
    flows.label(workspace, flows.LabelConfig(threshold=0.5))
    labels = flows.evaluate(workspace, truth=DATA / "truth_59000.parquet").score
    assert labels.coverage > 0.8
    assert labels.accuracy > 0.9
    flows.export(workspace, tmp_path / "teacher.onnx")
    accuracy = flows.evaluate(workspace).score.accuracy
    assert file_accuracy(tmp_path / "teacher.onnx", tmp_path) == pytest.approx(accuracy, abs=2e-4)


@pytest.mark.slow
def test_three_minutes_on_two_cores_are_enough(tmp_path: Path) -> None:
    """With 1,000 labels: a teacher of 98.7%, 95% of the pool labeled and 99.4% of that right, a student of 99.1%."""
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)  # the other tests keep to one
    try:
        _three_minutes(tmp_path)
    finally:
        torch.set_num_threads(threads)


def _three_minutes(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    ingest(workspace)
    flows.train(workspace, flows.TrainConfig(budget=120))
    flows.label(workspace, flows.LabelConfig(threshold=0.95))
    labels = flows.evaluate(workspace, truth=DATA / "truth_59000.parquet").score
    assert labels.coverage >= 0.95
    assert labels.accuracy >= 0.994
    flows.export(workspace, tmp_path / "teacher.onnx")
    assert file_accuracy(tmp_path / "teacher.onnx", tmp_path) >= 0.987
    flows.distill(workspace, flows.TrainConfig(budget=60))
    flows.export(workspace, tmp_path / "student.onnx")
    assert file_accuracy(tmp_path / "student.onnx", tmp_path) >= 0.991
