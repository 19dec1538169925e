"""ingest: Parquet files become samples with roles in the store, and decoded inputs in the cache.

One pass reads, hashes and decodes; what it finds of each row is spooled to a Parquet file of its own, from which the
store takes it in one transaction, so that memory stays bounded and a failure leaves the store as it was.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from labelsvc.config import IngestConfig, digest
from labelsvc.data.cache import cache_folder, trim
from labelsvc.data.columns import ColumnNames, Columns, find_columns, label_names
from labelsvc.data.decoding import FailedRow, decode_batches, rows_per_batch
from labelsvc.data.pictures import find_shape
from labelsvc.data.reading import file_digest, read_batches, read_schema, row_count
from labelsvc.data.spool import spool
from labelsvc.errors import InputError, TooManyFailedError, UsageError
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.records import SILENCE, Listener, PictureShape, Progress, RowCount
from labelsvc.store import datasets, samples
from labelsvc.store.database import Store
from labelsvc.store.datasets import DatasetFile, Ingested, NewDataset
from labelsvc.store.roles import Shares
from labelsvc.store.runs import NewRun
from labelsvc.workspace import Workspace, create


@dataclass(frozen=True)
class IngestOutcome:
    """What came in."""

    run_id: str | None  # None where nothing was new
    rows: RowCount
    roles: Mapping[str, int]
    classes: tuple[str, ...]
    shape: PictureShape
    duplicates: int
    same_content_other_id: int
    next_command: str
    repeated: bool = False


@dataclass(frozen=True)
class _Source:
    """Files that make one version of a dataset."""

    role: datasets.DatasetRole
    files: tuple[Path, ...]
    columns: tuple[Columns, ...]
    classes: tuple[str, ...]
    contents: tuple[str, ...]  # the files' SHA-256
    digest: str

    @property
    def recorded(self) -> tuple[DatasetFile, ...]:
        """The files as the store keeps them."""
        parts = zip(self.files, self.contents, self.columns, strict=True)
        return tuple(DatasetFile(str(file.resolve()), sha256, asdict(names)) for file, sha256, names in parts)


def ingest(
    workspace: str | Path,
    files: Sequence[str | Path],
    *,
    test: Sequence[str | Path] = (),
    config: IngestConfig | None = None,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> IngestOutcome:
    """Read labeled, unlabeled and test rows into a workspace, which is made where it is missing.

    Args:
        workspace: the task's folder.
        files: Parquet files; a row without a label joins the pool.
        test: Parquet files whose rows only ``evaluate`` and ``report`` ever read.
        config: columns and roles.
        listener: hears what is happening.
        parent_run: the run that this is a step of.

    Raises:
        InputError: a file, a column or an id is not what it must be; the store is as it was.
        TooManyFailedError: a picture cannot be decoded; the store is as it was.
    """
    if not files and not test:
        raise UsageError("there is nothing to ingest; name at least one Parquet file")
    config = config or IngestConfig()
    place = create(Path(workspace))
    shape = datasets.picture_shape(open_store(place)) or _shape(_expanded([*files, *test]), config, listener)
    sources = [_source("train", files, config, shape), _source("test", test, config, shape)]
    sources = [source for source in sources if source.files]
    known = {source: _known(place, source) for source in sources}
    new = [source for source in sources if known[source] is None]
    run_id, taken = None, []
    if not new:
        listener.note("these very files were ingested before; their rows got their roles then, once and for all")
    if new:
        run = NewRun(
            "ingest",
            _settings(new, config),
            digest([part.digest for part in new], config),
            versions=versions(),
            parent_id=parent_run,
        )
        with recorded(place, run) as session:
            run_id, taken = session.run_id, _take(session, new, shape, config, listener)
        _warn_of_classes(session.store, taken[-1], listener)
    return _outcome([part for part in known.values() if part] + taken, run_id, shape)


def _expanded(files: Sequence[str | Path]) -> tuple[Path, ...]:
    """Return the paths that ``files`` name, patterns such as ``*.parquet`` resolved."""
    found: list[Path] = []
    for file in files:
        path = Path(file)
        paths = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
        if not paths:
            raise InputError(f"no file matches {file}")
        found += paths
    return tuple(found)


def _columns(file: Path, config: IngestConfig) -> Columns:
    wanted = ColumnNames(image=config.image_column, id=config.id_column, label=config.label_column)
    schema = read_schema(file)
    if wanted.label is None or wanted.label in schema.names:
        return find_columns(schema, wanted, where=str(file))
    # a file of the pool: another column that is called like a label is none
    return replace(find_columns(schema, replace(wanted, label=None), where=str(file)), label=None)


def _shape(files: tuple[Path, ...], config: IngestConfig, listener: Listener) -> PictureShape:
    found = find_shape(files, [_columns(file, config) for file in files])
    if found.sizes > 1:
        listener.note(f"the pictures have {found.sizes} sizes or more; all are resized to {found.shape}")
    return found.shape


def _source(
    role: datasets.DatasetRole, files: Sequence[str | Path], config: IngestConfig, shape: PictureShape
) -> _Source:
    paths = _expanded(files)
    columns = tuple(_columns(path, config) for path in paths)
    if config.label_column is not None and not any(names.label for names in columns) and paths:
        raise InputError(f"no column {config.label_column!r} in {', '.join(map(str, paths))}; see --label-column")
    declared = (label_names(read_schema(path), names.label) for path, names in zip(paths, columns, strict=True))
    classes = tuple(dict.fromkeys(name for names in declared for name in names))
    contents = tuple(file_digest(path) for path in paths)
    return _Source(role, paths, columns, classes, contents, digest(contents, *columns, shape, role))


def _known(workspace: Workspace, source: _Source) -> Ingested | None:
    """Return what the store already holds of exactly these bytes, or None."""
    if not workspace.store_path.exists():
        return None
    return datasets.find_dataset(open_store(workspace), source.digest, source.role)


def _warn_of_classes(store: Store, newest: Ingested, listener: Listener) -> None:
    """Say which classes only test rows have: nothing can learn them."""
    unseen = newest.classes[len(samples.class_names(store)) :]
    if unseen:
        listener.note(f"only test rows have the class {', '.join(unseen)}: no model will ever name it")


def _settings(sources: Sequence[_Source], config: IngestConfig) -> dict[str, Any]:
    return {**asdict(config), **{source.role: [str(file) for file in source.files] for source in sources}}


def _take(
    session: Session,
    sources: Sequence[_Source],
    shape: PictureShape,
    config: IngestConfig,
    listener: Listener,
) -> list[Ingested]:
    """Decode all sources, then write all of them to the store."""
    with tempfile.TemporaryDirectory(dir=session.folder) as spools:
        arriving = []
        for source in sources:
            rows = Path(spools) / f"{source.role}.parquet"
            failures = _decode(session.workspace, source, shape, rows=rows, listener=listener)
            if failures:
                raise TooManyFailedError(_failure_message(source, failures))
            arriving.append((rows, _dataset(source, shape, session.run_id)))
        taken = datasets.add_rows(session.store, arriving, Shares(config.validation, config.calibration))
    trim(session.workspace, int(config.cache_gb * 1e9), keep=[source.digest for source in sources])
    session.rows = _total(taken)
    session.stop_reason = "all rows read"
    session.outcome = {"datasets": [part.dataset_no for part in taken]}
    return taken


def _dataset(source: _Source, shape: PictureShape, run_id: str) -> NewDataset:
    return NewDataset(
        name=" + ".join(file.stem for file in source.files),
        files=source.recorded,
        digest=source.digest,
        role=source.role,
        shape=shape,
        run_id=run_id,
        classes=source.classes,
    )


def _decode(
    workspace: Workspace, source: _Source, shape: PictureShape, *, rows: Path, listener: Listener
) -> list[FailedRow]:
    """Decode all rows into the cache, write what else is known of each to ``rows``, return those that failed."""
    total, done = row_count(source.files), 0
    failures: list[FailedRow] = []
    batches = decode_batches(read_batches(source.files, source.columns, rows=rows_per_batch(shape)), shape)
    for batch in spool(batches, cache_folder(workspace, source.digest), rows, shape):
        failures += batch.failures
        done += len(batch.hashes) + len(batch.failures)
        listener.progress(Progress(f"ingest {source.role}", done, total))
    return failures


def _failure_message(source: _Source, failures: Sequence[FailedRow]) -> str:
    first = failures[0]
    return (
        f"{len(failures)} pictures cannot be decoded, nothing was ingested; the first is row {first.row} of "
        f"{source.files[first.file]}: {first.reason}; mend or remove these rows"
    )


def _rows(ingested: Ingested) -> RowCount:
    """Count samples: those with a given label, those without, and rows that were known already."""
    labeled = ingested.labeled + ingested.test
    return RowCount(
        given=ingested.rows,
        labeled=labeled,
        abstained=ingested.rows - labeled - ingested.duplicates_skipped,
        skipped=ingested.duplicates_skipped,
    )


def _total(parts: Sequence[Ingested]) -> RowCount:
    return sum(map(_rows, parts), start=RowCount())


def _outcome(parts: Sequence[Ingested], run_id: str | None, shape: PictureShape) -> IngestOutcome:
    roles: Counter[str] = Counter()
    for part in parts:
        roles.update(part.roles)
    return IngestOutcome(
        run_id=run_id,
        rows=_total(parts),
        roles=dict(roles),
        classes=parts[-1].classes,
        shape=shape,
        duplicates=sum(part.duplicates_skipped for part in parts),
        same_content_other_id=sum(part.same_content_other_id for part in parts),
        next_command="labelsvc train",
        repeated=run_id is None,
    )
