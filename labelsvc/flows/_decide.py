"""labels decide: what people said of labels, brought as a file, becomes the first thing that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from labelsvc.config import digest
from labelsvc.data.reading import file_digest
from labelsvc.data.tables import read_columns
from labelsvc.errors import InputError
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.records import RowCount
from labelsvc.store import decisions
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.workspace import find

NEXT = "labelsvc distill"
NAMES = {"sample_id": "id"} | {name: name for name in ("decision", "label", "actor", "lead_time_s")}  # in the file
OPTIONAL = ("actor", "lead_time_s")


@dataclass(frozen=True)
class DecideOutcome:
    """What became of a file of decisions: how many of each kind it holds, and how many of its rows were new."""

    run_id: str
    path: str
    decisions: Mapping[str, int]
    rows: RowCount
    next_command: str = NEXT


def decide_labels(workspace: str | Path, path: str | Path, *, actor: str | None = None) -> DecideOutcome:
    """Take people's decisions from a Parquet or CSV file: id, decision, label, actor and perhaps lead_time_s.

    A decision is confirm (the label that is shown, which ``label`` may name), relabel (``label`` is the right one),
    reject or unsure. All rows are taken or none; a row that says what its sample's newest decision says, by the same
    actor, is skipped.

    Args:
        workspace: the task's folder.
        path: the file.
        actor: who decided, where the file does not say.

    Raises:
        InputError: the file cannot be read, lacks a column, or has rows that are wrong; the first three are told.
    """
    place, file = find(Path(workspace)), Path(path)
    store = open_store(place)
    said = _read(file, actor)
    _check(store, said, file)
    settings = {"file": str(file.resolve()), "actor": actor}
    run = NewRun("decide", settings, digest(settings, file_digest(file)), versions=versions())
    with recorded(place, run) as session:
        session.rows = decisions.add(store, said)
        session.stop_reason = "all decisions taken"
    counts = {one["values"]: one["counts"] for one in said["decision"].value_counts().to_pylist()}
    return DecideOutcome(session.run_id, str(file), counts, session.rows)


def _check(store: Store, said: pa.Table, file: Path) -> None:
    """Check the rows before a run begins, so that a wrong file leaves no trace."""
    try:
        decisions.check(store, said)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _read(file: Path, actor: str | None) -> pa.Table:
    """Return the rows of a file as the store takes them; an empty text is none."""
    table = read_columns(file, lambda names: _columns(file, names, actor))
    columns = {field.name: _column(file, table, NAMES[field.name], field.type) for field in decisions.SCHEMA}
    if actor is not None:
        columns["actor"] = pc.fill_null(columns["actor"], actor)
    return pa.table(columns, schema=decisions.SCHEMA)


def _columns(file: Path, names: list[str], actor: str | None) -> list[str]:
    """Return those of a file's columns that are read."""
    missing = [name for name in NAMES.values() if name not in names and name not in OPTIONAL]
    if missing:
        raise InputError(f"{file} has no column {missing[0]!r}; decisions have the columns id, decision, label, actor")
    if "actor" not in names and actor is None:
        raise InputError(f"{file} has no column 'actor'; add one, or say with --actor NAME who decided")
    return [name for name in NAMES.values() if name in names]


def _column(file: Path, table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """Return one column in the type that the store takes."""
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(len(table), kind)])
    column = table[name]
    try:
        texts = column.cast(pa.string())
        return pc.if_else(pc.equal(texts, ""), None, texts).cast(kind)
    except pa.ArrowException as error:
        raise InputError(f"{file}: the column {name!r} holds {column.type}, not {kind}: {error}") from error
