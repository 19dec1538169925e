"""What new rows are named by: Parquet files, folders and patterns of them, folders of pictures, here or in a store.

A folder of pictures becomes a Parquet file of their paths, so that there is one way to read rows. Knows nothing of
what is done with the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.data.columns import ColumnNames, Columns, fitting_columns
from labelsvc.data.decoding import rows_per_batch
from labelsvc.data.files import InputFile, expand, is_hidden, partitions
from labelsvc.data.packing import SUFFIXES, name_below, walk
from labelsvc.data.reading import batch_rows, opened
from labelsvc.data.remote import FoundFile, Location, Remote, below, is_remote, locate, look
from labelsvc.data.threads import in_order
from labelsvc.errors import InputError
from labelsvc.records import InputShape, PictureShape
from labelsvc.workspace import written_beside

PATH = "path"  # the column of a listing, and the name by which its rows are known
LISTED = 65_536  # rows of a listing written at a time
SURVEYORS = 8  # footers read at a time: those in a store are waited for

Entry = tuple[str, int, int]  # of a picture: path below its folder, size in bytes, time of its last change


@dataclass(frozen=True)
class PictureTree:
    """All pictures below a folder."""

    folder: Location


@dataclass(frozen=True)
class TableFile:
    """A Parquet file: where it lies, its partitions' values, its size and time of change as a text."""

    file: InputFile
    place: Location
    identity: str


@dataclass(frozen=True)
class Source:
    """Rows in a Parquet file, and how they are read: ``step`` at a time."""

    name: str
    place: Location
    columns: Columns
    rows: int
    step: int
    identity: str  # differs where the rows may

    @property
    def key(self) -> str:
        """The name by which its rows are known: a column, or ``row`` where there is none."""
        return self.columns.id or "row"


Named = PictureTree | TableFile


def find_sources(names: Sequence[str | Path]) -> tuple[Named, ...]:
    """Return what names stand for, in order; each is there.

    A folder stands for the Parquet files below it, or, where there is none, for its pictures.

    Raises:
        InputError: there is no such file, folder or object, it holds neither Parquet nor pictures, or it is one
            picture alone.
    """
    found = [one for name in names for one in (_remote(locate(str(name))) if is_remote(name) else _local(Path(name)))]
    return tuple({str(one.folder if isinstance(one, PictureTree) else one.place): one for one in found}.values())


def list_pictures(tree: PictureTree, target: Path) -> str:
    """Write the paths of all pictures below a folder as a Parquet file, sorted, and return what tells it from others.

    Raises:
        InputError: a name is no UTF-8, or the store refuses.
    """
    digest = hashlib.sha256()
    schema = pa.schema([(PATH, pa.string())])
    entries = iter(_entries(tree.folder))
    with written_beside(target) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        while some := list(islice(entries, LISTED)):
            for entry in some:
                digest.update(repr(entry).encode())
            writer.write_table(pa.table([[path for path, *_ in some]], schema=schema))
    return digest.hexdigest()


def survey(found: Sequence[Named], wanted: ColumnNames, shape: InputShape, listings: Path) -> tuple[Source, ...]:
    """Look into what was found: columns, rows, and how many to read at a time for inputs of ``shape``.

    Listings of pictures are written into the folder ``listings``.

    Raises:
        InputError: a file is damaged or has no such inputs, or the rows of two files are known by different names.
    """

    def looked_into(numbered: tuple[int, Named]) -> Source:
        number, one = numbered
        if isinstance(one, PictureTree):
            if not isinstance(shape, PictureShape):
                raise InputError(
                    f"{one.folder} is a folder of pictures, and the student takes {shape}; name Parquet files"
                )
            return _listed(one, listings / f"listing-{number:04}.parquet", shape)
        return _surveyed(one, wanted, shape)

    sources = tuple(in_order(looked_into, enumerate(found), workers=SURVEYORS, name="survey"))
    first = sources[0]
    for other in sources[1:]:
        if other.key != first.key:
            raise InputError(
                f"the rows of {first.name} are known by {first.key!r}, those of {other.name} by {other.key!r}; "
                "name one column with --id-column, or predict them one after the other"
            )
    return sources


def _local(name: Path) -> Iterable[Named]:
    if name.suffix.lower() in SUFFIXES and name.is_file():
        raise InputError(f"{name} is a single picture; name the folder that it lies in")
    if name.is_dir() and not _holds_parquet(name) and _holds_pictures(name):
        return [PictureTree(name)]
    return [_stamped(file) for file in expand([name])]


def _holds_parquet(folder: Path) -> bool:
    """Say whether ``expand`` may find files in a folder."""
    return any(not is_hidden(path.relative_to(folder).parts) for path in folder.rglob("*.parquet"))


def _holds_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in walk(folder))


def _stamped(file: InputFile) -> TableFile:
    try:
        status = file.path.stat()
    except OSError as error:
        raise InputError(f"{file.path} cannot be read: {error.strerror}; check the path") from error
    return TableFile(file, file.path, f"{status.st_size} {status.st_mtime_ns}")


def _remote(place: Remote) -> Iterable[Named]:
    if "*" in place.path:
        raise InputError(f"{place}: patterns are for local files; name the folder, or each file")
    found = look(place)
    if found is not None:
        if place.suffix.lower() in SUFFIXES:
            raise InputError(f"{place} is a single picture; name the folder that it lies in")
        return [_kept(found, place)]
    files = below(place)
    tables = [file for file in files if file.place.suffix == ".parquet" and not is_hidden(_within(file.place, place))]
    if tables:
        return [_kept(file, place) for file in tables]
    if any(file.place.suffix.lower() in SUFFIXES for file in files):
        return [PictureTree(place)]
    raise InputError(f"there is nothing to read at {place}: no such file, and no Parquet or pictures below it")


def _kept(found: FoundFile, root: Remote) -> TableFile:
    folders = _within(found.place, root)[:-1]
    identity = f"{found.bytes} {found.changed}"
    return TableFile(InputFile(Path(found.place.path), partitions(folders)), found.place, identity)


def _within(place: Remote, root: Remote) -> tuple[str, ...]:
    return tuple(place.path.removeprefix(root.path).strip("/").split("/"))


def _entries(folder: Location) -> Iterator[Entry]:
    """Yield the pictures below a folder, in order."""
    if isinstance(folder, Remote):
        for found in below(folder):
            name = "/".join(_within(found.place, folder))
            if found.place.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in name.split("/")):
                yield name, found.bytes, found.changed
        return
    for path in walk(folder):
        if path.suffix.lower() in SUFFIXES:
            yield name_below(path, folder), *_size_and_time(path)


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere fails as a row
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _listed(tree: PictureTree, listing: Path, shape: PictureShape) -> Source:
    identity = list_pictures(tree, listing)
    root = tree.folder if isinstance(tree.folder, Remote) else str(tree.folder.absolute())
    columns = Columns(PATH, PATH, None, root=root)
    rows = pq.read_metadata(listing).num_rows
    return Source(str(tree.folder), listing, columns, rows, rows_per_batch(shape), identity)


def _surveyed(found: TableFile, wanted: ColumnNames, shape: InputShape) -> Source:
    name = str(found.place)
    with opened(found.place) as parquet:
        partitions = found.file.partitions
        columns = fitting_columns(parquet.schema_arrow, wanted, shape, where=name, partitions=partitions)
        columns = replace(columns, label=None, group=None)
        step = batch_rows(parquet, columns, rows=rows_per_batch(shape))
        return Source(name, found.place, columns, int(parquet.metadata.num_rows), step, found.identity)
