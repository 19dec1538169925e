"""Rows of Parquet files in order, a bounded number of bytes at a time.

pyarrow's defaults read a whole file ahead; with the options here, a file of any size takes a few megabytes.
Knows nothing of what is in a picture or a column.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelsvc.data import forms, labels
from labelsvc.data.cells import Cell, Picture, Place, pictures
from labelsvc.data.columns import Columns, label_names
from labelsvc.data.features import in_order
from labelsvc.data.remote import Location, Remote, reaching
from labelsvc.errors import InputError, PictureError

BATCH_BYTES = 16 << 20  # large photos come in batches of fewer rows
REMOTE_BYTES = 8 << 20  # asked of an object store at a time
COST_OF_LISTS = 4  # times the size of raw pixels, while Parquet's lists are put together


@dataclass(frozen=True)
class SourceBatch:
    """Consecutive rows of one file, as they lie there.

    ``file`` is the position in the list of files, ``first_row`` the first row's place in that file. ``ids``,
    ``labels`` and ``groups`` are ``None`` where the file has no such column, a label or a group is ``None`` where the
    row has none; an id is ``None`` where it is null.
    """

    file: int
    first_row: int
    ids: list[str | None] | None
    labels: list[str | None] | None
    inputs: Sequence[Cell] | pa.RecordBatch  # pictures; or the columns of vectors or features
    groups: list[str | None] | None = None
    order: NDArray[np.float64] | None = None  # of the column that rows are split by, NaN where it is null


def row_count(files: Sequence[Path]) -> int:
    """Return the number of rows in all files, from their footers.

    Raises:
        InputError: a file is missing or not Parquet.
    """
    total = 0
    for file in files:
        with opened(file) as parquet:
            total += parquet.metadata.num_rows
    return total


def read_schema(file: Location) -> pa.Schema:
    """Return the columns of a Parquet file.

    Raises:
        InputError: the file is missing or not Parquet.
    """
    with opened(file) as parquet:
        return parquet.schema_arrow


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from error


def read_batches(files: Sequence[Path], columns: Sequence[Columns], *, rows: int = 512) -> Iterator[SourceBatch]:
    """Yield all rows of ``files`` in order, at most ``rows`` at a time; ``columns`` are those of each file.

    Labels are class names, as ``labels`` tells; what stands in the folders of a file is alike for all of its rows.
    Rows of large pictures come fewer at a time. Paths of pictures are checked, not opened.

    Raises:
        InputError: a file is missing, not Parquet or damaged; an id is null; a label is none; a picture's path leads
            outside its root.
    """
    for number, (file, names) in enumerate(zip(files, columns, strict=True)):
        with opened(file) as parquet:
            first_row = 0
            for table in _tables(parquet, names, rows=rows):
                place = Place(file, names.inputs[0], first_row)
                yield _without_fault(_batch(table, names, place, number=number), names, place)
                first_row += table.num_rows


def _without_fault(batch: SourceBatch, names: Columns, place: Place) -> SourceBatch:
    """Return a batch in which every row has an id, where the file has ids, and no path leads outside.

    Raises:
        InputError: the first row that is not so.
    """
    if names.id and batch.ids and None in batch.ids:
        raise InputError(f"{replace(place, column=names.id).at(batch.ids.index(None))}: {labels.NO_ID}")
    for picture in batch.inputs if isinstance(batch.inputs, list) else ():
        if isinstance(picture, PictureError):
            raise picture
    return batch


def batch_rows(parquet: pq.ParquetFile, names: Columns, *, rows: int) -> int:
    """Return how many rows of an opened file to read at a time: at most ``rows``, fewer where inputs are large."""
    return max(1, min(rows, BATCH_BYTES // sum(_row_bytes(parquet, name) for name in names.inputs)))


def read_span(
    file: Location, names: Columns, *, first: int, count: int, rows: int, number: int = 0
) -> Iterator[SourceBatch]:
    """Yield ``count`` rows of a file from row ``first`` on, exactly ``rows`` at a time but for the last batch.

    Where a batch begins depends on ``first`` and ``rows`` alone, and not on the file's row groups; rows before
    ``first`` are read no further back than to where its row group begins. A row without an id, or whose picture may
    not be read, is handed on as it is, to fail alone.

    Raises:
        InputError: the file is missing, not Parquet or damaged.
    """
    with opened(file) as parquet:
        group, group_first = _group_of(parquet, first)
        tables = _tables(parquet, names, rows=rows, groups=[*range(group, parquet.num_row_groups)])
        for table in islice(_cut(tables, skip=first - group_first, rows=rows), -(-count // rows)):
            yield _batch(table, names, Place(file, names.inputs[0], first), number=number)
            first += table.num_rows


def _group_of(parquet: pq.ParquetFile, row: int) -> tuple[int, int]:
    """Return the row group that holds a row, and the first row of that group."""
    first = 0
    for group in range(parquet.num_row_groups):
        after = first + parquet.metadata.row_group(group).num_rows
        if row < after:
            return group, first
        first = after
    return parquet.num_row_groups, first


def _cut(tables: Iterable[pa.RecordBatch], *, skip: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows after the first ``skip``, ``rows`` at a time, copied only where they lie in several tables."""
    pieces: list[pa.RecordBatch] = []
    missing = rows
    for table in tables:
        skipped = min(skip, table.num_rows)
        rest, skip = table.slice(skipped), skip - skipped
        while rest.num_rows >= missing:
            yield _joined([*pieces, rest.slice(0, missing)])
            rest, pieces, missing = rest.slice(missing), [], rows
        if rest.num_rows:
            pieces.append(rest)
            missing -= rest.num_rows
    if pieces:
        yield _joined(pieces)


