"""Files that say which label an id has: Parquet or CSV with the columns ``id`` and ``label``.

Labels are read by the rules for those beside pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelsvc.data import labels
from labelsvc.data.cells import Place
from labelsvc.data.columns import check_ids, label_names
from labelsvc.data.reading import file_digest
from labelsvc.data.tables import read_columns
from labelsvc.errors import InputError

LABEL = "label"
IDS = ("id",)


@dataclass(frozen=True)
class LabelFile:
    """What a file says: each id once, in order, its label or None, and the SHA-256 of the file."""

    ids: list[str]
    labels: list[str | None]
    digest: str


def read_labels(path: Path, missing: str | None = None, *, keys: Sequence[str] = IDS) -> LabelFile:
    """Return the ids and the class names of a file, whose ids stand in the first of the columns ``keys`` that it has.

    Raises:
        InputError: the file cannot be read, lacks a column, has an id that is null or one with two labels, or a label
            that is none.
    """
    digest = file_digest(path)
    table = read_columns(path, lambda names: _columns(names, keys, path))
    key = table.schema.names[0]
    id_column, label_column = (table[name].combine_chunks() for name in (key, LABEL))
    check_ids(id_column.type, column=f"column {key!r} of {path}")
    ids = labels.ids(id_column, Place(path, key, 0))
    names = labels.labels(
        label_column, Place(path, LABEL, 0), classes=label_names(table.schema, LABEL), missing=missing
    )
    settled = _settled(ids, names, path)
    return LabelFile(list(settled), list(settled.values()), digest)


def _columns(names: list[str], keys: Sequence[str], path: Path) -> list[str]:
    """Return the column of ids and that of labels."""
    ids = next((name for name in keys if name in names), keys[0])
    for name in (ids, LABEL):
        if names.count(name) > 1:
            raise InputError(f"{path} has more than one column called {name!r}; rename all but one")
        if name not in names:
            raise InputError(
                f"{path} has no column {name!r}; a file of labels has the columns {' or '.join(keys)} and {LABEL}, "
                f"this one has {', '.join(names) or 'none'}"
            )
    return [ids, LABEL]


def _settled(ids: Sequence[str], names: Sequence[str | None], path: Path) -> dict[str, str | None]:
    """Return the label of each id, in the order in which they come first."""
    settled: dict[str, str | None] = {}
    for one, name in zip(ids, names, strict=True):
        known = settled.setdefault(one, name)
        if known is None:
            settled[one] = name
        elif name not in (None, known):
            raise InputError(f"{path} gives {one!r} two labels, {known!r} and {name!r}; keep one of them")
    return settled
