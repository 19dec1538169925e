"""The steps of one ingest, in SQL, inside the caller's transaction.

``incoming`` holds the spooled rows, ``arrived`` one row per sample id of them, ``settled`` the same with
number, role and class. They are temporary tables: DuckDB spills them to disk where memory is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from labelsvc.errors import InputError
from labelsvc.store.database import arrow
from labelsvc.store.roles import Shares, quotas

_NAMED = 3  # ids in an error message

_INCOMING = """
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT file_row_number AS ordinal, position, file, row, coalesce(sample_id, content_hash) AS sample_id,
    content_hash, label
FROM read_parquet(?, file_row_number = true)
"""

# The last label of an id counts.
_ARRIVED = """
CREATE OR REPLACE TEMP TABLE arrived AS
WITH grouped AS (
    SELECT sample_id, min(ordinal) AS ordinal, min(content_hash) AS content_hash,
        max(content_hash) AS other_hash, arg_max(label, ordinal) FILTER (label IS NOT NULL) AS label,
        coalesce(min(label) <> max(label), false) AS disputed
    FROM incoming
    GROUP BY sample_id
)
SELECT grouped.*, sample.sample_no AS known_no, sample.role AS known_role,
    grouped.content_hash <> grouped.other_hash
        OR coalesce(sample.content_hash <> grouped.content_hash, false) AS differs
FROM grouped
LEFT JOIN sample ON sample.sample_id = grouped.sample_id
"""

_SETTLED = """
CREATE OR REPLACE TEMP TABLE settled AS
WITH newest AS (
    SELECT sample_no, arg_max(class, dataset_no) AS class FROM given_label GROUP BY sample_no
), ranked AS (
    SELECT arrived.*, class.class,
        row_number() OVER (PARTITION BY known_no IS NULL ORDER BY ordinal) AS arrival,
        row_number() OVER (
            PARTITION BY known_no IS NULL, class.class ORDER BY content_hash, sample_id
        ) AS place
    FROM arrived
    LEFT JOIN class ON class.name = arrived.label
)
SELECT ranked.sample_id, ranked.ordinal, ranked.content_hash, ranked.class, ranked.disputed,
    ranked.known_no IS NULL AS is_new,
    coalesce(
        ranked.known_no, ranked.arrival + (SELECT coalesce(max(sample_no), -1) FROM sample)
    ) AS sample_no,
    CASE
        WHEN ranked.known_no IS NOT NULL THEN ranked.known_role
        WHEN $role = 'test' THEN 'test'
        WHEN ranked.class IS NULL THEN 'pool'
        WHEN ranked.place <= quota.validation THEN 'validation'
        WHEN ranked.place <= quota.validation + quota.calibration THEN 'calibration'
        ELSE 'train'
    END AS role,
    ranked.class IS NOT NULL AND newest.class IS DISTINCT FROM ranked.class AS is_labeled,
    newest.class IS NOT NULL AS was_labeled
FROM ranked
LEFT JOIN newest ON newest.sample_no = ranked.known_no
LEFT JOIN quota ON quota.class = ranked.class
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

# Called after the samples were written: how many of the new ones repeat the content of another id.
_SAME_CONTENT = """
WITH shared AS (
    SELECT sample.content_hash, count(*) FILTER (settled.is_new) AS new_ids, count(*) AS ids
    FROM sample
    LEFT JOIN settled ON settled.sample_no = sample.sample_no
    WHERE sample.content_hash IN (SELECT content_hash FROM settled WHERE is_new)
    GROUP BY sample.content_hash
)
SELECT coalesce(sum(least(new_ids, ids - 1)), 0)::BIGINT FROM shared
"""


def gather(connection: duckdb.DuckDBPyConnection, rows: Path) -> None:
    """Read the spooled rows, and meet each id with what the store knows of it."""
    connection.execute(_INCOMING, [str(rows)])
    connection.execute(_ARRIVED)


