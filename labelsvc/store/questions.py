"""What users ask: their own SQL, read-only, and everything that is known of one sample.

The SQL sees the store's tables and views, files it names itself, and ``predictions`` over a run's Parquet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from labelsvc.errors import InputError, UsageError
from labelsvc.records import Role, Source
from labelsvc.store.database import Store

_BATCH_ROWS = 65_536
_SUGGESTED = 3
_VIEWS = "labels, label_history, provenance, label_sets, curves, label_changes(before, after)"


@dataclass(frozen=True)
class SourceRow:
    """A place where a sample lies in what the user brought."""

    dataset: str
    role: str  # of the dataset: train or test
    uri: str
    row: int


@dataclass(frozen=True)
class GivenLabel:
    """A label that the user brought."""

    label: str
    dataset: str
    created_at: datetime


@dataclass(frozen=True)
class Verdict:
    """What a label set said of a sample; ``label`` None means that it abstained."""

    label_set_id: str
    created_at: datetime
    round: int
    current: bool
    label: str | None
    confidence: float | None
    runner_up: str | None
    runner_up_probability: float | None
    policy_id: str
    threshold: float  # of the label's class, or the one for all classes
    model_id: str
    model_role: str | None
    method: str | None
    run_id: str
    least_familiarity: float | None = None  # below which rows got no label; None: the policy has no such gate
    certificate: str | None = None  # kind of the certificate of all the set's labels, a valid one if there is one
    promised_precision: float | None = None
    certificate_confidence: float | None = None
    certified: bool | None = None  # whether that certificate is valid


@dataclass(frozen=True)
class Decision:
    """What a person said of a sample."""

    decision: str
    label: str | None
    actor: str
    label_set_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class SampleHistory:
    """Everything that is known of one sample, each part in the order of time."""

    sample_no: int
    sample_id: str
    content_hash: str
    role: Role
    label: str | None
    source: Source
    sources: tuple[SourceRow, ...]
    given: tuple[GivenLabel, ...]
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]


_SAMPLE = "SELECT sample_no, sample_id, content_hash, role FROM sample WHERE sample_id = ?"
_SOURCES = """
SELECT dataset.name AS dataset, dataset.role, dataset.uris[source_row.file + 1] AS uri, source_row.row
FROM source_row
JOIN dataset ON dataset.dataset_no = source_row.dataset_no
WHERE source_row.sample_no = ?
ORDER BY source_row.dataset_no, source_row.file, source_row.row
"""
_GIVEN = """
SELECT class.name AS label, dataset.name AS dataset, given_label.created_at
FROM given_label
JOIN class ON class.class = given_label.class
JOIN dataset ON dataset.dataset_no = given_label.dataset_no
WHERE given_label.sample_no = ?
ORDER BY given_label.dataset_no
"""
# A set was asked of the samples that were in the pool, without a label, when it was written.
_VERDICTS = """
WITH bound AS (
    FROM certificate
    WHERE class IS NULL AND label_set_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY label_set_id ORDER BY valid DESC, certificate_id DESC) = 1
)
SELECT label_set.label_set_id, label_set.created_at, label_set.round,
    coalesce(alias.label_set_id = label_set.label_set_id, false) AS current,
    class.name AS label, said.confidence, second.name AS runner_up, said.runner_up_probability,
    label_set.policy_id, coalesce(own.threshold, shared.threshold) AS threshold,
    label_set.model_id, model.role AS model_role, model.method, label_set.run_id, policy.least_familiarity,
    bound.kind AS certificate, bound.promised_precision, bound.confidence AS certificate_confidence,
    bound.valid AS certified
