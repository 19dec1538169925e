"""Real digits of 8×8 pixels as Parquet files, tiny trainings, and a listener that remembers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from labelsvc import flows
from labelsvc.config import IngestConfig, LabelConfig, TrainConfig
from labelsvc.records import Model, Progress
from labelsvc.store import Store, models
from labelsvc.store.database import now

LABELED, POOL, TEST = range(100), range(100, 400), range(400, 600)  # of the shuffled digits
HELD_OUT = IngestConfig(validation=20, calibration=20)
QUICK = TrainConfig(steps=40, device="cpu", settings={"labeled_batch": "16", "pool_batch": "32"})
SHORT = replace(QUICK, steps=3)
NINETY = LabelConfig(threshold=0.9, device="cpu")

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class Digits:
    """All 1,797 digits in a fixed order, and a folder with the files that most tests ingest."""

    pictures: tuple[bytes, ...]
    classes: tuple[str, ...]
    folder: Path

    @property
    def labeled(self) -> Path:
        """The file of labeled digits."""
        return self.folder / "labeled.parquet"

    @property
    def unlabeled(self) -> Path:
        """The file of digits without a label."""
        return self.folder / "unlabeled.parquet"

    @property
    def test(self) -> Path:
        """The file of test digits."""
        return self.folder / "test.parquet"

    @property
    def truth(self) -> Path:
        """The file with the labels of the unlabeled digits."""
        return self.folder / "truth.parquet"

    def table(self, rows: Sequence[int], labels: Sequence[str | None] | None = None) -> pa.Table:
        """Return digits with their ids and their own labels, or others."""
        cells = [{"bytes": self.pictures[row], "path": None} for row in rows]
        return pa.table(
            {
                "id": [f"digit-{row:04d}" for row in rows],
                "image": pa.array(cells, PICTURE),
                "label": pa.array(labels or [self.classes[row] for row in rows], pa.string()),
            }
        )

    def write(self, path: Path, rows: Sequence[int], labels: Sequence[str | None] | None = None) -> Path:
        """Write labeled digits as a file."""
        return written(path, self.table(rows, labels))

    def write_pool(self, path: Path, rows: Sequence[int]) -> Path:
        """Write digits without labels as a file."""
        return written(path, self.table(rows).drop_columns("label"))


def written(path: Path, table: pa.Table) -> Path:
    """Write a table as Parquet and return its path."""
    pq.write_table(table, path)
    return path


def load(folder: Path) -> Digits:
    """Take the digits from scikit-learn, and write the files that most tests ingest."""
    from sklearn.datasets import load_digits  # seconds, and not every run of the tests needs it

    values, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(classes))
    pixels = (values[order].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    digits = Digits(tuple(png(picture) for picture in pixels), tuple(map(str, classes[order])), folder)
    digits.write(digits.labeled, LABELED)
    digits.write_pool(digits.unlabeled, POOL)
    digits.write(digits.test, TEST)
    written(digits.truth, digits.table(POOL).drop_columns("image"))
    return digits


def png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Return grey pixels [height, width] as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@contextmanager
def one_thread() -> Iterator[None]:
    """Train on one thread: networks this small gain nothing from more, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass
class Heard:
    """A listener that remembers what it was told, and may act upon it."""

    act: Callable[[Progress], None] = lambda progress: None  # noqa: ARG005
    notes: list[str] = field(default_factory=list)
    stages: set[str] = field(default_factory=set)

    def note(self, message: str) -> None:
        """Remember the message."""
        self.notes.append(message)

    def progress(self, progress: Progress) -> None:
        """Remember the stage, and act."""
        self.stages.add(progress.stage)
        self.act(progress)


def ask(workspace: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of an answer."""
    with flows.query(workspace, sql) as reader:
        return [tuple(row.values()) for row in reader.read_all().to_pylist()]


def store_of(workspace: Path) -> Store:
    """Return the store of a workspace."""
    return Store(workspace / "labels.duckdb")


def newest(workspace: Path) -> Model:
    """Return the newest model of a workspace."""
    model = models.newest(store_of(workspace))
    assert model is not None
    return model


def contents(workspace: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that a store holds of samples and of what was said of them."""
    tables = ("class", "dataset", "sample", "source_row", "given_label", "model", "label_set", "pseudo_label", "alias")
    return {name: ask(workspace, f"FROM {name} ORDER BY ALL") for name in tables}


def decide(workspace: Path, sample_id: str, decision: str, label: str | None = None) -> None:
    """Write what a person said of a sample, as a review would."""
    with store_of(workspace).writing() as connection:
        connection.execute(
            "INSERT INTO decision SELECT (SELECT coalesce(max(decision_no), 0) + 1 FROM decision), sample_no, ?, "
            "(SELECT class FROM class WHERE name = ?), 'ada', NULL, NULL, ? FROM sample WHERE sample_id = ?",
            [decision, label, now(), sample_id],
        )
