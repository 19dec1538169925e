"""Parts of a long work beside its target: what is done stays done, whenever the process ends.

``OUT.parts`` holds a file for each finished part, named by its place and by a digest of all that it was made from, so
that a part of other rows, of another student or of other settings is never taken for it. Each is written beside its
name and renamed; at the end they are joined in order into OUT, which is renamed too, and the folder goes.
Knows nothing of what the rows say.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.config import digest
from labelsvc.data.reading import opened
from labelsvc.data.sources import Source
from labelsvc.errors import LabelsvcError
from labelsvc.workspace import writing_to, written_beside

PART_ROWS = 65_536
PART_BYTES = 64 << 20  # of a part's answers, in memory
PART_PIXELS = 256 << 20  # decoded for a part: large pictures are slow, and a part that was not finished is lost
_PART = "_part-"  # what begins so is no input where a folder is named


@dataclass(frozen=True)
class Span:
    """Consecutive rows of one source."""

    source: int
    first: int
    rows: int


@dataclass(frozen=True)
class Part:
    """Rows whose answers lie in one file; ``key`` is a digest of all that decides these answers."""

    number: int
    spans: tuple[Span, ...]
    key: str

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(span.rows for span in self.spans)

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{_PART}{self.number:06}-{self.key[:32]}.parquet"


def rows_of_a_part(picture_bytes: int, answer_bytes: int) -> int:
    """Return how many rows a part has at most, by the bytes of a decoded picture and of an answer.

    >>> rows_of_a_part(28 * 28, 50), rows_of_a_part(224 * 224 * 3, 50)
    (65536, 1783)
    """
    return max(1, min(PART_ROWS, PART_PIXELS // picture_bytes, PART_BYTES // answer_bytes))


def divide(sources: Sequence[Source], *, rows: int) -> list[tuple[Span, ...]]:
    """Divide all rows, in order, into parts of about ``rows`` each: small files share a part, large ones have several.

    Depends on nothing but the files. A file is cut only where one of its batches begins.
    """
    parts: list[list[Span]] = []
    room = 0
    for span in _pieces(sources, rows):
        if span.rows > room:
            parts.append([])
            room = rows
        parts[-1].append(span)
        room -= span.rows
    return [tuple(spans) for spans in parts]


def _pieces(sources: Sequence[Source], rows: int) -> Iterator[Span]:
    for number, source in enumerate(sources):
        most = source.step * max(1, rows // source.step)
        for first in range(0, source.rows, most):
            yield Span(number, first, min(most, source.rows - first))


def keyed(spans: Sequence[tuple[Span, ...]], sources: Sequence[Source], made_by: str) -> list[Part]:
    """Return the parts with their keys; ``made_by`` is a digest of whatever else decides the answers."""
    parts = []
    for number, of_part in enumerate(spans):
        files = {span.source: sources[span.source] for span in of_part}
        told = [[one.name, one.identity, one.step, repr(one.columns)] for one in files.values()]
        rows = [(span.first, span.rows) for span in of_part]
        parts.append(Part(number, of_part, digest(made_by, told, rows)))
    return parts


def runs(parts: Sequence[Part]) -> Iterator[Span]:
    """Yield the rows of parts, with spans that follow one another in a file as one, to be read without a break."""
    current: Span | None = None
    for span in (span for part in parts for span in part.spans):
        if current and (current.source, current.first + current.rows) == (span.source, span.first):
            current = replace(current, rows=current.rows + span.rows)
        else:
            if current:
                yield current
            current = span
    if current:
        yield current


@contextmanager
def parts_beside(target: Path) -> Iterator[Path]:
    """Yield the folder of a target's parts, which is this process's alone until the block ends.

    Finished parts are left there, all else is removed; without any the folder goes.

    Raises:
        InputError: the place cannot be written.
        LabelsvcError: another process is at it, or there is no room.
    """
    folder = target.with_name(f"{target.name}.parts")
    with writing_to(target):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with _alone(folder / ".lock", target):
                try:
                    yield folder
                finally:
                    _sweep(folder)
        finally:
            with suppress(OSError):  # not empty
                folder.rmdir()


@contextmanager
def _alone(lock: Path, target: Path) -> Iterator[None]:
    """Hold a lock, which ends with the process however that ends."""
    with lock.open("a+") as file:
        if not _locked(file.fileno()) or not lock.exists() or lock.stat().st_ino != os.fstat(file.fileno()).st_ino:
            raise LabelsvcError(
                f"another process is writing {target}; wait for it, or name another file "
                f"(what it has done so far is in {lock.parent})"
            )
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _locked(handle: int) -> bool:
    """Lock an open file if nobody else has, and say whether."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


def _sweep(folder: Path) -> None:
    for path in folder.iterdir():
        if not path.name.startswith((_PART, ".lock")):
            path.unlink()


def discard(folder: Path, parts: Sequence[Part] = ()) -> int:
    """Remove what is in a folder of parts but these, and return how many finished parts of another work there were."""
    kept = {part.file_name for part in parts}
    others = [path for path in folder.glob(f"{_PART}*") if path.name not in kept]
    for path in others:
        path.unlink()
    return len(others)


def write_part(folder: Path, part: Part, tables: Sequence[pa.Table], told: Mapping[str, str]) -> None:
    """Write a part's rows, and what is ``told`` of them, as one row group."""
    table = pa.concat_tables(tables).replace_schema_metadata(dict(told))
    assert table.num_rows == part.rows
    path = folder / part.file_name
    with written_beside(path) as partial:
        pq.write_table(table, partial, compression="zstd", row_group_size=max(1, part.rows))


def told_of(path: Path) -> dict[str, str]:
    """Return what a Parquet file of ours tells of its rows, empty where it is none."""
    try:
        found = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return {}
    return {name.decode(): value.decode() for name, value in found.items() if name.startswith(b"labelsvc.")}


def join(folder: Path, parts: Sequence[Part], target: Path, *, schema: pa.Schema) -> None:
    """Write all parts in order to ``target``, a row group each, under ``schema`` and its metadata; then remove them."""
    partial = folder / "joined.parquet"
    with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for part in parts:
            with opened(folder / part.file_name) as parquet:
                table = parquet.read().replace_schema_metadata(schema.metadata)
            writer.write_table(table, row_group_size=max(1, part.rows))
    partial.replace(target)
    discard(folder)
