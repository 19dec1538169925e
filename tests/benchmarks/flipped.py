"""Does ``issues`` find wrong labels? MNIST with 1,000 labels of which 100 are flipped, teachers trained on those.

Run: ``LABELSVC_TEST_DATA=DIR uv run python tests/benchmarks/flipped.py WORKSPACES [NAME...]``, where ``DIR/mnist``
holds ``labeled_1000`` and ``unlabeled_59000``. A name is ``default-SEED`` (validation and calibration rows as
``ingest`` draws them) or ``none-SEED`` (no such rows); the seed flips the labels and trains the teacher, where none is
in ``WORKSPACES`` yet. What the labels were before the flip scores what is listed, and decides nothing.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from record import keep_table

from labelsvc import flows
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._models import newest, open_network
from labelsvc.flows._session import open_store
from labelsvc.store import models, samples
from labelsvc.training.predict import logits_of
from labelsvc.workspace import find

STEPS = 3000  # about four minutes on one core
FLIPPED = 100
ROLES = {"default": flows.IngestConfig(), "none": flows.IngestConfig(validation=0, calibration=0)}


@dataclass(frozen=True)
class Flip:
    """Labeled rows: their ids, what their labels were, and what they became."""

    ids: list[str]
    truth: NDArray[np.str_]
    told: NDArray[np.str_]


def main() -> None:
    """Measure each name, and keep the table."""
    data, workspaces = Path(os.environ["LABELSVC_TEST_DATA"]) / "mnist", Path(sys.argv[1])
    names = sys.argv[2:] or ["default-0", "none-1", "default-2"]
    keep_table("flipped", [_measure(data, workspaces / name, *name.split("-")) for name in names])


def _measure(data: Path, workspace: Path, roles: str, seed: str) -> dict[str, float]:
    """Train a teacher on flipped labels where none is, and count what ``issues`` lists."""
    flip = _flip(pq.read_table(data / "labeled_1000.parquet"), int(seed))
    if not workspace.exists():
        _ingest(data, workspace, flip, ROLES[roles])
    store = open_store(find(workspace))
    if models.newest(store) is None:
        flows.train(workspace, flows.TrainConfig(steps=STEPS, seed=int(seed)))
    outcome = flows.issues(workspace)
    suggested = {one.sample_id: one.suggested for one in outcome.issues}
    with flows.query(workspace, "SELECT sample_id FROM labels WHERE role IN ('train', 'validation')") as reader:
        read = set(reader.read_all()["sample_id"].to_pylist())
    rows = list(zip(flip.ids, flip.truth, flip.told, strict=True))
    sought = {name: truth for name, truth, told in rows if truth != told and name in read}
    found = sought.keys() & suggested.keys()
    return {
        "seed": int(seed),
        "rows": len(read),
        "flipped": len(sought),
        "listed": len(suggested),
        "found": len(found) / len(sought),
        "not_flipped": 1 - len(found) / len(suggested),
        "suggested_right": sum(suggested[name] == sought[name] for name in found) / len(found),
        "learnt_by_heart": _learnt_by_heart(workspace, {name: told for name, _, told in rows if name in sought}),
        "twins": len(outcome.twins),
    }


def _flip(labeled: pa.Table, seed: int) -> Flip:
    """Give ``FLIPPED`` rows the label of another class, drawn at random."""
    truth = np.array(labeled["label"].to_pylist())
    told, classes, rng = truth.copy(), np.unique(truth), np.random.default_rng(seed)
    for row in sorted(rng.permutation(len(truth))[:FLIPPED]):
        told[row] = rng.choice(classes[classes != truth[row]])
    return Flip(labeled["id"].to_pylist(), truth, told)


def _ingest(data: Path, workspace: Path, flip: Flip, config: flows.IngestConfig) -> None:
    workspace.mkdir(parents=True)
    files = [data / "labeled_1000.parquet", data / "unlabeled_59000.parquet"]
    pictures = pa.concat_tables([pq.read_table(file, columns=["id", "image"]) for file in files])
    pq.write_table(pictures.replace_schema_metadata(None), workspace / "pictures.parquet")
    pq.write_table(pa.table({"id": flip.ids, "label": pa.array(flip.told)}), workspace / "labels.parquet")
    labels = str(workspace / "labels.parquet")
    flows.ingest(workspace, [workspace / "pictures.parquet"], config=replace(config, labels=labels))


def _learnt_by_heart(workspace: Path, told: dict[str, str]) -> float:
    """Return on which share of the flipped rows of train the model itself repeats the flipped label."""
    place = find(workspace)
    store = open_store(place)
    train = samples.given(store, "train").numbers
    numbers = np.sort(np.intersect1d(samples.numbers(store, list(told)), train))
    model = newest(store, None)
    logits = logits_of(open_network(place, model), rows_to_ask(place, store, numbers, device="cpu"))
    names = samples.ids(store, numbers).to_pylist()
    said = [model.classes[code] for code in logits.argmax(axis=1)]
    return sum(word == told[name] for word, name in zip(said, names, strict=True)) / len(names)


if __name__ == "__main__":
    main()
