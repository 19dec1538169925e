"""The steps of one ingest, in SQL, inside the caller's transaction.

``brought`` holds the labels of a labels file, ``leftover`` those of them that no row of an ingested file has met.
``incoming`` holds the spooled rows with the labels that count, ``arrived`` one row per sample id of them, and
``settled``, which ``assignment`` makes, the same with number, role and class. They are temporary tables: DuckDB
spills them to disk where memory is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from labelsvc.store.database import arrow

_BROUGHT = "CREATE OR REPLACE TEMP TABLE brought AS SELECT id AS sample_id, label, place FROM labels_file"
_MET_BEFORE = """
DELETE FROM leftover
WHERE sample_id IN (
    SELECT sample.sample_id
    FROM sample
    JOIN source_row ON source_row.sample_no = sample.sample_no
    WHERE list_contains(?, source_row.dataset_no)
)
"""
_LEFTOVER = """
WITH newest AS (
    SELECT sample_no, arg_max(class, dataset_no) AS class FROM given_label GROUP BY sample_no
)
SELECT count(*), count(*) FILTER (
    sample.sample_no IS NOT NULL AND leftover.label IS NOT NULL AND class.name IS DISTINCT FROM leftover.label
)
FROM leftover
LEFT JOIN sample ON sample.sample_id = leftover.sample_id
LEFT JOIN newest ON newest.sample_no = sample.sample_no
LEFT JOIN class ON class.class = newest.class
"""

# A label of the labels file wins over the row's own.
_INCOMING = """
CREATE OR REPLACE TEMP TABLE incoming AS
WITH spooled AS (
    SELECT file_row_number AS ordinal, position, file, row, coalesce(sample_id, content_hash) AS sample_id,
        content_hash, label, group_name, split_value
    FROM read_parquet(?, file_row_number = true)
)
SELECT spooled.* REPLACE (coalesce(brought.label, spooled.label) AS label), brought.label IS NOT NULL AS is_brought
FROM spooled
LEFT JOIN brought ON brought.sample_id = spooled.sample_id
"""
_INCOMING_LABELS = """
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT leftover.place AS ordinal, NULL::BIGINT AS position, NULL::INTEGER AS file, NULL::BIGINT AS row,
    sample.sample_id, sample.content_hash, leftover.label, NULL::VARCHAR AS group_name, NULL::DOUBLE AS split_value,
    true AS is_brought
FROM leftover
JOIN sample ON sample.sample_id = leftover.sample_id
"""

# The last label of an id counts. New ids come first, numbered in the order of their rows.
_ARRIVED = """
CREATE OR REPLACE TEMP TABLE arrived AS
WITH grouped AS (
    SELECT sample_id, min(ordinal) AS ordinal, count(*) AS rows, min(content_hash) AS content_hash,
        max(content_hash) AS other_hash, arg_max(label, ordinal) FILTER (label IS NOT NULL) AS label,
        coalesce(min(label) <> max(label), false) AS disputed,
        min(group_name) AS group_name, max(group_name) AS other_group, max(split_value) AS split_value
    FROM incoming
    GROUP BY sample_id
), met AS (
    SELECT grouped.* EXCLUDE (other_hash, other_group), sample.sample_no AS known_no, sample.role AS known_role,
        grouped.content_hash <> grouped.other_hash
            OR coalesce(sample.content_hash <> grouped.content_hash, false) AS differs,
        coalesce(grouped.group_name <> grouped.other_group, false)
            OR coalesce(sample.group_name <> grouped.group_name, false) AS regrouped
    FROM grouped
    LEFT JOIN sample ON sample.sample_id = grouped.sample_id
    ORDER BY sample.sample_no IS NOT NULL, grouped.ordinal
)
SELECT *, row_number() OVER () AS arrival FROM met
"""

_COUNTS = """
SELECT
    (SELECT count(*) FROM incoming) AS rows,
    count(*) FILTER (is_new) AS samples,
    count(*) FILTER (is_labeled AND role <> 'test') AS labeled,
    count(*) FILTER (is_new AND role = 'pool') AS pool,
    count(*) FILTER ((is_new OR is_labeled) AND role = 'test') AS test,
    count(*) FILTER (is_labeled AND (was_labeled OR disputed)) AS superseded
