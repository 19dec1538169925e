"""A labeling task in a temporary folder, and short ways to fill its store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.records import LabelSet, Model, PictureShape, Policy, Preprocessing, PseudoLabels
from labelsvc.store import Store, label_sets, models
from labelsvc.store.database import now
from labelsvc.store.datasets import DatasetFile, DatasetRole, Ingested, NewDataset, Shares, add_rows
from labelsvc.store.identifiers import new_id

SHAPE = PictureShape(28, 28, 1)
Row = tuple[str | None, str, str | None]  # sample id, content hash, label


@dataclass
class Task:
    """A labeling task's store, and short ways to fill it."""

    store: Store
    folder: Path

    def spool(self, rows: Sequence[Row]) -> Path:
        """Write rows as an ingest spools them."""
        path = self.folder / f"{new_id()}.parquet"
        table = pa.table(
            {
                "position": pa.array(range(len(rows)), pa.int64()),
                "file": pa.array([0] * len(rows), pa.int32()),
                "row": pa.array(range(len(rows)), pa.int64()),
                "sample_id": pa.array([row[0] for row in rows], pa.string()),
                "content_hash": pa.array([row[1] for row in rows], pa.string()),
                "label": pa.array([row[2] for row in rows], pa.string()),
            }
        )
        pq.write_table(table, path)
        return path

    def ingest(
        self,
        rows: Sequence[Row],
        *,
        role: DatasetRole = "train",
        shares: Shares = Shares(),  # noqa: B008 - frozen
        classes: tuple[str, ...] = (),
        digest: str = "",
    ) -> Ingested:
        """Ingest rows as a dataset of their own."""
        dataset = NewDataset(
            name="digits",
            files=(DatasetFile("digits.parquet", "0" * 64, {"image": "image"}),),
            digest=digest or new_id(),
            role=role,
            shape=SHAPE,
            run_id=new_id(),
            classes=classes,
        )
        return add_rows(self.store, [(self.spool(rows), dataset)], shares)[0]

    def decide(self, sample_no: int, decision: str, code: int | None = None) -> None:
        """Write what a person said, as a review would."""
        with self.store.writing() as connection:
            connection.execute(
                "INSERT INTO decision "
                "SELECT coalesce(max(decision_no), 0) + 1, ?, ?, ?, 'ada', NULL, NULL, ? FROM decision",
                [sample_no, decision, code, now()],
            )

    def model(self) -> Model:
        """Record a model of no weights."""
        made = Model(
            model_id=new_id(),
            run_id=new_id(),
            role="teacher",
            method="softmatch",
            network="convnet",
            path="runs/x/teacher.safetensors",
            sha256="0" * 64,
            classes=("cat", "dog"),
            preprocessing=Preprocessing(SHAPE, (0.5,), (0.25,)),
        )
        models.add(self.store, made)
        return made

    def label(
        self,
        numbers: Sequence[int],
        classes: Sequence[int],
        *,
        make_current: bool = True,
        chunk_rows: int = 1000,
    ) -> LabelSet:
        """Write a label set by a new model under a new policy."""
        label_set, policy = self.plan()
        return label_sets.write(
            self.store,
            label_set,
            policy,
            labels(numbers, classes),
            make_current=make_current,
            chunk_rows=chunk_rows,
        )

    def plan(self) -> tuple[LabelSet, Policy]:
        """Return a label set to be written, and its policy."""
        made = self.model()
        policy = Policy(new_id(), made.run_id, made.model_id, 0.9, {"dog": 0.8})
        return LabelSet(new_id(), made.run_id, made.model_id, policy.policy_id, 0, ""), policy

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of an answer."""
        with self.store.reading() as connection:
            return connection.execute(sql).fetchall()


def labels(numbers: Sequence[int], classes: Sequence[int]) -> PseudoLabels:
    """Return accepted labels, all with the same confidence."""
    rows = len(numbers)
    return PseudoLabels(
        numbers=np.asarray(numbers, np.int64),
        classes=np.asarray(classes, np.int32),
        confidence=np.full(rows, 0.95),
        runner_up=1 - np.asarray(classes, np.int32),
        runner_up_probability=np.full(rows, 0.05),
    )
