"""Certificates: the bounds behind what is promised of a label set or of a student.

A certificate is written once and never changed. Knows nothing of how a bound is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import duckdb

from labelsvc.records import Certificate
from labelsvc.store.database import Store, now

_COLUMNS = (
    "certificate_id, kind, label_set_id, model_id, checked, wrong, promised_precision, confidence, look, rows_digest, "
    "valid, reason"
)
_NAMES = _COLUMNS.split(", ")


def add(store: Store, certificates: Sequence[Certificate]) -> None:
    """Record certificates of what is in the store already."""
    with store.writing() as connection:
        insert(connection, certificates)


def insert(connection: duckdb.DuckDBPyConnection, certificates: Sequence[Certificate]) -> None:
    """Record certificates in a transaction of the caller's."""
    for certificate in certificates:
        values = asdict(certificate)
        connection.execute(
            f"INSERT INTO certificate ({_COLUMNS}, class, created_at) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT class FROM class WHERE name = ?), ?)",
            [*(values[name] for name in _NAMES), certificate.class_name, now()],
        )


def next_look(store: Store) -> int:
    """Return which look the next reading of the calibration labels would be, from 1."""
    with store.reading() as connection:
        ((number,),) = connection.execute("SELECT count(*) + 1 FROM look").fetchall()
    return int(number)


def of_label_set(store: Store, label_set_id: str) -> tuple[Certificate, ...]:
    """Return the certificates of a label set, the oldest first; those of all its classes before those of one."""
    return _fetch(store, "label_set_id = ?", label_set_id)


def of_model(store: Store, model_id: str) -> tuple[Certificate, ...]:
    """Return the certificates of a model, the oldest first."""
    return _fetch(store, "model_id = ? AND kind = 'student'", model_id)


def _fetch(store: Store, where: str, value: str) -> tuple[Certificate, ...]:
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS}, class.name FROM certificate LEFT JOIN class ON class.class = certificate.class "
            f"WHERE {where} ORDER BY certificate.created_at, class.class NULLS FIRST, certificate_id",
            [value],
        ).fetchall()
    return tuple(Certificate(**dict(zip([*_NAMES, "class_name"], row, strict=True))) for row in rows)
