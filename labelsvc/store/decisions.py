"""Decisions: what people said of samples in review, appended and never rewritten.

A file of them is taken whole or not at all. A row is measured by what the reviewer saw: the label in force before the
file was taken or, where a label set was shown, that set's. Knows nothing of where the rows came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from labelsvc.errors import InputError
from labelsvc.records import RowCount
from labelsvc.store.database import Store, now
from labelsvc.store.samples import class_names

SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string()),
        pa.field("decision", pa.string()),
        pa.field("label", pa.string()),  # null: none was given
        pa.field("actor", pa.string()),
        pa.field("lead_time_s", pa.float64()),
    ]
)
NAMED = 3  # mistakes told in full

# Each row with its sample, the class that it means, its mistake, and whether it says what is said already: the same
# decision by the same actor as the newest one of that sample, in the file before it or else in the store.
_JUDGED = """
WITH shown_set AS (
    SELECT sample_no, label_set_id, class
    FROM pseudo_label
    WHERE label_set_id = coalesce($shown_set, (SELECT max(alias.label_set_id) FROM alias WHERE alias.name = 'current'))
), shown AS (
    SELECT labels.sample_no, labels.label
    FROM labels_under((SELECT max(alias.label_set_id) FROM alias WHERE alias.name = 'current')) AS labels
    SEMI JOIN (SELECT sample.sample_no FROM sample JOIN said ON said.sample_id = sample.sample_id) AS named
        ON named.sample_no = labels.sample_no
    WHERE $shown_set IS NULL
    UNION ALL
    SELECT shown_set.sample_no, known_class.name
    FROM shown_set
    JOIN known_class ON known_class.class = shown_set.class
    WHERE $shown_set IS NOT NULL
), newest AS (
    SELECT sample_no, arg_max({'decision': decision, 'class': class, 'actor': actor}, decision_no) AS word
    FROM decision
    GROUP BY sample_no
), judged AS (
    SELECT said.*, sample.sample_no, shown.label AS shown, shown_set.label_set_id,
        CASE said.decision WHEN 'confirm' THEN shown.label WHEN 'relabel' THEN said.label END AS meant,
        CASE
            WHEN said.sample_id IS NULL THEN 'no id'
            WHEN sample.sample_no IS NULL THEN 'unknown'
            WHEN sample.role = 'test' THEN 'test'
            WHEN said.actor IS NULL THEN 'no actor'
            WHEN said.decision IS NULL THEN 'no decision'
            WHEN said.decision NOT IN ('confirm', 'relabel', 'reject', 'unsure') THEN 'no such decision'
            WHEN said.decision IN ('reject', 'unsure') AND said.label IS NOT NULL THEN 'needless label'
            WHEN said.decision = 'confirm' AND shown.label IS NULL THEN 'nothing shown'
            WHEN said.decision = 'confirm' AND said.label <> shown.label THEN 'other label'
            WHEN said.decision = 'relabel' AND said.label IS NULL THEN 'no label'
            WHEN said.decision = 'relabel' AND said.label NOT IN (SELECT name FROM known_class) THEN 'no such class'
            WHEN isnan(said.lead_time_s) OR said.lead_time_s < 0 THEN 'no duration'
        END AS mistake
    FROM said
    LEFT JOIN sample ON sample.sample_id = said.sample_id
    LEFT JOIN shown ON shown.sample_no = sample.sample_no
    LEFT JOIN shown_set ON shown_set.sample_no = sample.sample_no
), worded AS (
    SELECT judged.*, {'decision': judged.decision, 'class': known_class.class, 'actor': judged.actor} AS word
    FROM judged
    LEFT JOIN known_class ON known_class.name = judged.meant
), compared AS (
    SELECT worded.*, worded.word IS NOT DISTINCT FROM
        coalesce(lag(worded.word) OVER (PARTITION BY worded.sample_no ORDER BY worded.row), newest.word) AS is_known
    FROM worded
    LEFT JOIN newest ON newest.sample_no = worded.sample_no
)
"""
_MISTAKES = f"""{_JUDGED}
SELECT row, sample_id, mistake, decision, label, shown, count(*) OVER () AS mistakes
FROM judged
WHERE mistake IS NOT NULL
ORDER BY row
LIMIT {NAMED}
"""
_ADD = f"""
INSERT INTO decision {_JUDGED}
SELECT (SELECT coalesce(max(decision_no), 0) FROM decision) + row_number() OVER (ORDER BY row),
    sample_no, decision, word['class'], actor, label_set_id, lead_time_s, $now
