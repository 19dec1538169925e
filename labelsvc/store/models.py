"""Models: which weights there are, what made them, and how to use them.

Knows the path of a weights file; never opens it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import duckdb

from labelsvc.records import Model, ModelRole, Preprocessing, shape_of
from labelsvc.store.database import Store, now
from labelsvc.store.identifiers import resolve

_COLUMNS = (
    "model_id, run_id, role, method, network, path, sha256, classes, preprocessing, temperature, calibrated, "
    "parent_id, round"
)
BASELINE = "baseline"  # the command of a run whose model a teacher was compared with

# A baseline counts where it replaced its teacher. One that did not comes before all others, and so is never the newest.
_OLDEST_FIRST = (
    "ORDER BY run_id NOT IN (SELECT run_id FROM run WHERE command = 'baseline' AND (outcome->>'$.replaces') IS NULL), "
    "created_at, model_id"
)

_OF_CALL = """
    WITH RECURSIVE made AS (
        SELECT model.model_id
        FROM model JOIN run USING (run_id) LEFT JOIN run AS whole ON whole.run_id = run.parent_id
        WHERE coalesce(run.config->>'$.call', whole.config->>'$.call') = ?
        UNION
        SELECT model.model_id FROM model JOIN made ON model.parent_id = made.model_id
    )
    SELECT model_id FROM made
"""


def add(store: Store, model: Model) -> None:
    """Record a model whose weights lie at their final path."""
    values = {
        **asdict(model),
        "classes": json.dumps(model.classes),
        "preprocessing": json.dumps(asdict(model.preprocessing)),
    }
    with store.writing() as connection:
        connection.execute(
            f"INSERT INTO model ({_COLUMNS}, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [*(values[name] for name in _COLUMNS.split(", ")), now()],
        )


def known(store: Store) -> set[str]:
    """Return the identifiers of all models."""
    with store.reading() as connection:
        return {found for (found,) in connection.execute("SELECT model_id FROM model").fetchall()}


def get(store: Store, ending: str) -> Model:
    """Return the model whose identifier ends so; ``latest`` is the newest.

    Raises:
        UsageError: none or several do.
    """
    with store.reading() as connection:
        rows = connection.execute(f"SELECT model_id FROM model {_OLDEST_FIRST}").fetchall()
        model_id = resolve([found for (found,) in rows], ending, what="model")
        return _fetch(connection, "WHERE model_id = ?", [model_id])[0]


def newest(store: Store, role: ModelRole | None = None) -> Model | None:
    """Return the newest model, of one role or of any, or None."""
    with store.reading() as connection:
        found = _fetch(connection, f"WHERE ? IS NULL OR role = ? {_OLDEST_FIRST}", [role, role])
    return found[-1] if found else None


def others(store: Store, call: str) -> tuple[Model, ...]:
    """Return the models, oldest first, that no training of this call made, for itself or in the end, nor a descendant.

    A call is what a run's config names as ``call``; the runs below it belong to it.
    """
    with store.reading() as connection:
        return tuple(_fetch(connection, f"WHERE model_id NOT IN ({_OF_CALL}) {_OLDEST_FIRST}", [call]))


def by_run(store: Store, run_id: str) -> tuple[Model, ...]:
    """Return the models that a run made, oldest first."""
    with store.reading() as connection:
        return tuple(_fetch(connection, f"WHERE run_id = ? {_OLDEST_FIRST}", [run_id]))


def of_content(store: Store, method: str, sha256: str) -> tuple[Model, ...]:
    """Return the models of one method whose file has this content, oldest first."""
    with store.reading() as connection:
        return tuple(_fetch(connection, f"WHERE method = ? AND sha256 = ? {_OLDEST_FIRST}", [method, sha256]))


def student_of(store: Store, label_set_id: str) -> Model | None:
    """Return the newest student that was distilled from a label set, or None."""
    found = students_of(store, label_set_id)
    return found[-1] if found else None


def students_of(store: Store, label_set_id: str) -> tuple[Model, ...]:
    """Return the students that were distilled from a label set, oldest first."""
    with store.reading() as connection:
        return tuple(
            _fetch(
                connection,
                "WHERE role = 'student' AND run_id IN "
                f"(SELECT run_id FROM run WHERE config->>'$.label_set' = ?) {_OLDEST_FIRST}",
                [label_set_id],
            )
        )


def _fetch(connection: duckdb.DuckDBPyConnection, where: str, values: list[Any]) -> list[Model]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM model {where}", values).fetchall()
    return [_model(dict(zip(_COLUMNS.split(", "), row, strict=True))) for row in rows]


def _model(values: dict[str, Any]) -> Model:
    stored = json.loads(values["preprocessing"])
    preprocessing = Preprocessing(shape_of(stored["shape"]), tuple(stored["mean"]), tuple(stored["std"]))
    classes = tuple(json.loads(values["classes"]))
    return Model(**{**values, "classes": classes, "preprocessing": preprocessing})
