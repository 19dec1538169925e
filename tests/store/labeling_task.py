"""A labeling task in a temporary folder, and short ways to fill its store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.records import LabelSet, Model, PictureShape, Policy, Preprocessing, PseudoLabels
from labelsvc.store import Store, label_sets, models
from labelsvc.store.database import now
from labelsvc.store.datasets import (
    Arrived,
    Brought,
    DatasetFile,
    DatasetRole,
    Ingested,
    LabelsFile,
    NewDataset,
    Shares,
    add_rows,
)
from labelsvc.store.identifiers import new_id

SHAPE = PictureShape(28, 28, 1)
Row = tuple[str | None, str, str | None] | tuple[str | None, str, str | None, str | None]
"""Sample id, content hash, label, and the group where there is one."""


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
                "group_name": pa.array([row[3] if len(row) > 3 else None for row in rows], pa.string()),
                "split_value": pa.array([row[4] if len(row) > 4 else None for row in rows], pa.float64()),
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
        dataset = replace(self.dataset(role, classes), digest=digest or new_id())
        return add_rows(self.store, [(self.spool(rows), dataset)], shares).datasets[0]

    def dataset(self, role: DatasetRole = "train", classes: tuple[str, ...] = ()) -> NewDataset:
        """Return a dataset of one file that is about to be ingested."""
        return NewDataset(
            name="digits",
            files=(DatasetFile("digits.parquet", "0" * 64, {"image": "image"}),),
            digest=new_id(),
            role=role,
            shape=SHAPE,
            run_id=new_id(),
            classes=classes,
        )

    def labels_file(self, labels: Mapping[str, str | None], *, met: tuple[int, ...] = ()) -> LabelsFile:
        """Return a file of labels by id."""
        rows = pa.table({"id": pa.array(labels, pa.string()), "label": pa.array(labels.values(), pa.string())})
        alone = replace(self.dataset(), name="more", files=(), shape=None, labels_uri="more.csv")
        return LabelsFile(Brought("more.csv", rows), alone, met)

    def arrive(
        self,
        rows: Sequence[Row] | None,
        labels: Mapping[str, str | None] | None = None,
        *,
        role: DatasetRole = "train",
        classes: tuple[str, ...] = (),
    ) -> Arrived:
        """Ingest rows, labels by id or both, where only ``classes`` may be where there are any."""
        closed = {"classes": classes, "is_closed": bool(classes), "labels_uri": "more.csv" if labels else None}
        file = None if labels is None else self.labels_file(labels)
        if file is not None:
            file = replace(file, alone=replace(file.alone, **closed))
        arriving = [] if rows is None else [(self.spool(rows), replace(self.dataset(role), **closed))]
        return add_rows(self.store, arriving, Shares(), file)

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
