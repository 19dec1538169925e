"""Teachers whose words are kept, for the measurements of certificates, of unknown classes and of wrong labels.

Run: ``LABELSVC_TEST_DATA=DIR uv run python tests/benchmarks/teachers.py WORKSPACES [NAME...]``, where ``DIR/mnist`` and
``DIR/fashion_mnist`` each hold ``labeled_1000``, ``unlabeled_59000`` and ``truth_59000``. A teacher that is done in
``WORKSPACES`` is not trained again. Every teacher learns from its labeled rows and from all others without labels, so
that those others are alike to it and may be dealt anew into validation, calibration and pool. The truth draws labels
and scores what came out; the program under test is shown pictures and the drawn labels alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelsvc import flows
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._models import open_network
from labelsvc.flows._session import open_store
from labelsvc.store import models, samples
from labelsvc.training.predict import logits_of
from labelsvc.workspace import find

STEPS = 3000  # about two minutes on two cores
BASELINE_STEPS = 600


@dataclass(frozen=True)
class Draw:
    """Pictures, what they show, and which of them a teacher is told."""

    pictures: pa.Table  # id, image
    truth: NDArray[np.str_]
    told: NDArray[np.bool_]


def mnist_1000(root: Path, seed: int) -> Draw:
    """Return 700 labels of MNIST's 1,000: what is left of them with the default roles."""
    return _some_of_a_thousand(root / "mnist", seed)


def fashion_1000(root: Path, seed: int) -> Draw:
    """Return 700 labels of Fashion-MNIST's 1,000."""
    return _some_of_a_thousand(root / "fashion_mnist", seed)


def mnist_2000(root: Path, seed: int) -> Draw:
    """Return 1,200 labels of MNIST, drawn from the truth: 2,000 less 600 for calibration and 200 for validation."""
    return _drawn(root / "mnist", 1200, seed)


def fashion_2000(root: Path, seed: int) -> Draw:
    """Return 1,200 labels of Fashion-MNIST, drawn from the truth."""
    return _drawn(root / "fashion_mnist", 1200, seed)


def mnist_without_7(root: Path, seed: int) -> Draw:
    """Return 700 labels of MNIST of which those of sevens are left out."""
    return _without(mnist_1000(root, seed), ["7"])


def mnist_without_4_and_7(root: Path, seed: int) -> Draw:
    """Return 700 labels of MNIST of which those of fours and of sevens are left out."""
    return _without(mnist_1000(root, seed), ["4", "7"])


def mnist_with_clothes(root: Path, seed: int) -> Draw:
    """Return 700 labels of MNIST, and a pool with 10,000 pictures of Fashion-MNIST in it."""
    digits = mnist_1000(root, seed)
    clothes, _ = _pictures(root / "fashion_mnist")
    some = np.random.default_rng(seed).permutation(len(clothes))[:10_000]
    strangers = clothes.take(some)
    renamed = pc.binary_join_element_wise("fashion", strangers["id"], "-")
    pictures = pa.concat_tables([digits.pictures, strangers.set_column(0, "id", renamed)])
    unknown = np.full(len(some), "clothes")
    return Draw(pictures, np.concatenate([digits.truth, unknown]), np.append(digits.told, np.zeros(len(some), bool)))


DRAWS: Mapping[str, Callable[[Path, int], Draw]] = {
    "mnist_1000": mnist_1000,
    "fashion_1000": fashion_1000,
    "mnist_without_7": mnist_without_7,
    "mnist_2000": mnist_2000,
    "fashion_2000": fashion_2000,
    "mnist_without_4_and_7": mnist_without_4_and_7,
    "mnist_with_clothes": mnist_with_clothes,
}


def _pictures(data: Path) -> tuple[pa.Table, NDArray[np.str_]]:
    """Return all 60,000 pictures, the 1,000 labeled ones first, and what they show."""
    labeled = pq.read_table(data / "labeled_1000.parquet")
    rest = pq.read_table(data / "unlabeled_59000.parquet")
    truth = pq.read_table(data / "truth_59000.parquet")
    assert rest["id"].equals(truth["id"])
    pictures = pa.concat_tables([labeled.select(["id", "image"]), rest.select(["id", "image"])])
    shown = np.array([*labeled["label"].to_pylist(), *truth["label"].to_pylist()])
    return pictures.replace_schema_metadata(None), shown


def _some_of_a_thousand(data: Path, seed: int) -> Draw:
    pictures, truth = _pictures(data)
    told = np.zeros(len(truth), bool)
    told[np.random.default_rng(seed).permutation(1000)[:700]] = True
    return Draw(pictures, truth, told)


def _drawn(data: Path, labels: int, seed: int) -> Draw:
    pictures, truth = _pictures(data)
    told = np.zeros(len(truth), bool)
    told[np.random.default_rng(seed).permutation(len(truth))[:labels]] = True
    return Draw(pictures, truth, told)


def _without(draw: Draw, classes: list[str]) -> Draw:
    return Draw(draw.pictures, draw.truth, draw.told & ~np.isin(draw.truth, classes))


def main() -> None:
    """Train what is not trained yet, and keep what each teacher says of every row."""
    root, workspaces = Path(os.environ["LABELSVC_TEST_DATA"]), Path(sys.argv[1])
    for name in sys.argv[2:] or [f"{draw}-{seed}" for seed in (0, 1) for draw in DRAWS]:
        if not (workspaces / f"{name}.npz").exists():
            _keep_words(root, workspaces, name)
            print(name, flush=True)  # noqa: T201


def _keep_words(root: Path, workspaces: Path, name: str) -> None:
    kind, _, seed = name.rpartition("-")
    draw = DRAWS[kind](root, int(seed))
    workspace = workspaces / name
    _ingest(workspace, draw)
    config = flows.TrainConfig(steps=STEPS, seed=int(seed))
    teacher = flows.train(workspace, config).model
    baseline = flows.train(workspace, flows.TrainConfig("supervised", steps=BASELINE_STEPS, seed=int(seed))).model
    place = find(workspace)
    store = open_store(place)
    numbers = samples.numbers(store, draw.pictures["id"].to_pylist())
    words = {"truth": draw.truth, "told": draw.told, "classes": np.array(teacher.classes), "numbers": numbers}
    for role, model in (("teacher", teacher), ("baseline", baseline)):
        rows = rows_to_ask(place, store, numbers, device="cpu")
        network = open_network(place, models.get(store, model.model_id))
        words[f"{role}_logits"] = logits_of(network, rows)
        network.body = network.body[:-1]
        words[f"{role}_features"] = logits_of(network, rows).astype(np.float16)
    np.savez(workspaces / f"{name}.npz", **words)


def _ingest(workspace: Path, draw: Draw) -> None:
    workspace.mkdir(parents=True, exist_ok=True)
    pictures, labels = workspace / "pictures.parquet", workspace / "labels.parquet"
    pq.write_table(draw.pictures, pictures)
    ids = draw.pictures["id"].filter(pa.array(draw.told))
    pq.write_table(pa.table({"id": ids, "label": pa.array(draw.truth[draw.told])}), labels)
    config = flows.IngestConfig(validation=0, calibration=0, labels=str(labels))
    flows.ingest(workspace, [pictures], config=config)


if __name__ == "__main__":
    main()
