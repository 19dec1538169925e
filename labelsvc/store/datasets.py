"""Ingest: a dataset's rows become samples, with a role each, and given labels.

All of it happens inside one transaction and inside DuckDB, from a Parquet file that the caller
spooled, so that memory does not grow with the rows. Knows nothing of how inputs are decoded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from labelsvc.records import InputShape, PictureShape, shape_of
from labelsvc.store import arrivals, findings, refusals
from labelsvc.store.arrivals import Brought
from labelsvc.store.assignment import give_roles
from labelsvc.store.database import Store, now
from labelsvc.store.roles import Shares

__all__ = [
    "Arrived",
    "Brought",
    "DatasetFile",
    "DatasetRole",
    "DatasetVersion",
    "Ingested",
    "LabelsFile",
    "NewDataset",
    "Shares",
    "add_rows",
    "datasets",
    "find_dataset",
    "input_shape",
    "meet_labels",
]

DatasetRole = Literal["train", "test"]
LABELS = "labels"  # the kind of a dataset without inputs

# What DuckDB may take before it writes to disk, tried in turn: 48 MB do for 600 thousand rows, which took 500 MB
# without a bound, 192 MB for 3 million. Beyond the last one, DuckDB's own.
_MEMORY = ("48MB", "192MB", "1GB")


@dataclass(frozen=True)
class DatasetFile:
    """A file of a dataset: where it lies, the SHA-256 of its bytes, and the columns that were read."""

    uri: str
    sha256: str
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class NewDataset:
    """A dataset version that is about to be ingested; ``role`` is ``test`` for what ``--test`` names."""

    name: str
    files: tuple[DatasetFile, ...]
    digest: str
    role: DatasetRole
    shape: InputShape | None  # None of labels alone
    run_id: str
    classes: tuple[str, ...] = ()  # in the order that the user or the file declares, if one does
    is_closed: bool = False  # whether another class than these is an error
    labels_uri: str | None = None  # of the labels file, if there was one
    failed: int = 0  # rows that could not be decoded

    @property
    def kind(self) -> str:
        """What its rows are: image, table or vector; or labels alone."""
        return self.shape.kind if self.shape else LABELS

    @property
    def uris(self) -> tuple[str, ...]:
        """Where the files lie."""
        return tuple(file.uri for file in self.files)


@dataclass(frozen=True)
class LabelsFile:
    """A labels file, and what is written of those of its labels that no row of an ingested file meets."""

    brought: Brought
    alone: NewDataset
    met: tuple[int, ...] = ()  # datasets that were ingested with this very file before


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
    failed: int = 0  # rows beside these that could not be decoded
    unknown: int = 0  # labels beside these that are for no sample


@dataclass(frozen=True)
class Arrived:
    """What an ingest did, dataset by dataset, and what deserves a look of it, a line each."""

    datasets: tuple[Ingested, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True)
class DatasetVersion:
    """What was ingested, as the cache of decoded inputs needs it."""

    dataset_no: int
    name: str
    role: DatasetRole
    digest: str
    files: tuple[DatasetFile, ...]
    shape: InputShape
    rows: int


def add_rows(
    store: Store, arriving: Sequence[tuple[Path, NewDataset]], shares: Shares, labels: LabelsFile | None = None
) -> Arrived:
    """Write the samples, roles, given labels and source rows of datasets, all of them or none.

    Args:
        store: where to write; made if it is missing.
        arriving: each dataset with its rows: a Parquet file with the columns ``position`` (int64, in the
            dataset's cache), ``file`` (int32, in ``dataset.uris``), ``row`` (int64), ``sample_id`` (string, null
            for the content hash), ``content_hash`` (string), ``label`` and ``group_name`` (string, null for none),
            ``split_value`` (double, null for none).
        shares: what of the newly labeled rows is set aside for validation and calibration.
        labels: labels by id. They count more than the rows' own, and decide roles as these do; those of samples that
            are not among the rows make a dataset of their own.

    Raises:
        InputError: an id comes with other content or another group than before, or is test in one dataset and not in
            another; a label is none of the classes; none of the ids of ``labels`` is a sample.
        UsageError: more validation and calibration rows are asked for than there are.
    """
    for limit in _MEMORY:
        with suppress(duckdb.OutOfMemoryException), store.writing() as connection:
            _bound(connection, limit)
            return _add_all(connection, arriving, shares, labels)
    with store.writing() as connection:
        return _add_all(connection, arriving, shares, labels)


def meet_labels(store: Store, brought: Brought, met: Sequence[int]) -> tuple[int, int]:
    """Return of how many ids alone a labels file speaks, and to how many of these it would give another label.

    Ids of the datasets ``met`` are left out, as in ``LabelsFile``.

    Raises:
        InputError: none of the file's ids is a sample.
        StoreError: there is no store.
    """
    with store.reading() as connection:
        arrivals.bring(connection, brought, met)
        refusals.refuse_unknown_labels(connection, brought)
        return arrivals.leftover(connection)


def _bound(connection: duckdb.DuckDBPyConnection, limit: str) -> None:
    connection.execute("SET memory_limit = ?", [limit])
    connection.execute("SET threads = 1")  # each one more takes memory of its own, and was no faster


def _add_all(
    connection: duckdb.DuckDBPyConnection,
    arriving: Sequence[tuple[Path, NewDataset]],
    shares: Shares,
    labels: LabelsFile | None,
) -> Arrived:
    since = findings.mark(connection)
    arrivals.bring(connection, labels.brought if labels else None, labels.met if labels else ())
    taken: list[Ingested] = []
    said: list[str] = []
    for rows, dataset in arriving:
        arrivals.gather(connection, rows)
        taken.append(_add(connection, dataset, shares))
        said += findings.of_dataset(connection)
    if labels:
        refusals.refuse_unknown_labels(connection, labels.brought)
        taken += _add_alone(connection, labels, shares)
        said += findings.of_unknown_labels(connection, labels.brought.uri)
    return Arrived(tuple(taken), (*said, *findings.of_ingest(connection, since)))


def _add_alone(connection: duckdb.DuckDBPyConnection, labels: LabelsFile, shares: Shares) -> list[Ingested]:
    """Write the labels that no row met, if there are any."""
    alone, _ = arrivals.leftover(connection)
    if not alone:
        return []
    unknown = arrivals.gather_leftover(connection)
    return [_add(connection, labels.alone, shares, unknown=unknown)]


def _add(connection: duckdb.DuckDBPyConnection, dataset: NewDataset, shares: Shares, *, unknown: int = 0) -> Ingested:
    number = _next_dataset_no(connection)
    _refuse(connection, dataset)
    arrivals.add_classes(connection, dataset.classes)
    give_roles(connection, dataset.role, shares)
    arrivals.write(connection, number, now())
    ingested = Ingested(
        dataset_no=number,
        **arrivals.counts(connection),
        classes=_class_names(connection),
        failed=dataset.failed,
        unknown=unknown,
    )
    _add_dataset(connection, dataset, ingested)
    return ingested


def _refuse(connection: duckdb.DuckDBPyConnection, dataset: NewDataset) -> None:
    if dataset.is_closed:
        refusals.refuse_other_order(connection, dataset.classes)
        refusals.refuse_other_classes(connection, dataset.classes, dataset.uris, dataset.labels_uri)
    if dataset.kind != LABELS:  # labels are for samples of any role, and say nothing of content and group
        refusals.refuse_other_content(connection, dataset.uris)
        refusals.refuse_two_groups(connection, dataset.uris)
        refusals.refuse_mixed_roles(connection, dataset.role, dataset.uris)


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


def input_shape(store: Store) -> InputShape | None:
    """Return the shape to which this workspace decodes inputs: the first dataset's, None before it."""
    versions = datasets(store) if store.path.exists() else ()
    return versions[0].shape if versions else None


