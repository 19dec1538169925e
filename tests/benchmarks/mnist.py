"""The README's figures: MNIST with 1,000 labels through the flow, several seeds, every one shown.

Run: ``LABELSVC_TEST_DATA=DIR uv run python tests/benchmarks/mnist.py WORKSPACES [SEED...]``, where ``DIR/mnist`` holds
``labeled_1000.parquet``, ``unlabeled_59000.parquet``, ``truth_59000.parquet`` and ``test.parquet``. A seed that is
already done in ``WORKSPACES`` is not trained again. Nothing that trains reads truth or test.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from record import keep_table

from labelsvc import flows

BUDGETS = {"teacher": 120.0, "student": 60.0}  # seconds
THRESHOLD = 0.95


def main() -> None:
    """Measure each seed and keep the table."""
    data = Path(os.environ["LABELSVC_TEST_DATA"]) / "mnist"
    workspaces = Path(sys.argv[1])
    seeds = [int(seed) for seed in sys.argv[2:]] or [0, 1, 2]
    keep_table("mnist_1000", [_measure(data, workspaces / f"seed-{seed}", seed) for seed in seeds])


def _measure(data: Path, workspace: Path, seed: int) -> dict[str, float]:
    """Take one seed through the flow, and return what its labels and its files are worth."""
    roles = flows.IngestConfig(validation=0, calibration=0)
    files = [data / "labeled_1000.parquet", data / "unlabeled_59000.parquet"]
    flows.ingest(workspace, files, test=[data / "test.parquet"], config=roles)
    teacher = flows.train(workspace, flows.TrainConfig(budget=BUDGETS["teacher"], seed=seed))
    rule = flows.LabelConfig(threshold=THRESHOLD, model=teacher.model.model_id)
    flows.label(workspace, rule)
    labels = flows.evaluate(workspace, truth=data / "truth_59000.parquet").score
    student = flows.distill(workspace, flows.TrainConfig(budget=BUDGETS["student"], seed=seed))
    found = {"seed": seed, "labels_cover": labels.coverage, "labels_right": labels.accuracy}
    for role, outcome in (("teacher", teacher), ("student", student)):
        file = workspace / f"{role}.onnx"
        flows.export(workspace, file, model=outcome.model.model_id)
        found[f"{role}_steps"] = outcome.steps
        found[f"{role}_onnx_accuracy"] = _accuracy(file, data / "test.parquet", workspace / f"{role}.parquet")
    return found


def _accuracy(student: Path, source: Path, target: Path) -> float:
    """Return how often the ONNX file is right on raw pictures, from Parquet to Parquet."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    flows.predict(student, source, target, flows.PredictConfig(threshold=0.0))
    truth = pq.read_table(source, columns=["label"])["label"]
    right: float = pc.mean(pc.equal(pq.read_table(target)["label"], truth)).as_py()
    return right


if __name__ == "__main__":
    main()
