"""Runs: who was started with what, how it ended, and the curves it left.

A run is the only thing of which a row is rewritten: its end. Knows nothing of what a run computes.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import duckdb
import pyarrow as pa

from labelsvc.records import MetricPoint, RowCount
from labelsvc.store.database import Store, is_alive, now
from labelsvc.store.identifiers import new_id, resolve

Status = Literal["running", "done", "failed", "interrupted"]

_COLUMNS = (
    "run_id, parent_id, command, status, pid, host, config, config_hash, seed, versions, device, started_at, "
    "ended_at, rows_given, rows_labeled, rows_abstained, rows_failed, rows_skipped, stop_reason, error, "
    "outcome"
)
_NEWEST_FIRST = "ORDER BY started_at DESC, run_id DESC"


@dataclass(frozen=True)
class NewRun:
    """An invocation that is about to start. ``config`` must hold no secret."""

    command: str
    config: Mapping[str, Any]
    config_hash: str
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    parent_id: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """An invocation, as far as it has come."""

    run_id: str
    parent_id: str | None
    command: str
    status: Status
    pid: int
    host: str
    config: Mapping[str, Any]
    config_hash: str
    seed: int | None
    versions: Mapping[str, str]
    device: str
    started_at: datetime  # UTC
    ended_at: datetime | None
    rows: RowCount
    stop_reason: str | None
    error: str | None
    outcome: Mapping[str, Any]


def start(store: Store, run: NewRun) -> str:
    """Record that this process starts ``run``, and return its identifier."""
    run_id = new_id()
    values = [
        run_id,
        run.parent_id,
        run.command,
        os.getpid(),
        platform.node(),
        json.dumps(dict(run.config), sort_keys=True),
        run.config_hash,
        run.seed,
        json.dumps(dict(run.versions), sort_keys=True),
        run.device,
        now(),
    ]
    with store.writing() as connection:
        connection.execute(
            f"INSERT INTO run ({_COLUMNS}) "
            "VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, 0, 0, 0, 0, NULL, NULL, '{}')",
            values,
        )
    return run_id


def finish(  # noqa: PLR0913 - a run's end is one row with this many facts
    store: Store,
    run_id: str,
    status: Status,
    rows: RowCount = RowCount(),  # noqa: B008 - frozen
    *,
    stop_reason: str | None = None,
    error: str | None = None,
    outcome: Mapping[str, Any] | None = None,
) -> None:
    """Record how a run ended: what became of its rows, why it stopped, and what came of it."""
    counted = [rows.given, rows.labeled, rows.abstained, rows.failed, rows.skipped]
    facts = json.dumps(dict(outcome or {}), sort_keys=True)
    with store.writing() as connection:
        connection.execute(
            "UPDATE run SET status = ?, ended_at = ?, rows_given = ?, rows_labeled = ?, rows_abstained = ?, "
            "rows_failed = ?, rows_skipped = ?, stop_reason = ?, error = ?, outcome = ? WHERE run_id = ?",
            [status, now(), *counted, stop_reason, error, facts, run_id],
        )


def find_done(store: Store, command: str, config_hash: str) -> RunRecord | None:
    """Return the newest run of this command and config that is done, or None."""
    if not store.path.exists():
        return None
    where = f"WHERE status = 'done' AND command = ? AND config_hash = ? {_NEWEST_FIRST} LIMIT 1"
    with store.reading() as connection:
        found = _fetch(connection, where, [command, config_hash])
    return found[0] if found else None


def find_unfinished(store: Store, command: str, config_hash: str | None = None) -> RunRecord | None:
    """Return the newest run of this command (and config) if it ended before it was done, or None.

    A run that still goes on, here or on another machine, is none.
    """
    if not store.path.exists():
        return None
    where = f"WHERE command = ? AND coalesce(config_hash = ?, true) {_NEWEST_FIRST} LIMIT 1"
    with store.reading() as connection:
        found = _fetch(connection, where, [command, config_hash])
    return found[0] if found and found[0].status in ("interrupted", "failed") else None


def reopen(store: Store, run_id: str) -> None:
    """Record that this process goes on with a run that was interrupted."""
    with store.writing() as connection:
        connection.execute(
            "UPDATE run SET status = 'running', pid = ?, host = ?, ended_at = NULL, error = NULL WHERE run_id = ?",
            [os.getpid(), platform.node(), run_id],
        )


def find_predictions(store: Store, model_id: str, shown: str) -> Mapping[str, Any] | None:
    """Return what came of the newest run that asked this model about these samples (by digest), or None."""
    where = "WHERE status = 'done' AND outcome->>'$.model' = ? AND outcome->>'$.shown' = ?"
    with store.reading() as connection:
        found = _fetch(connection, f"{where} {_NEWEST_FIRST} LIMIT 1", [model_id, shown])
    return found[0].outcome if found else None


def listing(store: Store, limit: int = 20) -> list[RunRecord]:
    """Return the newest runs, newest first; one whose process is gone is shown as interrupted."""
    with store.reading() as connection:
        return _fetch(connection, f"{_NEWEST_FIRST} LIMIT ?", [limit])


def get(store: Store, ending: str) -> RunRecord:
    """Return the run whose identifier ends so; ``latest`` is the newest.

    Raises:
        UsageError: none or several do.
    """
    with store.reading() as connection:
        rows = connection.execute("SELECT run_id FROM run ORDER BY started_at, run_id").fetchall()
        run_id = resolve([found for (found,) in rows], ending, what="run")
        return _fetch(connection, "WHERE run_id = ?", [run_id])[0]


def add_metrics(store: Store, run_id: str, points: Sequence[MetricPoint]) -> None:
    """Append those points of a run's curves that are not there yet."""
    if not points:
        return
    table = pa.Table.from_pylist([asdict(point) for point in points])
    with store.writing() as connection:
        connection.register("points", table)
        connection.execute(
            "INSERT INTO metric (run_id, round, step, name, value) SELECT ?, round, step, name, value FROM points "
            "ANTI JOIN (FROM metric WHERE run_id = ?) AS known USING (round, step, name)",
            [run_id, run_id],
        )
        connection.unregister("points")


def _fetch(connection: duckdb.DuckDBPyConnection, where: str, values: list[Any]) -> list[RunRecord]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM run {where}", values).fetchall()
    return [_seen_from_here(_record(row)) for row in rows]


def _record(row: tuple[Any, ...]) -> RunRecord:
    pairs = dict(zip(_COLUMNS.split(", "), row, strict=True))
    counted = {name.removeprefix("rows_"): pairs.pop(name) for name in list(pairs) if name.startswith("rows_")}
    for name in ("config", "versions", "outcome"):
        pairs[name] = json.loads(pairs[name])
    return RunRecord(rows=RowCount(**counted), **pairs)


def _seen_from_here(run: RunRecord) -> RunRecord:
    """Return ``run``, interrupted if it claims to run in a process of this machine that is gone."""
    if run.status == "running" and run.host == platform.node() and not is_alive(run.pid):
        return replace(run, status="interrupted")
    return run