FROM settled
"""

# Called after the samples were written: how many of the new ones, whose numbers are the last, repeat another's content.
_SAME_CONTENT = """
WITH shared AS (
    SELECT count(*) AS ids, count(*) FILTER (sample_no >= (SELECT min(sample_no) FROM settled WHERE is_new)) AS new_ids
    FROM sample
    GROUP BY content_hash
)
SELECT coalesce(sum(least(new_ids, ids - 1)), 0)::BIGINT FROM shared
"""


@dataclass(frozen=True)
class Brought:
    """Labels that came in a file of their own; ``rows`` has each ``id`` once, and its ``label`` (null for none)."""

    uri: str
    rows: pa.Table


def bring(connection: duckdb.DuckDBPyConnection, labels: Brought | None, met: Sequence[int] = ()) -> None:
    """Take a labels file, before the rows that it speaks of; datasets that ``met`` it before are done with it."""
    rows = labels.rows if labels else pa.table({"id": pa.array([], pa.string()), "label": pa.array([], pa.string())})
    connection.register("labels_file", rows.append_column("place", pa.array(np.arange(len(rows)))))
    connection.execute(_BROUGHT)
    connection.unregister("labels_file")
    connection.execute("CREATE OR REPLACE TEMP TABLE leftover AS FROM brought")
    connection.execute(_MET_BEFORE, [list(met)])


def gather(connection: duckdb.DuckDBPyConnection, rows: Path) -> None:
    """Read the spooled rows, and meet each id with its brought label and with what the store knows of it."""
    connection.execute(_INCOMING, [str(rows)])
    connection.execute("DELETE FROM leftover WHERE sample_id IN (SELECT sample_id FROM incoming)")
    connection.execute(_ARRIVED)


def leftover(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Return how many labels no row has met, and how many of these say something new of a sample."""
    alone, new = connection.execute(_LEFTOVER).fetchall()[0]
    return int(alone), int(new)


def gather_leftover(connection: duckdb.DuckDBPyConnection) -> int:
    """Let the labels that no row has met arrive alone, and return how many of them are for ids that nobody knows."""
    connection.execute(_INCOMING_LABELS)
    connection.execute(_ARRIVED)
    unknown = "SELECT count(*) FROM leftover ANTI JOIN sample ON sample.sample_id = leftover.sample_id"
    return int(connection.execute(unknown).fetchall()[0][0])


def add_classes(connection: duckdb.DuckDBPyConnection, declared: Sequence[str]) -> None:
    """Give every new class name the next code: declared ones first, then numbers, then text."""
    known = {name for (name,) in connection.execute("SELECT name FROM class").fetchall()}
    found = connection.execute(
        "SELECT DISTINCT label FROM arrived WHERE label IS NOT NULL "
        "ORDER BY try_cast(label AS BIGINT) NULLS LAST, label"
    ).fetchall()
    names = dict.fromkeys([*declared, *(label for (label,) in found)])
    fresh = [name for name in names if name not in known]
    codes = range(len(known), len(known) + len(fresh))
    if fresh:
        connection.executemany("INSERT INTO class VALUES (?, ?)", list(zip(codes, fresh, strict=True)))


def write(connection: duckdb.DuckDBPyConnection, dataset_no: int, at: datetime) -> None:
    """Write samples, given labels and source rows."""
    connection.execute(
        "INSERT INTO sample (sample_no, sample_id, content_hash, group_name, role) "
        "SELECT sample_no, sample_id, content_hash, group_name, role FROM settled WHERE is_new"
    )
    connection.execute(
        "INSERT INTO given_label (sample_no, class, dataset_no, created_at) "
        "SELECT sample_no, class, ?, ? FROM settled WHERE is_labeled",
        [dataset_no, at],
    )
    connection.execute(
        "INSERT INTO source_row (dataset_no, sample_no, file, row, position) "
        "SELECT ?, settled.sample_no, incoming.file, incoming.row, incoming.position "
        "FROM incoming JOIN settled ON settled.sample_id = incoming.sample_id "
        "WHERE incoming.position IS NOT NULL",
        [dataset_no],
    )


def counts(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return what became of the rows, under the names of ``Ingested``; call after ``write``."""
    count: dict[str, Any] = arrow(connection, _COUNTS).to_pylist()[0]
    changed = count["labeled"] + count["pool"] + count["test"]
    roles = connection.execute("SELECT role, count(*) FROM settled WHERE is_new GROUP BY role ORDER BY role")
    return {
        **count,
        "duplicates_skipped": count["rows"] - changed,
        "roles": dict(roles.fetchall()),
        "same_content_other_id": connection.execute(_SAME_CONTENT).fetchall()[0][0],
    }
