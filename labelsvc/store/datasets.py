"""Ingest: a dataset's rows become samples, with a role each, and given labels.

All of it happens inside one transaction and inside DuckDB, from a Parquet file that the caller
spooled, so that memory does not grow with the rows. Knows nothing of how inputs are decoded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from labelsvc.records import PictureShape
from labelsvc.store import arrivals
from labelsvc.store.database import Store, now
from labelsvc.store.roles import Shares

__all__ = [
    "DatasetFile",
    "DatasetRole",
    "DatasetVersion",
    "Ingested",
    "NewDataset",
    "Shares",
    "add_rows",
    "datasets",
    "find_dataset",
    "picture_shape",
]

DatasetRole = Literal["train", "test"]


@dataclass(frozen=True)
class DatasetFile:
    """A file of a dataset: where it lies, the SHA-256 of its bytes, and the columns that were read."""

    uri: str
    sha256: str
    columns: Mapping[str, str | None]


@dataclass(frozen=True)
class NewDataset:
    """A dataset version that is about to be ingested; ``role`` is ``test`` for what ``--test`` names."""

    name: str
    files: tuple[DatasetFile, ...]
    digest: str
    role: DatasetRole
    shape: PictureShape
    run_id: str
    kind: str = "image"
    classes: tuple[str, ...] = ()  # in the order that the file declares, if it does

    @property
    def uris(self) -> tuple[str, ...]:
        """Where the files lie."""
        return tuple(file.uri for file in self.files)


@dataclass(frozen=True)
class Ingested:
    """What became of a dataset's rows: ``rows = labeled + pool + test + duplicates_skipped``."""

    dataset_no: int
    rows: int
    samples: int  # not known before
    labeled: int  # samples that are not test and were given a label, or another one
    pool: int  # new samples without a label
    test: int  # test samples that are new or were given another label
    duplicates_skipped: int
    same_content_other_id: int
    superseded: int  # samples whose earlier label gave way to a newer one
    roles: Mapping[str, int]  # of the new samples
    classes: tuple[str, ...]  # of the workspace, by class code


@dataclass(frozen=True)
class DatasetVersion:
    """What was ingested, as the cache of decoded inputs needs it."""

    dataset_no: int
    name: str
    role: DatasetRole
    digest: str
    files: tuple[DatasetFile, ...]
    shape: PictureShape
    rows: int


def add_rows(store: Store, arriving: Sequence[tuple[Path, NewDataset]], shares: Shares) -> list[Ingested]:
    """Write the samples, roles, given labels and source rows of datasets, all of them or none.

    Args:
        store: where to write; made if it is missing.
        arriving: each dataset with its rows: a Parquet file with the columns ``position`` (int64, in the
            dataset's cache), ``file`` (int32, in ``dataset.uris``), ``row`` (int64), ``sample_id`` (string, null
            for the content hash), ``content_hash`` (string) and ``label`` (string, null for none).
        shares: what of the newly labeled rows is set aside for validation and calibration.

    Raises:
        InputError: an id comes with other content than before, or is test in one dataset and not in another.
        UsageError: more validation and calibration rows are asked for than there are.
    """
    with store.writing() as connection:
        return [_add(connection, rows, dataset, shares) for rows, dataset in arriving]


def _add(connection: duckdb.DuckDBPyConnection, rows: Path, dataset: NewDataset, shares: Shares) -> Ingested:
    number = _next_dataset_no(connection)
    arrivals.gather(connection, rows)
    arrivals.refuse_other_content(connection, dataset.uris)
    arrivals.refuse_mixed_roles(connection, dataset.role, dataset.uris)
    arrivals.add_classes(connection, dataset.classes)
    arrivals.give_roles(connection, dataset.role, shares)
    arrivals.write(connection, number, now())
    ingested = Ingested(dataset_no=number, **arrivals.counts(connection), classes=_class_names(connection))
    _add_dataset(connection, dataset, ingested)
    return ingested


def find_dataset(store: Store, digest: str, role: DatasetRole) -> Ingested | None:
    """Return what ingesting this very content in this role did, or None if it never was."""
    if not store.path.exists():
        return None
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT outcome FROM dataset WHERE digest = ? AND role = ? ORDER BY dataset_no LIMIT 1",
            [digest, role],
        ).fetchall()
    if not rows:
        return None
    outcome: dict[str, Any] = json.loads(rows[0][0])
    return Ingested(**{**outcome, "classes": tuple(outcome["classes"])})


def picture_shape(store: Store) -> PictureShape | None:
    """Return the size to which this workspace decodes pictures: the first dataset's, None before it."""
    versions = datasets(store) if store.path.exists() else ()
    return versions[0].shape if versions else None


def datasets(store: Store) -> tuple[DatasetVersion, ...]:
    """Return every dataset version, oldest first."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT dataset_no, name, role, digest, files, height, width, channels, rows "
            "FROM dataset ORDER BY dataset_no"
        ).fetchall()
    return tuple(
        DatasetVersion(
            dataset_no=number,
            name=name,
            role=role,
            digest=digest,
            files=tuple(DatasetFile(**file) for file in json.loads(files)),
            shape=PictureShape(height, width, channels),
            rows=count,
        )
        for number, name, role, digest, files, height, width, channels, count in rows
    )


def _next_dataset_no(connection: duckdb.DuckDBPyConnection) -> int:
    rows = connection.execute("SELECT coalesce(max(dataset_no), 0) + 1 FROM dataset").fetchall()
    return int(rows[0][0])


def _class_names(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    return tuple(name for (name,) in connection.execute("SELECT name FROM class ORDER BY class").fetchall())


def _add_dataset(connection: duckdb.DuckDBPyConnection, dataset: NewDataset, ingested: Ingested) -> None:
    connection.execute(
        "INSERT INTO dataset (dataset_no, name, role, kind, uris, digest, files, classes, height, width, "
        "channels, rows, outcome, run_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            ingested.dataset_no,
            dataset.name,
            dataset.role,
            dataset.kind,
            list(dataset.uris),
            dataset.digest,
            json.dumps([asdict(file) for file in dataset.files]),
            list(dataset.classes),
            dataset.shape.height,
            dataset.shape.width,
            dataset.shape.channels,
            ingested.rows,
            json.dumps(asdict(ingested)),
            dataset.run_id,
            now(),
        ],
    )
