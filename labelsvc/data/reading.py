"""Rows of Parquet files in order, a bounded number of bytes at a time.

pyarrow's defaults read a whole file ahead; with the options here, a file of any size takes a few megabytes.
Knows nothing of what is in a picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from labelsvc.data.columns import Columns, is_picture_struct, label_names
from labelsvc.errors import InputError

BATCH_BYTES = 16 << 20  # large photos come in batches of fewer rows


@dataclass(frozen=True)
class SourceBatch:
    """Consecutive rows of one file, as they lie there.

    ``file`` is the position in the list of files, ``first_row`` the first row's place in that file. ``ids``
    and ``labels`` are ``None`` where the file has no such column, a label is ``None`` where the row has none.
    """

    file: int
    first_row: int
    ids: list[str] | None
    labels: list[str | None] | None
    pictures: list[bytes | None]


@dataclass(frozen=True)
class _Place:
    """Where a value lies, for messages."""

    file: Path
    column: str
    first_row: int

    def row(self, bad: pa.Array) -> str:
        """Name the first row for which ``bad`` is true."""
        return f"row {self.first_row + bad.index(True).as_py()} of {self.file}, column {self.column!r}"


def row_count(files: Sequence[Path]) -> int:
    """Return the number of rows in all files, from their footers.

    Raises:
        InputError: a file is missing or not Parquet.
    """
    total = 0
    for file in files:
        with _opened(file) as parquet:
            total += parquet.metadata.num_rows
    return total


def read_schema(file: Path) -> pa.Schema:
    """Return the columns of a Parquet file.

    Raises:
        InputError: the file is missing or not Parquet.
    """
    with _opened(file) as parquet:
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

    Labels are class names: strings as they are, Hugging Face's codes by name (a negative one is no label),
    other integers as their digits. Rows of large pictures come fewer at a time.

    Raises:
        InputError: a file is missing, not Parquet or damaged; an id is null; a label code has no name.
    """
    for number, (file, names) in enumerate(zip(files, columns, strict=True)):
        with _opened(file) as parquet:
            first_row = 0
            for table in _tables(parquet, names, rows=rows):
                yield _batch(table, names, _Place(file, names.image, first_row), number=number)
                first_row += table.num_rows


def sample_pictures(files: Sequence[Path], columns: Sequence[Columns], *, sample: int = 256) -> list[bytes]:
    """Return about ``sample`` pictures: the first of some row groups, spread over all files.

    Raises:
        InputError: a file is missing, not Parquet or damaged.
    """
    groups = [(number, group) for number, file in enumerate(files) for group in range(_group_count(file))]
    chosen = groups[:: max(1, len(groups) // 8)]
    pictures: list[bytes] = []
    for left, (number, group) in zip(range(len(chosen), 0, -1), chosen, strict=True):
        rows = -(-(sample - len(pictures)) // left)
        if rows > 0:
            first = _first_pictures(files[number], columns[number], group=group, rows=rows)
            pictures += [picture for picture in first if picture is not None]
    return pictures


def _first_pictures(file: Path, names: Columns, *, group: int, rows: int) -> list[bytes | None]:
    only_pictures = Columns(names.image, None, None)
    pictures: list[bytes | None] = []
    with _opened(file) as parquet:
        for table in _tables(parquet, only_pictures, rows=rows, groups=[group]):
            pictures += _pictures(table[names.image])
            if len(pictures) >= rows:
                break
    return pictures[:rows]


def _group_count(file: Path) -> int:
    with _opened(file) as parquet:
        return int(parquet.num_row_groups)


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, and say in the user's words what is wrong with it while it is read."""
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20, memory_map=False) as parquet:
            yield parquet
    except FileNotFoundError as error:
        raise InputError(f"there is no file {file}; check the path") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file} cannot be read as Parquet: {reason}; is it complete?") from error


def _tables(
    parquet: pq.ParquetFile, names: Columns, *, rows: int, groups: list[int] | None = None
) -> Iterator[pa.RecordBatch]:
    kind = parquet.schema_arrow.field(names.image).type
    image = f"{names.image}.bytes" if is_picture_struct(kind) else names.image
    wanted = [image, *(name for name in (names.id, names.label) if name is not None)]
    rows = min(rows, _rows_within(parquet, image))
    yield from parquet.iter_batches(batch_size=rows, columns=wanted, row_groups=groups)


def _rows_within(parquet: pq.ParquetFile, image: str) -> int:
    """Return how many rows with pictures of average size fit into a batch's bytes."""
    metadata = parquet.metadata
    leaf = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == image)
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    total = sum(group.column(leaf).total_uncompressed_size for group in groups)
    return max(1, BATCH_BYTES * int(metadata.num_rows) // max(1, int(total)))


def _batch(table: pa.RecordBatch, names: Columns, place: _Place, *, number: int) -> SourceBatch:
    ids, labels = None, None
    if names.id is not None:
        ids = _ids(table[names.id], _Place(place.file, names.id, place.first_row))
    if names.label is not None:
        classes = label_names(table.schema, names.label)
        labels = _labels(table[names.label], classes, _Place(place.file, names.label, place.first_row))
    return SourceBatch(number, place.first_row, ids, labels, _pictures(table[names.image]))


def _pictures(column: pa.Array) -> list[bytes | None]:
    if pa.types.is_struct(column.type):
        column = pc.struct_field(column, "bytes")  # null where the struct is
    pictures: list[bytes | None] = column.to_pylist()
    return pictures


def _ids(column: pa.Array, place: _Place) -> list[str]:
    if column.null_count:
        raise InputError(f"{place.row(column.is_null())}: the id is null; give each row an id, or none")
    ids: list[str] = _as_text(column).to_pylist()
    return ids


def _labels(column: pa.Array, classes: Sequence[str], place: _Place) -> list[str | None]:
    if classes:
        column = _named_codes(column, classes, place)
    elif pa.types.is_floating(column.type):
        column = _whole_numbers(column, place)
    labels: list[str | None] = _as_text(column).to_pylist()
    return labels


def _named_codes(codes: pa.Array, classes: Sequence[str], place: _Place) -> pa.Array:
    unknown = pc.fill_null(pc.greater_equal(codes, len(classes)), fill_value=False)
    if pc.any(unknown).as_py():
        raise InputError(
            f"{place.row(unknown)}: the label's code is none of the {len(classes)} classes "
            "that the file's metadata names (codes start at 0); correct the code or the metadata"
        )
    return pa.array(classes, pa.string()).take(pc.if_else(pc.less(codes, 0), None, codes))


def _whole_numbers(column: pa.Array, place: _Place) -> pa.Array:
    """Undo what pandas does to integer labels with gaps: floats, and NaN where there is none."""
    column = pc.if_else(pc.is_nan(column), None, column)
    broken = pc.fill_null(pc.not_equal(pc.floor(column), column), fill_value=False)
    if pc.any(broken).as_py():
        raise InputError(f"{place.row(broken)}: the label is not a class but a fraction; labels are names or codes")
    return column.cast(pa.int64())


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())
