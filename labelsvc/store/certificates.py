"""Certificates: the bounds behind what is promised of a label set or of a student.

A certificate is written once and never changed. Knows nothing of how a bound is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import duckdb

from labelsvc.records import Certificate
from labelsvc.store.database import Store, now

_COLUMNS = (
    "certificate_id, kind, label_set_id, model_id, checked, wrong, promised_precision, confidence, look, rows_digest, "
    "threshold, valid, reason"
)
_NAMES = _COLUMNS.split(", ")
_LOOKS = "SELECT count(*) FROM certificate WHERE kind = 'student' AND model_id = ?"


def add(store: Store, certificates: Sequence[Certificate]) -> None:
    """Record certificates of what is in the store already."""
    with store.writing() as connection:
        insert(connection, certificates)


def look(store: Store, model_id: str, judge: Callable[[int], Certificate]) -> Certificate:
    """Let ``judge`` answer a question about a model, which look of its it is being told, and keep the certificate.

    One transaction, so that no two questions are the same look; a judge that raises spends none.
    """
    with store.writing() as connection:
        ((before,),) = connection.execute(_LOOKS, [model_id]).fetchall()
        certificate = judge(int(before) + 1)
        insert(connection, [certificate])
    return certificate


def insert(connection: duckdb.DuckDBPyConnection, certificates: Sequence[Certificate]) -> None:
    """Record certificates in a transaction of the caller's."""
    for certificate in certificates:
        values = asdict(certificate)
        connection.execute(
            f"INSERT INTO certificate ({_COLUMNS}, class, created_at) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT class FROM class WHERE name = ?), ?)",
            [*(values[name] for name in _NAMES), certificate.class_name, now()],
        )


def next_look(store: Store) -> int:
    """Return which look the next reading of the calibration labels would be, from 1."""
    with store.reading() as connection:
        return look_number(connection)


def look_number(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the same within a transaction of the caller's."""
    ((number,),) = connection.execute("SELECT count(*) + 1 FROM look").fetchall()
    return int(number)


def of_label_set(store: Store, label_set_id: str) -> tuple[Certificate, ...]:
    """Return the certificates of a label set, the oldest first; those of all its classes before those of one."""
    return _fetch(store, "label_set_id = ?", label_set_id)


def of_label_sets(store: Store) -> dict[str, Certificate]:
    """Return the newest valid certificate of all labels of each label set that has one, by the set's id."""
    found = _fetch(store, "label_set_id IS NOT NULL AND certificate.class IS NULL AND valid")
    return {str(certificate.label_set_id): certificate for certificate in found}


def of_model(store: Store, model_id: str) -> tuple[Certificate, ...]:
    """Return the certificates of a model as a student, the oldest first."""
    return _fetch(store, "model_id = ? AND kind = 'student'", model_id)


def _fetch(store: Store, where: str, *values: str) -> tuple[Certificate, ...]:
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS}, class.name FROM certificate LEFT JOIN class ON class.class = certificate.class "
            f"WHERE {where} ORDER BY certificate.created_at, class.class NULLS FIRST, certificate_id",
            [*values],
        ).fetchall()
    return tuple(Certificate(**dict(zip([*_NAMES, "class_name"], row, strict=True))) for row in rows)
