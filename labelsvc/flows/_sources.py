"""What an ingest is given: the files of each role, their columns and shape, and the digest by which they are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from labelsvc.config import IngestConfig, digest
from labelsvc.data.columns import ColumnNames, Columns, find_columns, label_names, raw_note
from labelsvc.data.features import check_columns
from labelsvc.data.files import InputFile, expand
from labelsvc.data.forms import has_paths, is_picture_struct, is_text
from labelsvc.data.pictures import find_shape
from labelsvc.data.profile import Found
from labelsvc.data.reading import file_digest, opened, read_batches, read_schema, row_count
from labelsvc.errors import InputError, UsageError
from labelsvc.flows._features import find_features, read_vectors
from labelsvc.records import InputShape, Listener, PictureShape, TableShape
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
    if config.split_by and found and not any(names.split_by for source in found for names in source.columns):
        raise InputError(f"no file has a column {config.split_by!r}; see --split-by")
    return found


@dataclass(frozen=True)
class Agreed:
    """The shape of all inputs and, of a table that is met for the first time, what was found of its columns."""

    shape: InputShape
    columns: tuple[Found, ...] = ()

    def applied(self, sources: Sequence[Source]) -> tuple[Source, ...]:
        """Return sources of which the columns of the shape are read."""
        if not isinstance(self.shape, TableShape):
            return tuple(sources)
        names = tuple(column.name for column in self.shape.columns)
        return tuple(
            replace(source, columns=tuple(replace(columns, features=names) for columns in source.columns))
            for source in sources
        )


def agree_on_shape(
    sources: Sequence[Source], known: InputShape | None, config: IngestConfig, listener: Listener
) -> Agreed | None:
    """Return the shape to decode to: the workspace's or, before it has one, what suits ``sources``, if there are any.

    Raises:
        UsageError: ``--size`` or ``--features`` are not those that the workspace has.
        InputError: the files hold inputs of another kind than the workspace or one another; no picture can be read, no
            column can be learnt from, or a column has another type than elsewhere.
    """
    _refuse_mixed(sources, known)
    if known is not None:
        _refuse_other(sources, known, config)
        return Agreed(known)
    if not sources:
        return None
    paths = [path for source in sources for path in source.paths]
    columns = [names for source in sources for names in source.columns]
    if columns[0].kind == "vector":
        return Agreed(read_vectors(paths, columns))
    if columns[0].kind == "table":
        found = find_features([(source.role, source.paths, source.columns) for source in sources], config)
        return Agreed(found.shape, found.columns)
    pictures = find_shape(paths, columns, size=config.size)
    if pictures.sizes > 1:
        listener.note(f"the pictures have {pictures.sizes} sizes or more; all are resized to {pictures.shape}")
    return Agreed(pictures.shape)


KINDS = {"image": "pictures", "vector": "vectors", "table": "a table"}


def _refuse_mixed(sources: Sequence[Source], known: InputShape | None) -> None:
    """Refuse files that hold another kind of input than the workspace, or than one another."""
    first: tuple[str, str] | None = None if known is None else (known.kind, "this workspace")
    for source in sources:
        for path, names in zip(source.paths, source.columns, strict=True):
            kind, holder = first = first or (names.kind, str(path))
            if names.kind != kind:
                raise InputError(
                    f"{holder} holds {KINDS[kind]}, and {path} {KINDS[names.kind]} "
                    f"({', '.join(map(repr, names.inputs[:5]))}); a workspace is for one kind of input: name the "
                    "column with --image-column, --vector-column or --features, or ingest it elsewhere (--workspace)"
                )


def _refuse_other(sources: Sequence[Source], known: InputShape, config: IngestConfig) -> None:
    """Refuse what contradicts the shape that a workspace has."""
    if isinstance(known, PictureShape) and config.size not in (None, (known.height, known.width)):
        raise UsageError(f"--size is not this workspace's: it decodes all pictures to {known}; leave --size out")
    if not isinstance(known, TableShape):
        return
    names = {column.name for column in known.columns}
    if not set(config.features) <= names or names & set(config.exclude):
        raise UsageError(
            f"the columns of this workspace were settled at its first ingest: {', '.join(sorted(names))}; "
            "leave --features and --exclude out, or ingest into another --workspace"
        )
    for source in sources:
        for path in source.paths:
            check_columns(read_schema(path), known, where=str(path))


def note_cost(sources: Sequence[Source], listener: Listener) -> None:
    """Say once what reading pictures in their form costs, where that is much."""
    for source in sources:
        for path, names in zip(source.paths, source.columns, strict=True):
            said = raw_note(read_schema(path), names)
            if said is not None:
                listener.note(f"{path}: {said}")
                return


def identify(source: Source, shape: InputShape, *told: object) -> Version:
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
    asked = (config.label_column, config.group_column, config.split_by)
    label, group, split_by = (name if name in there else None for name in asked)
    wanted = ColumnNames(
        image=config.image_column,
        id=config.id_column,
        label=label,
        group=group,
        root=config.image_root,
        shape=config.shape,
        missing=config.missing_label,
        vector=config.vector_column,
        features=config.features,
        exclude=config.exclude,
        split_by=split_by,
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
        for picture in batch.inputs:
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
    if names.image is None:
        return False
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
