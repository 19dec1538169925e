"""Opening the store: a short read or one transaction at a time, and a bounded wait for its lock.

DuckDB lets no other process in while one has the file open for writing, so nothing may hold it
while it computes. Knows the schema's number; knows nothing of what the tables mean.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from labelsvc.errors import LabelsvcError, StoreError, StoreLockedError
from labelsvc.store.migrations import MIGRATIONS, Migration

STORAGE_VERSION = "v1.2.0"  # what DuckDB clients from 1.2 on can read
OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is fetched, whatever a query names
    "autoload_known_extensions": False,
}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25  # seconds
_INTERRUPTED = "Query interrupted"
_UNWRITABLE = ("Could not write", "No space left", "File too large", "Disk quota", "Read-only file system")
_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


class Store:
    """The DuckDB file of a workspace. It is open only inside ``reading()`` and ``writing()``."""

    def __init__(self, path: Path, *, patience: float = 60.0) -> None:
        self.path = path
        self.patience = patience  # seconds to wait for a lock

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a read-only connection; other readers may be there at the same time.

        Raises:
            StoreError: there is no store, it is another program's, or newer than this one.
            StoreLockedError: somebody wrote to it for longer than we wait.
        """
        if not self.path.exists():
            raise StoreError(
                f"there is no label store at {self.path}; make one with `labelsvc ingest FILE...`, "
                "or name another workspace with --workspace"
            )
        connection = self._open(read_only=True)
        try:
            if _missing(connection, self.path):
                connection.close()
                self._migrate()
                connection = self._open(read_only=True)
            with _interruptible():
                yield connection
        finally:
            connection.close()

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection inside one transaction: all of the block's writes happen, or none.

        The file and its schema are made where they are missing.

        Raises:
            StoreError: the file is another program's, or newer than this one.
            StoreLockedError: somebody held it for longer than we wait.
            LabelsvcError: it could not be written; it is as it was.
        """
        connection = self._open(read_only=False)
        try:
            _apply(connection, _missing(connection, self.path))
            with _interruptible(), _transaction(connection):
                yield connection
        except duckdb.Error as error:
            if not any(words in str(error) for words in _UNWRITABLE):
                raise
            raise LabelsvcError(_not_written(self.path, error)) from error
        finally:
            connection.close()

    def _migrate(self) -> None:
        with self.writing():
            pass

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        started, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return _connect(self.path, read_only=read_only)
            except duckdb.Error as error:
                if not _is_lock(error):
                    raise StoreError(_not_a_store(self.path, error)) from error
                if time.monotonic() - started >= self.patience:
                    raise StoreLockedError(_locked(self.path, error, self.patience)) from error
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)


def arrow(connection: duckdb.DuckDBPyConnection, sql: str, values: object = None) -> pa.Table:
    """Return the answer to a query as an Arrow table."""
    return connection.sql(sql, params=values).to_arrow_table()


def now() -> datetime:
    """Return the time as the store writes it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def is_alive(pid: int) -> bool:
    """Return whether a process of this number runs on this machine."""
    if os.name == "nt":  # there, signal 0 is not a question
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    if read_only:
        return duckdb.connect(path, read_only=True, config=OFFLINE)
    return duckdb.connect(path, config={**OFFLINE, "storage_compatibility_version": STORAGE_VERSION})


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C amid a query be what it is elsewhere; DuckDB makes a RuntimeError of it."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != _INTERRUPTED:
            raise
        raise KeyboardInterrupt from error


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a failed commit has already rolled back
            connection.rollback()
        raise


def _apply(connection: duckdb.DuckDBPyConnection, migrations: tuple[Migration, ...]) -> None:
    if not migrations:
        return
    with _transaction(connection):
        for migration in migrations:
            connection.execute(migration.sql())
            connection.execute("INSERT INTO migration VALUES (?, ?, ?)", [migration.number, migration.name, now()])


def _missing(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[Migration, ...]:
    """Return the migrations that this file still needs.

    Raises:
        StoreError: the file is another program's, or newer than this one.
    """
    tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    if not tables:
        return MIGRATIONS
    applied = _applied(connection) if ("migration",) in tables else []
    known = [(migration.number, migration.name) for migration in MIGRATIONS]
    shared = min(len(applied), len(known))
    if not applied or applied[:shared] != known[:shared]:
        raise StoreError(
            f"{path} is a DuckDB file of another program (its tables are not ours), and was left as it is; "
            "name another workspace with --workspace"
        )
    if len(applied) > len(known):
        raise StoreError(
            f"{path} has schema {applied[-1][0]}, and this labelsvc knows only up to {known[-1][0]}; "
            "upgrade labelsvc, or name another workspace with --workspace"
        )
    return MIGRATIONS[shared:]


def _applied(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    try:
        return connection.execute("SELECT number, name FROM migration ORDER BY number").fetchall()
    except duckdb.BinderException:  # a table of that name, with other columns
        return []


def _is_lock(error: duckdb.Error) -> bool:
    said = str(error)
    return (
        "Could not set lock" in said
        or "being used by another process" in said
        or "different configuration than existing connections" in said  # this very process has it open
    )


def _locked(path: Path, error: duckdb.Error, patience: float) -> str:
    found = _HOLDER.search(str(error))
    if found is None:
        holder, advice = f"this process (PID {os.getpid()})", "close it there"
        if "different configuration" not in str(error):
            holder, advice = "another process", "end that process"
    else:
        pid, program = int(found["pid"]), Path(found["program"]).name
        here = "running on this machine" if is_alive(pid) else "not on this machine"
        holder, advice = f"{program} (PID {pid}, {here})", f"end it if it hangs (PID {pid})"
    return (
        f"{path} is held by {holder} and was not free after {patience:g} seconds; "
        f"wait until it is done, or {advice}, then run the command again"
    )


def _not_written(path: Path, error: duckdb.Error) -> str:
    return (
        f"{path} cannot be written ({_first_line(error)}); it is as it was: "
        "make room on its disk, or see to its permissions, and run the command again"
    )


def _first_line(error: duckdb.Error) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _not_a_store(path: Path, error: duckdb.Error) -> str:
    if "Permission denied" in str(error) or "Read-only file system" in str(error):
        return f"{path} or its folder is read-only for you ({_first_line(error)}); name another workspace"
    return (
        f"{path} cannot be opened as a label store ({_first_line(error)}); it was left as it is: "
        "move it away or restore it from a copy, or name another workspace with --workspace"
    )