def datasets(store: Store) -> tuple[DatasetVersion, ...]:
    """Return every dataset version with inputs, oldest first."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT dataset_no, name, role, digest, files, shape, height, width, channels, rows "
            f"FROM dataset WHERE kind <> '{LABELS}' ORDER BY dataset_no"
        ).fetchall()
    return tuple(
        DatasetVersion(
            dataset_no=number,
            name=name,
            role=role,
            digest=digest,
            files=tuple(DatasetFile(**file) for file in json.loads(files)),
            shape=shape_of(json.loads(shape)) if shape else PictureShape(*sides),
            rows=count,
        )
        for number, name, role, digest, files, shape, *sides, count in rows
    )


def _next_dataset_no(connection: duckdb.DuckDBPyConnection) -> int:
    rows = connection.execute("SELECT coalesce(max(dataset_no), 0) + 1 FROM dataset").fetchall()
    return int(rows[0][0])


def _class_names(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    return tuple(name for (name,) in connection.execute("SELECT name FROM class ORDER BY class").fetchall())


def _add_dataset(connection: duckdb.DuckDBPyConnection, dataset: NewDataset, ingested: Ingested) -> None:
    connection.execute(
        "INSERT INTO dataset (dataset_no, name, role, kind, uris, digest, files, classes, height, width, "
        "channels, shape, labels_uri, rows, outcome, run_id, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            ingested.dataset_no,
            dataset.name,
            dataset.role,
            dataset.kind,
            list(dataset.uris),
            dataset.digest,
            json.dumps([asdict(file) for file in dataset.files]),
            list(dataset.classes),
            *_columns(dataset.shape),
            dataset.labels_uri,
            ingested.rows,
            json.dumps(asdict(ingested)),
            dataset.run_id,
            now(),
        ],
    )


def _columns(shape: InputShape | None) -> tuple[int | str | None, ...]:
    """Return height, width and channels of pictures, and the shape of other inputs as JSON."""
    if isinstance(shape, PictureShape):
        return (*shape.sides, None)
    return (None, None, None, json.dumps(asdict(shape)) if shape else None)
