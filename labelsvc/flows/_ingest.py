"""ingest: Parquet files become samples with roles in the store, and decoded inputs in the cache.

One pass reads, hashes and decodes; what it finds of each row is spooled to a Parquet file of its own, from which the
store takes it in one transaction, so that memory stays bounded and a failure leaves the store as it was.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from labelsvc.config import IngestConfig, digest, parse_tolerance
from labelsvc.data.cache import cache_folder, trim
from labelsvc.data.decoding import decode_batches, rows_per_batch
from labelsvc.data.label_files import read_labels
from labelsvc.data.profile import Found
from labelsvc.data.reading import read_batches
from labelsvc.data.spool import spool
from labelsvc.errors import InputError, UsageError
from labelsvc.flows._failed import FailedRows
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.flows._sources import Source, Version, agree_on_shape, find_sources, identify, note_cost
from labelsvc.records import SILENCE, InputShape, Listener, PictureShape, Progress, RowCount
from labelsvc.store import datasets, samples
from labelsvc.store.database import Store
from labelsvc.store.datasets import Arrived, Brought, Ingested, LabelsFile, NewDataset
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
    shape: InputShape
    duplicates: int
    same_content_other_id: int
    next_command: str
    repeated: bool = False
    failed: str | None = None  # the file of rows that could not be decoded, where there are any
    columns: tuple[Found, ...] = ()  # of a table that was met for the first time, what was made of each


@dataclass(frozen=True)
class _Labels:
    """A labels file."""

    brought: Brought
    digest: str


@dataclass(frozen=True)
class _Plan:
    """What is to be done: ``new`` versions, beside ``known`` ones that the store has already."""

    config: IngestConfig
    shape: InputShape
    new: tuple[Version, ...]
    known: tuple[Ingested, ...]
    labels: _Labels | None
    columns: tuple[Found, ...]

    @property
    def met(self) -> tuple[int, ...]:
        """The datasets that were ingested with this labels file before."""
        return tuple(part.dataset_no for part in self.known)

    @property
    def rows(self) -> int:
        """How many rows the new versions have."""
        return sum(version.source.rows for version in self.new)


def ingest(
    workspace: str | Path,
    files: Sequence[str | Path] = (),
    *,
    test: Sequence[str | Path] = (),
    config: IngestConfig | None = None,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> IngestOutcome:
    """Read labeled, unlabeled and test rows into a workspace, which is made where it is missing.

    Args:
        workspace: the task's folder.
        files: Parquet files, folders of them or patterns; a row without a label joins the pool.
        test: the same, whose rows only ``evaluate`` and ``report`` ever read.
        config: columns, roles and labels; with a labels file, there may be no files.
        listener: hears what is happening, and what deserves a look.
        parent_run: the run that this is a step of.

    Raises:
        UsageError: the config contradicts itself or the workspace.
        InputError: a file, a column, a label or an id is not what it must be; the store is as it was.
        TooManyFailedError: more inputs cannot be decoded than allowed; the store is as it was.
    """
    config = config or IngestConfig()
    _check(config)
    if not files and not test and config.labels is None:
        raise UsageError("there is nothing to ingest; name at least one Parquet file")
    labels = _labels(config)
    sources = find_sources(files, test, config)
    place = create(Path(workspace))
    plan = _plan(open_store(place), sources, labels, config, listener)
    unchanged = _unchanged(open_store(place), plan)
    if unchanged is not None:
        before = "these very files were ingested before; their rows got their roles then, once and for all"
        listener.note(before if sources else f"{config.labels} says nothing that the workspace does not know")
        return unchanged
    note_cost(sources, listener)
    run = NewRun("ingest", _settings(sources, config), _identity(plan), versions=versions(), parent_id=parent_run)
    with recorded(place, run) as session:
        arrived, failed = _take(session, plan, listener)
    for finding in (*failed.found(plan.rows), *arrived.findings):
        listener.note(finding)
    parts = [*plan.known, *arrived.datasets]
    outcome = _outcome(parts, plan.shape, parts[-1].classes)
    failures = str(failed.target) if failed.count else None
    return replace(outcome, run_id=session.run_id, failed=failures, columns=plan.columns)


def _check(config: IngestConfig) -> None:
    """Refuse what is wrong whatever the files hold, before any work."""
    Shares(config.validation, config.calibration)
    parse_tolerance(config.max_failed, 1)
    twice = [name for name, count in Counter(config.classes).items() if count > 1]
    if twice:
        raise UsageError(f"--classes names {twice[0]!r} twice")


def _labels(config: IngestConfig) -> _Labels | None:
    if config.labels is None:
        return None
    path = Path(config.labels)
    said = read_labels(path, config.missing_label)
    rows = pa.table({"id": pa.array(said.ids, pa.string()), "label": pa.array(said.labels, pa.string())})
    return _Labels(Brought(str(path.resolve()), rows), said.digest)


def _plan(
    store: Store, sources: Sequence[Source], labels: _Labels | None, config: IngestConfig, listener: Listener
) -> _Plan:
    agreed = agree_on_shape(sources, datasets.input_shape(store), config, listener)
    if agreed is None:
        raise InputError("there are no samples yet to which labels could belong; ingest their inputs, too")
    shape, told = agreed.shape, (labels.digest if labels else None, config.classes)
    found = [identify(source, shape, *told) for source in agreed.applied(sources)]
    known = [datasets.find_dataset(store, version.digest, version.source.role) for version in found]
    new = tuple(version for version, before in zip(found, known, strict=True) if before is None)
    return _Plan(config, shape, new, tuple(filter(None, known)), labels, agreed.columns)


def _unchanged(store: Store, plan: _Plan) -> IngestOutcome | None:
    """Return what there is to say where no file is new and a labels file says nothing new, either."""
    if plan.new:
        return None
    alone, new = datasets.meet_labels(store, plan.labels.brought, plan.met) if plan.labels else (0, 0)
    if new:
        return None
    outcome = _outcome(plan.known, plan.shape, samples.class_names(store))
    return replace(outcome, rows=outcome.rows + RowCount(given=alone, skipped=alone), repeated=True)


def _identity(plan: _Plan) -> str:
    labels = plan.labels.digest if plan.labels else None
    return digest([version.digest for version in plan.new], labels, plan.config)


def _settings(sources: Sequence[Source], config: IngestConfig) -> dict[str, Any]:
    return {**asdict(config), **{source.role: [str(path) for path in source.paths] for source in sources}}


def _take(session: Session, plan: _Plan, listener: Listener) -> tuple[Arrived, FailedRows]:
    """Decode all that is new, then write all of it to the store."""
    config = plan.config
    with _all_or_nothing(session.workspace, plan.new), tempfile.TemporaryDirectory(dir=session.folder) as spools:
        fate = "pictures cannot be decoded" if isinstance(plan.shape, PictureShape) else "rows cannot be read"
        with FailedRows(session.folder / "failed.parquet", fate) as failed:
            arriving = [
                _decoded(session, plan, version, Path(spools), failed=failed, listener=listener) for version in plan.new
            ]
        failed.check(parse_tolerance(config.max_failed, plan.rows), plan.rows)
        shares = Shares(config.validation, config.calibration)
        arrived = datasets.add_rows(session.store, arriving, shares, _labels_file(plan, session.run_id))
    trim(session.workspace, int(config.cache_gb * 1e9), keep=[version.digest for version in plan.new])
    session.rows = _total(arrived.datasets)
    session.stop_reason = "all rows read"
    columns = [asdict(column) for column in plan.columns]
    session.outcome = {"datasets": [part.dataset_no for part in arrived.datasets], "columns": columns}
    return arrived, failed


@contextmanager
def _all_or_nothing(workspace: Workspace, versions: Sequence[Version]) -> Iterator[None]:
    """Leave no cache behind of what did not reach the store."""
    try:
        yield
    except BaseException:
        for version in versions:
            shutil.rmtree(cache_folder(workspace, version.digest), ignore_errors=True)
        raise


def _decoded(
    session: Session, plan: _Plan, version: Version, spools: Path, *, failed: FailedRows, listener: Listener
) -> tuple[Path, NewDataset]:
    """Decode a version into the cache, and return the file of what else is known of its rows, and its dataset."""
    source, rows = version.source, spools / f"{version.source.role}.parquet"
    done, failed_before = 0, failed.count
    batches = decode_batches(read_batches(source.paths, source.columns, rows=rows_per_batch(plan.shape)), plan.shape)
    for batch in spool(batches, cache_folder(session.workspace, version.digest), rows, plan.shape):
        failed.add(batch.failures, source.paths)
        done += len(batch.hashes) + len(batch.failures)
        listener.progress(Progress(f"ingest {source.role}", done, source.rows))
    return rows, replace(_dataset(version, plan, session.run_id), failed=failed.count - failed_before)


def _dataset(version: Version, plan: _Plan, run_id: str) -> NewDataset:
    return NewDataset(
        name=" + ".join(path.stem for path in version.source.paths),
        files=version.recorded,
        digest=version.digest,
        role=version.source.role,
        shape=plan.shape,
        run_id=run_id,
        classes=plan.config.classes or version.source.classes,
        is_closed=bool(plan.config.classes),
        labels_uri=plan.labels.brought.uri if plan.labels else None,
    )


def _labels_file(plan: _Plan, run_id: str) -> LabelsFile | None:
    if plan.labels is None:
        return None
    uri, classes = plan.labels.brought.uri, plan.config.classes
    alone = NewDataset(
        name=Path(uri).stem,
        files=(),
        digest=digest(plan.labels.digest, classes),
        role="train",
        shape=None,
        run_id=run_id,
        classes=classes,
        is_closed=bool(classes),
        labels_uri=uri,
    )
    return LabelsFile(plan.labels.brought, alone, plan.met)


def _rows(ingested: Ingested) -> RowCount:
    """Count samples with a given label and those without; rows and labels that said nothing new were skipped."""
    labeled = ingested.labeled + ingested.test
    return RowCount(
        given=ingested.rows + ingested.failed + ingested.unknown,
        labeled=labeled,
        abstained=ingested.rows - labeled - ingested.duplicates_skipped,
        failed=ingested.failed,
        skipped=ingested.duplicates_skipped + ingested.unknown,
    )


def _total(parts: Sequence[Ingested]) -> RowCount:
    return sum(map(_rows, parts), start=RowCount())


def _outcome(parts: Sequence[Ingested], shape: InputShape, classes: tuple[str, ...]) -> IngestOutcome:
    roles: Counter[str] = Counter()
    for part in parts:
        roles.update(part.roles)
    return IngestOutcome(
        run_id=None,
        rows=_total(parts),
        roles=dict(roles),
        classes=parts[-1].classes if parts else classes,
        shape=shape,
        duplicates=sum(part.duplicates_skipped for part in parts),
        same_content_other_id=sum(part.same_content_other_id for part in parts),
        next_command="labelsvc train",
    )
