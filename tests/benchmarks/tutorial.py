"""The tutorial on pseudo-labeling, done over: MNIST, 1,000 balanced labels, its network, three draws of labels.

Run: ``LABELSVC_TEST_DATA=DIR uv run python tests/benchmarks/tutorial.py WORKSPACES [DRAW...]``; ``DIR/mnist`` is as
for ``mnist.py``. Each draw trains three times, and what is done in ``WORKSPACES`` is not done again: 100 epochs on the
labels alone, the alternating form at its published length, Lee's form at half of it. The last checkpoint counts; the
curves of α and of accuracy (scored after training) lie in each workspace's store, in the view ``curves``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from draws import draw
from record import keep_table

from labelsvc import flows

PLAIN = {"momentum": "0", "weight_decay": "0", "ema_decay": "0", "schedule": "constant", "learning_rate": "0.1"}
TRAININGS = {
    "supervised": ("supervised", 3125, 10, {**PLAIN, "labeled_batch": "32"}),
    "alternating": ("pseudo-label", 54030, 26, {"form": "alternating"}),
    "lee": ("pseudo-label", 10400, 26, {"form": "lee"}),
}


def main() -> None:
    """Measure each draw and keep the table."""
    data = Path(os.environ["LABELSVC_TEST_DATA"]) / "mnist"
    workspaces = Path(sys.argv[1])
    draws = [int(seed) for seed in sys.argv[2:]] or [0, 1, 2]
    rows = [_measure(data, workspaces / f"draw-{seed}", seed) for seed in draws]
    if draws == [0, 1, 2]:
        keep_table("tutorial", rows)


def _measure(data: Path, folder: Path, seed: int) -> dict[str, float]:
    """Train three times on one draw, and return the test accuracy of the last checkpoints."""
    labeled, unlabeled, _ = draw(data, folder, labels=1000, seed=seed)
    workspace = folder / "workspace"
    roles = flows.IngestConfig(validation=0, calibration=0)
    flows.ingest(workspace, [labeled, unlabeled], test=[data / "test.parquet"], config=roles)
    found: dict[str, float] = {"draw": seed}
    for name, (method, steps, moments, settings) in TRAININGS.items():
        config = flows.TrainConfig(
            method,
            steps=steps,
            network="tutorial",
            views="none",
            seed=seed,
            keep_moments=moments,
            settings=settings,
        )
        outcome = flows.train(workspace, config)
        scored = flows.evaluate(workspace, model=outcome.model.model_id, moments=True)
        found[name] = scored.score.accuracy
        print(f"draw {seed}, {name}: {scored.score.accuracy:.4f}", flush=True)  # noqa: T201
    return found


if __name__ == "__main__":
    main()
