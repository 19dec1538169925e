"""What rounds bring: MNIST and Fashion-MNIST with 1,000 labels, three rounds of label and distill, several seeds.

Run: ``LABELSVC_TEST_DATA=DIR uv run python tests/benchmarks/rounds.py WORKSPACES [SEED...]``, where ``DIR/mnist`` and
``DIR/fashion_mnist`` each hold ``labeled_1000``, ``unlabeled_59000``, ``truth_59000`` and ``test``. Trainings
that are done in ``WORKSPACES`` are not done again. Truth and test rows score what came out and decide nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from record import keep_table

from labelsvc import flows

DATA = ("mnist", "fashion_mnist")
STEPS = {"teacher": 3000, "student": 1500}
ROUNDS = 3


def main() -> None:
    """Measure each data set and seed, and keep the table."""
    root, workspaces = Path(os.environ["LABELSVC_TEST_DATA"]), Path(sys.argv[1])
    seeds = [int(seed) for seed in sys.argv[2:]] or [0, 1, 2]
    for name in DATA:
        rows = [row for seed in seeds for row in _measure(root / name, workspaces / f"{name}-{seed}", seed)]
        keep_table(f"rounds_{name}", rows)


def _measure(data: Path, workspace: Path, seed: int) -> list[dict[str, float]]:
    """Take one seed through the rounds, and return what each round's labels and model are worth."""
    files = [data / "labeled_1000.parquet", data / "unlabeled_59000.parquet"]
    roles = flows.IngestConfig(validation=0, calibration=0)
    flows.ingest(workspace, files, test=[data / "test.parquet"], config=roles)
    teacher = flows.train(workspace, flows.TrainConfig(steps=STEPS["teacher"], seed=seed)).model
    rule = flows.LabelConfig(model=teacher.model_id, rounds=ROUNDS, steps=STEPS["student"])
    found = []
    for turn in flows.label(workspace, rule).rounds:
        flows.rollback_labels(workspace, turn.label_set_id)
        labels = flows.evaluate(workspace, truth=data / "truth_59000.parquet").score
        found.append(
            {
                "seed": seed,
                "round": turn.round,
                "model_accuracy": flows.evaluate(workspace, model=turn.model_id).score.accuracy,
                "labels_cover": labels.coverage,
                "labels_right": labels.accuracy,
                "gained": turn.gained,
                "changed": turn.changed,
                "withdrawn": turn.withdrawn,
            }
        )
    student = flows.distill(workspace, flows.TrainConfig(steps=STEPS["student"], seed=seed)).model
    last = flows.evaluate(workspace, model=student.model_id).score.accuracy
    return [*found, {"seed": seed, "round": ROUNDS + 1, "model_accuracy": last}]


if __name__ == "__main__":
    main()
