"""The store's file: opened briefly, waited for, never mistaken for another program's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from labelsvc.errors import StoreError, StoreLockedError
from labelsvc.store import Store
from labelsvc.store.database import STORAGE_VERSION
from labelsvc.store.migrations import MIGRATIONS
from labelsvc.store.schema import fresh_ddl

HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a migrated store."""
    made = Store(tmp_path / "labels.duckdb", patience=0.3)
    with made.writing():
        pass
    return made


@contextmanager
def held(path: Path, seconds: float) -> Iterator[int]:
    """Hold the file in another process."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_fresh_store_has_every_migration(store: Store) -> None:
    """A store made from nothing records each migration once, in order."""
    with store.reading() as connection:
        rows = connection.execute("SELECT number, name FROM migration ORDER BY number").fetchall()
    assert rows == [(migration.number, migration.name) for migration in MIGRATIONS]


def test_the_published_schema_is_the_real_one() -> None:
    """schemas/store.sql equals what ``python -m labelsvc.store.schema`` prints; write it anew with that."""
    published = Path(__file__).parents[2] / "schemas" / "store.sql"
    assert published.read_text("utf-8") == fresh_ddl()


def test_older_clients_can_read_the_file(store: Store) -> None:
    """The file keeps the storage version that DuckDB 1.2 and later read, also after it was opened again."""
    with store.writing() as connection:
        connection.execute("INSERT INTO class VALUES (0, 'cat')")
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal"
        ).fetchall()
    assert rows[0][0].startswith(STORAGE_VERSION)


def test_a_failed_block_writes_nothing(store: Store) -> None:
    """All writes of a block happen, or none."""
    with pytest.raises(KeyboardInterrupt), store.writing() as connection:
        connection.execute("INSERT INTO class VALUES (0, 'cat')")
        raise KeyboardInterrupt
    with store.reading() as connection:
        assert connection.execute("SELECT * FROM class").fetchall() == []


def test_reading_cannot_write(store: Store) -> None:
    """A reading connection refuses to write."""
    with store.reading() as connection, pytest.raises(duckdb.InvalidInputException):
        connection.execute("INSERT INTO class VALUES (0, 'cat')")


def test_a_missing_store_is_told(tmp_path: Path) -> None:
    """Reading a store that is not there names the path and makes no file."""
    with pytest.raises(StoreError, match="ingest"), Store(tmp_path / "none.duckdb").reading():
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_is_completed(tmp_path: Path) -> None:
    """A file whose making was cut short before its schema is completed by the next opening."""
    path = tmp_path / "labels.duckdb"
    duckdb.connect(path).close()
    with Store(path).reading() as connection:
        assert connection.execute("SELECT count(*) FROM labels").fetchall() == [(0,)]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """A file that is no DuckDB database is refused and left as it is."""
    path = tmp_path / "labels.duckdb"
    path.write_text("dear diary " * 1000)
    store = Store(path)
    for opening in (store.reading, store.writing):
        with pytest.raises(StoreError, match="cannot be opened as a label store"), opening():
            pass
    assert path.read_text() == "dear diary " * 1000


@pytest.mark.parametrize("statement", ["CREATE TABLE accounts (a INTEGER)", "CREATE TABLE migration (version VARCHAR)"])
def test_a_database_of_another_program_is_refused(tmp_path: Path, statement: str) -> None:
    """A DuckDB file with somebody else's tables is refused, and no table is added to it."""
    path = tmp_path / "labels.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(statement)
    store = Store(path)
    for opening in (store.reading, store.writing):
        with pytest.raises(StoreError, match="another program"), opening():
            pass
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(1,)]


def test_a_newer_schema_is_refused(store: Store) -> None:
    """A store of a later version of the program is not read, let alone written."""
    with store.writing() as connection:
        connection.execute("INSERT INTO migration VALUES (999, 'future', '2040-01-01')")
    for opening in (store.reading, store.writing):
        with pytest.raises(StoreError, match=r"schema 999.*upgrade"), opening():
            pass


@pytest.mark.seconds
def test_a_lock_is_waited_for_and_its_holder_named(store: Store) -> None:
    """After the wait, the error names the process that holds the file."""
    with held(store.path, 60) as pid:
        for opening in (store.reading, store.writing):
            started = time.monotonic()
            with pytest.raises(StoreLockedError, match=rf"PID {pid}, running on this machine"), opening():
                pass
            assert time.monotonic() - started >= store.patience


@pytest.mark.seconds
def test_a_lock_that_is_released_in_time_is_no_error(store: Store) -> None:
    """A holder that ends within the wait goes unnoticed."""
    patient = Store(store.path, patience=30)
    with held(store.path, 0.5), patient.writing() as connection:
        connection.execute("INSERT INTO class VALUES (0, 'cat')")


def test_this_process_can_hold_the_lock_too(store: Store) -> None:
    """Writing while this process reads is waited for like any lock, and the error says who holds it."""
    expected = pytest.raises(StoreLockedError, match=rf"this process \(PID {os.getpid()}\)")
    with store.reading(), expected, store.writing():
        pass


@pytest.mark.parametrize("opened", ["reading", "writing"])
def test_ctrl_c_amid_a_query_is_an_interruption(tmp_path: Path, opened: str) -> None:
    """DuckDB makes a RuntimeError of these words of it, which would end a run as failed; others stay what they are."""
    store = Store(tmp_path / "labels.duckdb")
    with store.writing():
        pass
    with pytest.raises(KeyboardInterrupt), getattr(store, opened)():
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="something else"), getattr(store, opened)():
        raise RuntimeError("something else")