def _joined(pieces: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)


def sample_pictures(
    files: Sequence[Path], columns: Sequence[Columns], *, sample: int = 256
) -> list[Picture | PictureError]:
    """Return about ``sample`` pictures: the first of some row groups, spread over all files.

    Raises:
        InputError: a file is missing, not Parquet or damaged.
    """
    groups = [(number, group) for number, file in enumerate(files) for group in range(_group_count(file))]
    chosen = groups[:: max(1, len(groups) // 8)]
    found: list[Picture | PictureError] = []
    for left, (number, group) in zip(range(len(chosen), 0, -1), chosen, strict=True):
        rows = -(-(sample - len(found)) // left)
        if rows > 0:
            first = _first_pictures(files[number], columns[number], group=group, rows=rows)
            found += [picture for picture in first if picture is not None]
    return found


def _first_pictures(file: Path, names: Columns, *, group: int, rows: int) -> list[Cell]:
    assert names.image is not None
    only_pictures = replace(names, id=None, label=None, group=None)
    found: list[Cell] = []
    with opened(file) as parquet:
        first_row = sum(parquet.metadata.row_group(before).num_rows for before in range(group))
        for table in _tables(parquet, only_pictures, rows=rows, groups=[group]):
            found += pictures(table[names.image], names, Place(file, names.image, first_row + len(found)))
            if len(found) >= rows:
                break
    return found[:rows]


def _group_count(file: Path) -> int:
    with opened(file) as parquet:
        return int(parquet.num_row_groups)


@contextmanager
def opened(file: Location) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, and say in the user's words what is wrong with it while it is read.

    Raises:
        InputError: there is no such file, or it is not Parquet or damaged.
    """
    if isinstance(file, Remote):
        with _opened_remote(file) as parquet:
            yield parquet
        return
    if file.is_dir():
        raise InputError(f"{file} is a folder, and a Parquet file is wanted; name one of its files")
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20, memory_map=False) as parquet:
            yield parquet
    except FileNotFoundError as error:
        raise InputError(f"there is no file {file}; check the path") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{file} cannot be read as Parquet: {reason}; is it complete?") from error


@contextmanager
def _opened_remote(file: Remote) -> Iterator[pq.ParquetFile]:
    with reaching(file):
        try:
            with (
                file.system.open_input_file(file.path) as stream,
                pq.ParquetFile(stream, pre_buffer=False, buffer_size=REMOTE_BYTES) as parquet,
            ):
                yield parquet
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise InputError(f"{file} cannot be read as Parquet: {reason}; is it complete?") from error


def _tables(
    parquet: pq.ParquetFile, names: Columns, *, rows: int, groups: list[int] | None = None
) -> Iterator[pa.RecordBatch]:
    parts = [*names.inputs]
    if names.image is not None and forms.is_picture_struct(kind := parquet.schema_arrow.field(names.image).type):
        parts = [f"{names.image}.bytes", *([f"{names.image}.path"] if forms.has_paths(kind) else [])]
    others = (
        name for name in (names.id, names.label, names.group, names.split_by) if name and name not in names.partitions
    )
    rows = batch_rows(parquet, names, rows=rows)
    yield from parquet.iter_batches(batch_size=rows, columns=[*dict.fromkeys([*parts, *others])], row_groups=groups)


def _row_bytes(parquet: pq.ParquetFile, column: str) -> int:
    """Return what a column of an average row takes while it is read."""
    kind = parquet.schema_arrow.field(column).type
    if forms.is_list_of_pixels(kind):
        return COST_OF_LISTS * math.prod(forms.raw_sides(kind) or ())
    metadata = parquet.metadata
    paths = (metadata.schema.column(leaf).path for leaf in range(metadata.num_columns))
    leaves = [leaf for leaf, path in enumerate(paths) if path == column or path.startswith(f"{column}.")]
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    total = sum(group.column(leaf).total_uncompressed_size for group in groups for leaf in leaves)
    return max(1, int(total) // max(1, int(metadata.num_rows)))


def _batch(table: pa.RecordBatch, names: Columns, place: Place, *, number: int) -> SourceBatch:
    ids, classes, groups = (_column(table, name, names, place) for name in (names.id, names.label, names.group))
    declared = label_names(table.schema, names.label)
    is_picture = names.image is not None
    return SourceBatch(
        file=number,
        first_row=place.first_row,
        ids=labels.ids_as_they_are(ids[0]) if ids else None,
        labels=labels.labels(*classes, classes=declared, missing=names.missing) if classes else None,
        groups=labels.groups(*groups) if groups else None,
        order=in_order(table[names.split_by]) if names.split_by else None,
        inputs=pictures(table[names.image], names, place) if is_picture else table.select(list(names.inputs)),
    )


def _column(table: pa.RecordBatch, name: str | None, names: Columns, place: Place) -> tuple[pa.Array, Place] | None:
    """Return a column and where it lies; one that stands in the file's folders has the same text in all rows."""
    if name is None:
        return None
    if name in names.partitions:
        return pa.array([names.partitions[name]] * table.num_rows, pa.string()), replace(place, column=name)
    return table[name], replace(place, column=name)