FROM label_set
LEFT JOIN alias ON alias.name = 'current'
LEFT JOIN pseudo_label AS said ON said.label_set_id = label_set.label_set_id AND said.sample_no = $number
LEFT JOIN class ON class.class = said.class
LEFT JOIN class AS second ON second.class = said.runner_up
LEFT JOIN policy_threshold AS own ON own.policy_id = label_set.policy_id AND own.class = said.class
LEFT JOIN policy_threshold AS shared ON shared.policy_id = label_set.policy_id AND shared.class IS NULL
LEFT JOIN policy ON policy.policy_id = label_set.policy_id
LEFT JOIN bound ON bound.label_set_id = label_set.label_set_id
LEFT JOIN model ON model.model_id = label_set.model_id
WHERE said.sample_no IS NOT NULL OR (
    EXISTS (FROM sample WHERE sample.sample_no = $number AND sample.role = 'pool')
    AND label_set.created_at >= (
        SELECT min(dataset.created_at)
        FROM source_row
        JOIN dataset ON dataset.dataset_no = source_row.dataset_no
        WHERE source_row.sample_no = $number
    )
    AND label_set.created_at < (
        SELECT coalesce(min(given_label.created_at), 'infinity'::TIMESTAMP)
        FROM given_label
        WHERE given_label.sample_no = $number
    )
)
ORDER BY label_set.created_at, label_set.label_set_id
"""
_DECISIONS = """
SELECT decision.decision, class.name AS label, decision.actor, decision.label_set_id, decision.created_at
FROM decision
LEFT JOIN class ON class.class = decision.class
WHERE decision.sample_no = ?
ORDER BY decision.decision_no
"""
_LIKE_IT = f"""
SELECT sample_id
FROM sample
WHERE jaro_winkler_similarity(sample_id, $asked) > 0.8 OR contains(lower(sample_id), lower($asked))
ORDER BY jaro_winkler_similarity(sample_id, $asked) DESC, sample_id
LIMIT {_SUGGESTED}
"""


@contextmanager
def query(store: Store, sql: str, predictions: Sequence[Path] = ()) -> Iterator[pa.RecordBatchReader]:
    """Yield a reader of the answer to one SELECT; the store is open until the block ends.

    Args:
        store: what is asked.
        sql: one statement that reads.
        predictions: a run's Parquet files, which the view ``predictions`` shows with the users' ids.

    Raises:
        UsageError: the statement is wrong, writes, or is not one statement.
    """
    with store.reading() as connection:
        try:
            connection.execute("SET python_enable_replacements = false")  # our own variables are nobody's tables
            statement = _reading_statement(connection, sql)
            if predictions:
                _show_predictions(connection, predictions)
            yield connection.sql(statement).to_arrow_reader(_BATCH_ROWS)
        except duckdb.Error as error:
            raise UsageError(_explained(error)) from error


def history(store: Store, sample_id: str) -> SampleHistory:
    """Return everything that is known of one sample.

    Raises:
        InputError: there is no such sample; ids like it are named.
    """
    with store.reading() as connection:
        found = _records(connection, _SAMPLE, [sample_id])
        if not found:
            raise InputError(_unknown(connection, sample_id))
        number = [found[0]["sample_no"]]
        verdicts = _records(connection, _VERDICTS, {"number": number[0]})
        given = tuple(GivenLabel(**row) for row in _records(connection, _GIVEN, number))
        decisions = tuple(Decision(**row) for row in _records(connection, _DECISIONS, number))
        shown = tuple(Verdict(**row) for row in verdicts)
        label, source = _in_force(given, shown, decisions)
        return SampleHistory(
            **found[0],
            label=label,
            source=source,
            sources=tuple(SourceRow(**row) for row in _records(connection, _SOURCES, number)),
            given=given,
            verdicts=shown,
            decisions=decisions,
        )


def _in_force(
    given: Sequence[GivenLabel], verdicts: Sequence[Verdict], decisions: Sequence[Decision]
) -> tuple[str | None, Source]:
    """Return the label that counts, and where it is from: the rule of the view ``labels``."""
    decided = [decision for decision in decisions if decision.decision != "unsure"]
    if decided:
        return decided[-1].label, "decision"
    if given:
        return given[-1].label, "given"
    accepted = [verdict.label for verdict in verdicts if verdict.current and verdict.label is not None]
    return (accepted[0], "pseudo") if accepted else (None, "none")


def _reading_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """Return the one statement of ``sql``.

    A read-only connection would still let COPY write files and ATTACH make them, so only SELECT passes.

    Raises:
        UsageError: it is not one SELECT.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"query takes one statement, and this is {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(
            "query only reads: the statement must be a SELECT (FROM, WITH, DESCRIBE, SUMMARIZE); "
            "to write a file, use `labels export`, or redirect the output"
        )
    return statements[0]


def _show_predictions(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    # CREATE VIEW takes no parameters, so the names are written out, with their quotes doubled.
    names = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    connection.execute(
        "CREATE TEMP VIEW predictions AS SELECT sample.sample_id, predicted.* "
        f"FROM read_parquet([{names}]) AS predicted JOIN sample ON sample.sample_no = predicted.sample_no"
    )


def _explained(error: duckdb.Error) -> str:
    said = " ".join(str(error).split("\n\nLINE")[0].split())
    return f"{said} (to ask: {_VIEWS}; predictions, where a run has any; DESCRIBE labels shows columns)"


def _records(
    connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any] | dict[str, Any]
) -> list[dict[str, Any]]:
    answer = connection.execute(sql, values)
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _unknown(connection: duckdb.DuckDBPyConnection, sample_id: str) -> str:
    near = [repr(found) for (found,) in connection.execute(_LIKE_IT, {"asked": sample_id}).fetchall()]
    advice = f"did you mean {' or '.join(near)}?" if near else "`labelsvc query 'FROM labels'` shows the ids"
    return f"there is no sample with the id {sample_id!r}; {advice}"
