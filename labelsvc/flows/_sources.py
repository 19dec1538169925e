"""What an ingest is given: the files of each role, their columns and shape, and the digest by which they are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from labelsvc.config import IngestConfig, digest
from labelsvc.data.columns import ColumnNames, Columns, find_columns, label_names, raw_note
from labelsvc.data.files import InputFile, expand
from labelsvc.data.forms import has_paths, is_picture_struct, is_text
from labelsvc.data.pictures import find_shape
from labelsvc.data.reading import file_digest, opened, read_batches, read_schema, row_count
from labelsvc.errors import InputError, UsageError
from labelsvc.records import Listener, PictureShape
from labelsvc.store.datasets import DatasetFile, DatasetRole


@dataclass(frozen=True)
class Source:
    """Files that make one version of a dataset; ``columns`` are those of each file."""

    role: DatasetRole
    files: tuple[InputFile, ...]
    columns: tuple[Columns, ...]
    classes: tuple[str, ...]  # in the order that the files declare, if they do
    rows: int

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the files lie."""
        return tuple(file.path for file in self.files)


@dataclass(frozen=True)
class Version:
    """A source with its content, and what is asked of it: of one ``digest`` there is nothing new."""

    source: Source
    contents: tuple[str, ...]  # the files' SHA-256
    digest: str

    @property
    def recorded(self) -> tuple[DatasetFile, ...]:
        """The files as the store keeps them."""
        parts = zip(self.source.paths, self.contents, self.source.columns, strict=True)
        return tuple(DatasetFile(str(path.resolve()), sha256, asdict(names)) for path, sha256, names in parts)


def find_sources(files: Sequence[str | Path], test: Sequence[str | Path], config: IngestConfig) -> tuple[Source, ...]:
    """Return what the names of files stand for, those of rows to learn from first.

    Raises:
        InputError: a file, a column or its type is not what it must be; the files of a role have no rows.
    """
    roles: tuple[tuple[DatasetRole, Sequence[str | Path]], ...] = (("train", files), ("test", test))
    found = tuple(_source(role, names, config) for role, names in roles if names)
    if config.group_column and found and not any(names.group for source in found for names in source.columns):
        raise InputError(f"no file has a column {config.group_column!r}; see --group-column")
    return found


def agree_on_shape(
    sources: Sequence[Source], known: PictureShape | None, config: IngestConfig, listener: Listener
) -> PictureShape | None:
    """Return the shape to decode to: the workspace's or, before it has one, what suits ``sources``, if there are any.

    Raises:
        UsageError: ``--size`` is not the size that the workspace has.
        InputError: no picture can be read.
    """
    if known is not None:
        if config.size not in (None, (known.height, known.width)):
            raise UsageError(f"--size is not this workspace's: it decodes all pictures to {known}; leave --size out")
        return known
    if not sources:
        return None
    paths = [path for source in sources for path in source.paths]
    found = find_shape(paths, [names for source in sources for names in source.columns], size=config.size)
    if found.sizes > 1:
        listener.note(f"the pictures have {found.sizes} sizes or more; all are resized to {found.shape}")
    return found.shape


def note_cost(sources: Sequence[Source], listener: Listener) -> None:
    """Say once what reading pictures in their form costs, where that is much."""
    for source in sources:
        for path, names in zip(source.paths, source.columns, strict=True):
            said = raw_note(read_schema(path), names)
            if said is not None:
                listener.note(f"{path}: {said}")
                return


def identify(source: Source, shape: PictureShape, *told: object) -> Version:
    """Return a source with the digest of its content and of all that decides what is stored of it.

    Raises:
        InputError: a file cannot be read.
    """
    contents = tuple(file_digest(path) for path in source.paths)
    pictures = [_pictures_digest(path, names) for path, names in zip(source.paths, source.columns, strict=True)]
    return Version(source, contents, digest(contents, pictures, *source.columns, shape, source.role, *told))


def _source(role: DatasetRole, names: Sequence[str | Path], config: IngestConfig) -> Source:
    files = expand(names)
    paths = [file.path for file in files]
    rows = row_count(paths)
    if not rows:
        raise InputError(f"there are no rows in {', '.join(map(str, paths))}; check what wrote it, or leave it out")
    columns = tuple(_columns(file, config) for file in files)
    if config.label_column is not None and not any(found.label for found in columns):
        raise InputError(f"no column {config.label_column!r} in {', '.join(map(str, paths))}; see --label-column")
    declared = (label_names(read_schema(path), found.label) for path, found in zip(paths, columns, strict=True))
    return Source(role, files, columns, tuple(dict.fromkeys(name for each in declared for name in each)), rows)


def _columns(file: InputFile, config: IngestConfig) -> Columns:
    schema = read_schema(file.path)
    there = {*schema.names, *file.partitions}
    label, group = (name if name in there else None for name in (config.label_column, config.group_column))
    wanted = ColumnNames(
        image=config.image_column,
        id=config.id_column,
        label=label,
        group=group,
        root=config.image_root,
        shape=config.shape,
        missing=config.missing_label,
    )
    found = find_columns(schema, wanted, where=str(file.path), partitions=file.partitions)
    # where a label column is named, another one that is called like a label is none: a file of the pool
    return found if config.label_column in (None, label) else replace(found, label=None)


def _pictures_digest(path: Path, names: Columns) -> str | None:
    """Return a digest of the pictures that lie beside a file: where, how large and how old; None where none may.

    The file's own digest does not see them, and reading them all only to know them again would cost a whole ingest.
    """
    if not _may_name_pictures(path, names):
        return None
    seen = hashlib.sha256()
    only = replace(names, id=None, label=None, group=None)
    for batch in read_batches([path], [only]):
        for picture in batch.pictures:
            if isinstance(picture, Path):
                seen.update(f"{picture}\0{_stamp(picture)}\n".encode(errors="surrogateescape"))
    return seen.hexdigest()


def _stamp(picture: Path) -> str:
    try:
        found = picture.stat()
    except OSError:
        return "missing"
    return f"{found.st_size} {found.st_mtime_ns}"


def _may_name_pictures(path: Path, names: Columns) -> bool:
    """Say whether a row may hold a picture's path and no bytes: always in text, in structs where bytes are null."""
    kind = read_schema(path).field(names.image).type
    if not is_picture_struct(kind):
        return is_text(kind)
    return has_paths(kind) and any(count != 0 for count in _nulls(path, f"{names.image}.bytes"))


def _nulls(path: Path, leaf: str) -> Iterator[int | None]:
    """Yield how many nulls a column has in each row group, None where the file does not say."""
    with opened(path) as parquet:
        metadata = parquet.metadata
        place = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == leaf)
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(place).statistics
            yield statistics.null_count if statistics is not None and statistics.has_null_count else None