def refuse_other_content(connection: duckdb.DuckDBPyConnection, uris: Sequence[str]) -> None:
    """Refuse ids that stand for two inputs.

    Raises:
        InputError: naming up to three of them, with their rows.
    """
    clashes, places = _examples(connection, "differs", uris)
    if clashes:
        raise InputError(
            f"ids with other content than they have elsewhere ({clashes}): {places}; an id must always be "
            "the same input, so give these rows other ids, or name another id column. Nothing was written"
        )


def refuse_mixed_roles(connection: duckdb.DuckDBPyConnection, role: str, uris: Sequence[str]) -> None:
    """Refuse ids that are test in one dataset and not in another.

    Raises:
        InputError: naming up to three of them, with their rows.
    """
    test_first = "known_role = 'test'"
    mixed = f"NOT ({test_first})" if role == "test" else test_first
    clashes, places = _examples(connection, f"known_role IS NOT NULL AND {mixed}", uris)
    if clashes:
        here, there = ("test", "not test") if role == "test" else ("not test", "test")
        raise InputError(
            f"ids of this dataset, which is {here}, are in the store as {there} ({clashes}): {places}; test "
            "rows must be rows of their own, so take these out of one of the two. Nothing was written"
        )


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


def give_roles(connection: duckdb.DuckDBPyConnection, role: str, shares: Shares) -> None:
    """Number the new samples after the last one and decide their roles, once and for all.

    Within a class the order is that of the content hashes: the roles do not depend on the order of rows.

    Raises:
        UsageError: more rows are to be set aside than there are.
    """
    labeled: dict[int, int] = {}
    if role != "test":
        labeled = dict(
            connection.execute(
                "SELECT class.class, count(*) FROM arrived JOIN class ON class.name = arrived.label "
                "WHERE known_no IS NULL GROUP BY class.class"
            ).fetchall()
        )
    drawn = quotas(labeled, shares) if role != "test" else {}
    table = pa.table(
        {
            "class": pa.array(drawn, pa.int32()),
            "validation": pa.array([quota.validation for quota in drawn.values()], pa.int64()),
            "calibration": pa.array([quota.calibration for quota in drawn.values()], pa.int64()),
        }
    )
    connection.register("quota", table)
    connection.execute(_SETTLED, {"role": role})
    connection.unregister("quota")


def write(connection: duckdb.DuckDBPyConnection, dataset_no: int, at: datetime) -> None:
    """Write samples, given labels and source rows."""
    connection.execute(
        "INSERT INTO sample (sample_no, sample_id, content_hash, role) "
        "SELECT sample_no, sample_id, content_hash, role FROM settled WHERE is_new ORDER BY sample_no"
    )
    connection.execute(
        "INSERT INTO given_label (sample_no, class, dataset_no, created_at) "
        "SELECT sample_no, class, ?, ? FROM settled WHERE is_labeled ORDER BY sample_no",
        [dataset_no, at],
    )
    connection.execute(
        "INSERT INTO source_row (dataset_no, sample_no, file, row, position) "
        "SELECT ?, settled.sample_no, incoming.file, incoming.row, incoming.position "
        "FROM incoming JOIN settled ON settled.sample_id = incoming.sample_id ORDER BY incoming.ordinal",
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


def _examples(connection: duckdb.DuckDBPyConnection, condition: str, uris: Sequence[str]) -> tuple[int, str]:
    """Return how many arrived ids meet ``condition``, and where the first of them lie."""
    total = connection.execute(f"SELECT count(*) FROM arrived WHERE {condition}").fetchall()[0][0]
    if not total:
        return 0, ""
    found = connection.execute(
        "SELECT incoming.sample_id, list(incoming.file ORDER BY incoming.ordinal)[:2], "
        "list(incoming.row ORDER BY incoming.ordinal)[:2] "
        f"FROM incoming JOIN (FROM arrived WHERE {condition} ORDER BY ordinal LIMIT {_NAMED}) AS named "
        "ON named.sample_id = incoming.sample_id GROUP BY incoming.sample_id ORDER BY min(incoming.ordinal)"
    ).fetchall()
    places = [
        (sample_id, " and ".join(f"{uris[file]} row {row}" for file, row in zip(files, rows, strict=True)))
        for sample_id, files, rows in found
    ]
    return int(total), "; ".join(f"{sample_id!r} ({place})" for sample_id, place in places)
