"""What the columns of ingested tables and vectors are: found in rows to learn from, never in those of test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa

from labelsvc.config import IngestConfig
from labelsvc.data.columns import Columns
from labelsvc.data.features import kind_of
from labelsvc.data.profile import Found, Slice, TableFound, find_table, find_vectors
from labelsvc.data.reading import read_batches, read_schema
from labelsvc.errors import InputError
from labelsvc.records import VectorShape

ROWS = 65_536  # read at a time
BATCHES_OF_VECTORS = 16  # of up to a thousand rows, from which vectors are known

Files = tuple[str, Sequence[Path], Sequence[Columns]]  # of a role: train or test


def read_vectors(paths: Sequence[Path], columns: Sequence[Columns]) -> VectorShape:
    """Return the shape of the vectors in files, from the first of their rows.

    Raises:
        InputError: there is no vector, or a file cannot be read.
    """
    batches = islice(read_batches(paths, [_only_inputs(names) for names in columns], rows=1000), BATCHES_OF_VECTORS)
    return find_vectors((_of(batch.inputs).column(0) for batch in batches), where=str(paths[0]))


def find_features(files: Sequence[Files], config: IngestConfig) -> TableFound:
    """Return what the columns of tables are, by all rows to learn from; test rows only tell which columns they have.

    Raises:
        InputError: no column is left, two files have a column in types that do not go together, the label is a
            quantity, or there are test rows alone.
    """
    learnt = [
        (path, names) for role, paths, each in files if role != "test" for path, names in zip(paths, each, strict=True)
    ]
    if not learnt:
        raise InputError(
            "the columns of a table are found in rows to learn from, and there are test rows alone; ingest both"
        )
    everywhere = [(path, names) for _, paths, each in files for path, names in zip(paths, each, strict=True)]
    schemas = {path: read_schema(path) for path, _ in everywhere}
    _refuse_two_types(everywhere, schemas)
    there = {path: set(schema.names) for path, schema in schemas.items()}
    shared = [name for name in learnt[0][1].features if all(name in names for names in there.values())]
    paths = [path for path, _ in learnt]
    columns = [replace(names, features=tuple(shared)) for _, names in learnt]
    where = ", ".join(map(str, paths))
    found = find_table(_slices(paths, columns), named=config.features, where=where)
    anywhere = dict.fromkeys(name for _, names in everywhere for name in names.features)
    lacking = {name: path for path, names in there.items() for name in anywhere if name not in names}
    return replace(
        found,
        columns=(*found.columns, *(Found(name, None, "", 0, f"is not in {path}") for name, path in lacking.items())),
    )


def _slices(paths: Sequence[Path], columns: Sequence[Columns]) -> Iterator[Slice]:
    for batch in read_batches(paths, columns, rows=ROWS):
        yield Slice(_of(batch.inputs), batch.labels)


def _of(inputs: object) -> pa.RecordBatch:
    assert isinstance(inputs, pa.RecordBatch)
    return inputs


def _only_inputs(names: Columns) -> Columns:
    return replace(names, id=None, label=None, group=None)


def _refuse_two_types(files: Sequence[tuple[Path, Columns]], schemas: Mapping[Path, pa.Schema]) -> None:
    """Refuse a column that is a number in one file and a text in another."""
    first: dict[str, tuple[Path, pa.DataType]] = {}
    for path, names in files:
        for name in names.features:
            kind = schemas[path].field(name).type
            if pa.types.is_null(kind):
                continue
            other, known = first.setdefault(name, (path, kind))
            if _family(kind) != _family(known):
                raise InputError(
                    f"column {name!r} is {known} in {other} and {kind} in {path}; write it in one type, or leave it "
                    f"out with --exclude {name}"
                )


def _family(kind: pa.DataType) -> str | None:
    """Return what a type is to a model; booleans go with numbers."""
    found = kind_of(kind)
    return "number" if found == "boolean" else found