FROM compared
WHERE NOT is_known
ORDER BY row
"""
_WRONG = {
    "no id": "it has no id; give it one",
    "unknown": "there is no such sample; take the ids of `labelsvc query 'FROM labels'`",
    "test": "it is a test row, which nobody decides on; leave it out",
    "no actor": "it has no actor; say who decided",
    "no decision": "it has no decision; write confirm, relabel, reject or unsure",
    "no such decision": "there is no decision {decision!r}; write confirm, relabel, reject or unsure",
    "needless label": "{decision} takes no label, and it has {label!r}; leave the label empty, or write relabel",
    "nothing shown": "it shows no label to confirm; write relabel with its label",
    "other label": "it shows the label {shown!r}, and {label!r} is confirmed; write relabel to change it",
    "no label": "relabel needs a label; write one of {classes}",
    "no such class": "there is no class {label!r}; the classes are {classes}",
    "no duration": "its lead time is no number of seconds; leave it empty",
}


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a row (from 0), and what to do about it."""

    row: int
    sample_id: str | None
    said: str

    def __str__(self) -> str:
        return f"row {self.row:,}, id {self.sample_id!r}: {self.said}"


def check(store: Store, said: pa.Table) -> None:
    """Refuse decisions of which any is wrong; nothing is written.

    Args:
        store: what they are about.
        said: a row for each decision, with the columns of ``SCHEMA``.

    Raises:
        InputError: how many are wrong, and what is wrong with the first three.
    """
    classes = class_names(store)
    with store.reading() as connection:
        _show(connection, said, classes)
        _refuse_mistakes(connection, classes, None)


def add(store: Store, said: pa.Table) -> RowCount:
    """Append decisions in one transaction, and count them; what is said already is skipped.

    Args:
        store: where to write.
        said: a row for each decision, with the columns of ``SCHEMA``.

    Raises:
        InputError: how many are wrong, and what is wrong with the first three; nothing is written.
    """
    classes = class_names(store)
    with store.writing() as connection:
        return append(connection, said, classes)


def append(
    connection: duckdb.DuckDBPyConnection, said: pa.Table, classes: Sequence[str], *, shown_set: str | None = None
) -> RowCount:
    """Do what ``add`` does within the caller's transaction, for people who were shown the labels of ``shown_set``.

    None: they were shown the labels in force.

    Raises:
        InputError: as ``add``.
    """
    _show(connection, said, classes)
    _refuse_mistakes(connection, classes, shown_set)
    added = connection.execute(_ADD, {"now": now(), "shown_set": shown_set}).fetchall()[0][0]
    return RowCount(given=len(said), labeled=added, skipped=len(said) - added)


def _show(connection: duckdb.DuckDBPyConnection, said: pa.Table, classes: Sequence[str]) -> None:
    """Let the queries see the rows by their places, and the classes by their codes."""
    rows = said.select(SCHEMA.names).cast(SCHEMA).append_column("row", pa.array(range(len(said)), pa.int64()))
    codes = pa.array(range(len(classes)), pa.int32())
    connection.register("said", rows)
    connection.register("known_class", pa.table({"class": codes, "name": pa.array(classes, pa.string())}))


def _refuse_mistakes(connection: duckdb.DuckDBPyConnection, classes: Sequence[str], shown_set: str | None) -> None:
    found = connection.execute(_MISTAKES, {"shown_set": shown_set}).fetchall()
    if not found:
        return
    named = ", ".join(classes)
    told = [
        Mistake(row, sample_id, _WRONG[mistake].format(decision=decision, label=label, shown=shown, classes=named))
        for row, sample_id, mistake, decision, label, shown, _ in found
    ]
    count = found[0][-1]
    rows = "1 row is" if count == 1 else f"{count:,} rows are"
    more = f"; and {count - len(told):,} more" if count > len(told) else ""
    raise InputError(f"{rows} wrong, so nothing was written: {'; '.join(map(str, told))}{more} (rows count from 0)")
