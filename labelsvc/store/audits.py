"""Audits: what was drawn to be judged, under which plan, and what the judges said.

A stage's verdicts, the decisions that they are and the certificate that they make are written in one transaction, once.
Knows nothing of how rows are drawn and of what verdicts prove.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import duckdb
import pyarrow as pa

from labelsvc.errors import InputError
from labelsvc.records import Audit, AuditPlan, Certificate, Drawn, RowCount, Shown, Verdict
from labelsvc.store import certificates, decisions
from labelsvc.store.database import Store, arrow, now
from labelsvc.store.identifiers import resolve
from labelsvc.store.samples import class_names

_AUDITS = "SELECT audit_id, run_id, label_set_id, seed, plan FROM audit"
_OLDEST_FIRST = "ORDER BY created_at, audit_id"
_SHEET = """
SELECT
    audit_row.sample_no,
    sample.sample_id,
    pseudo_label.class AS class_code,
    pseudo_label.confidence,
    audit_row.places
FROM audit_row
JOIN audit ON audit.audit_id = audit_row.audit_id
JOIN sample ON sample.sample_no = audit_row.sample_no
JOIN pseudo_label ON pseudo_label.label_set_id = audit.label_set_id AND pseudo_label.sample_no = audit_row.sample_no
WHERE audit_row.audit_id = ? AND audit_row.stage = ?
ORDER BY audit_row.places[1]
"""
_VERDICTS = """
SELECT audit_row.stage, audit_verdict.sample_no, audit_verdict.occurrence, audit_verdict.verdict,
    audit_verdict.class AS class_code, audit_verdict.lead_time_s AS seconds
FROM audit_verdict
JOIN audit_row ON audit_row.audit_id = audit_verdict.audit_id AND audit_row.sample_no = audit_verdict.sample_no
WHERE audit_verdict.audit_id = ?
ORDER BY audit_row.stage, audit_row.places[audit_verdict.occurrence]
"""


def add(store: Store, audit: Audit, drawn: Sequence[Drawn]) -> None:
    """Record an audit and the rows that were drawn for all of its stages."""
    rows = pa.table(
        {
            "sample_no": pa.array([row.sample_no for row in drawn], pa.int64()),
            "stage": pa.array([row.stage for row in drawn], pa.int32()),
            "places": pa.array([row.places for row in drawn], pa.list_(pa.int32())),
        }
    )
    plan = json.dumps(asdict(audit.plan), sort_keys=True)
    values = [audit.audit_id, audit.run_id, audit.label_set_id, audit.seed, len(drawn), plan, now()]
    with store.writing() as connection:
        connection.register("drawn", rows)
        connection.execute("INSERT INTO audit_row SELECT ?, sample_no, stage, places FROM drawn", [audit.audit_id])
        connection.execute(
            "INSERT INTO audit (audit_id, run_id, label_set_id, seed, n, plan, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )


def get(store: Store, ending: str) -> Audit:
    """Return the audit whose identifier ends so; ``latest`` is the newest.

    Raises:
        UsageError: none or several do.
    """
    with store.reading() as connection:
        found = {audit.audit_id: audit for audit in _fetch(connection, _OLDEST_FIRST, [])}
    return found[resolve([*found], ending, what="audit")]


def find(store: Store, audit_id: str) -> Audit | None:
    """Return the audit of this very identifier, or None."""
    with store.reading() as connection:
        found = _fetch(connection, "WHERE audit_id = ?", [audit_id])
    return found[0] if found else None


def of_label_set(store: Store, label_set_id: str) -> tuple[Audit, ...]:
    """Return the audits that were drawn from a label set, oldest first."""
    with store.reading() as connection:
        return tuple(_fetch(connection, f"WHERE label_set_id = ? {_OLDEST_FIRST}", [label_set_id]))


def sheet(store: Store, audit: Audit, stage: int) -> tuple[Shown, ...]:
    """Return the rows that a stage's page shows, in the order of their first showings."""
    with store.reading() as connection:
        rows = arrow(connection, _SHEET, [audit.audit_id, stage]).to_pylist()
    return tuple(Shown(**row | {"places": tuple(row["places"])}) for row in rows)


def verdicts(store: Store, audit: Audit) -> dict[int, tuple[Verdict, ...]]:
    """Return the verdicts on each stage that was judged, in the order of their showings."""
    with store.reading() as connection:
        rows = arrow(connection, _VERDICTS, [audit.audit_id]).to_pylist()
    found: dict[int, list[Verdict]] = {}
    for row in rows:
        found.setdefault(row.pop("stage"), []).append(Verdict(**row))
    return {stage: tuple(said) for stage, said in found.items()}


@dataclass(frozen=True)
class JudgedStage:
    """A stage's verdicts, the decisions that they are (columns of ``decisions.SCHEMA``), and who judged."""

    audit: Audit
    stage: int
    verdicts: tuple[Verdict, ...]
    decisions: pa.Table
    actor: str


def record(store: Store, judged: JudgedStage, certificate: Certificate) -> RowCount:
    """Write all that the verdicts on a stage say and prove, or nothing; count the decisions.

    Raises:
        InputError: the stage was judged meanwhile.
    """
    classes = class_names(store)
    audit = judged.audit
    with store.writing() as connection:
        _refuse_judged(connection, judged)
        _add_verdicts(connection, judged)
        counted = decisions.append(connection, judged.decisions, classes, shown_set=audit.label_set_id)
        certificates.insert(connection, [certificate])
    return counted


def _refuse_judged(connection: duckdb.DuckDBPyConnection, judged: JudgedStage) -> None:
    known = connection.execute(
        "SELECT 1 FROM audit_verdict SEMI JOIN (FROM audit_row WHERE audit_id = $audit AND stage = $stage) AS asked "
        "ON asked.sample_no = audit_verdict.sample_no WHERE audit_verdict.audit_id = $audit LIMIT 1",
        {"audit": judged.audit.audit_id, "stage": judged.stage},
    ).fetchall()
    if known:
        raise InputError(
            f"stage {judged.stage} of audit {judged.audit.audit_id} was judged meanwhile, so nothing was written"
        )


def _add_verdicts(connection: duckdb.DuckDBPyConnection, judged: JudgedStage) -> None:
    said = pa.table(
        {
            "sample_no": pa.array([one.sample_no for one in judged.verdicts], pa.int64()),
            "occurrence": pa.array([one.occurrence for one in judged.verdicts], pa.int32()),
            "verdict": pa.array([one.verdict for one in judged.verdicts], pa.string()),
            "class": pa.array([one.class_code for one in judged.verdicts], pa.int32()),
            "seconds": pa.array([one.seconds for one in judged.verdicts], pa.float64()),
        }
    )
    connection.register("judged", said)
    connection.execute(
        "INSERT INTO audit_verdict SELECT ?, sample_no, occurrence, verdict, class, seconds, ?, ? FROM judged",
        [judged.audit.audit_id, judged.actor, now()],
    )
    connection.unregister("judged")


def _fetch(connection: duckdb.DuckDBPyConnection, where: str, values: Sequence[object]) -> list[Audit]:
    rows = connection.execute(f"{_AUDITS} {where}", values).fetchall()
    return [
        Audit(audit_id, run_id, label_set_id, seed, _plan(plan)) for audit_id, run_id, label_set_id, seed, plan in rows
    ]


def _plan(text: str) -> AuditPlan:
    plan = json.loads(text)
    return AuditPlan(**plan | {"sizes": tuple(plan["sizes"])})
