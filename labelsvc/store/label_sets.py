"""Label sets: writing one so that it is seen whole or not at all, finding it, and moving names over them.

A label set is never changed and never deleted; ``current`` and the tags are names that move. Knows the
accepted labels and their policy; knows nothing of how they were selected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from labelsvc.errors import InputError, LabelsvcError, UsageError
from labelsvc.records import Certificate, LabelSet, Policy, PseudoLabels
from labelsvc.store import certificates
from labelsvc.store.comparison import LabelDiff, diff_of
from labelsvc.store.database import Store, arrow, now
from labelsvc.store.export import EXPORT_SCHEMA, export_batches
from labelsvc.store.identifiers import LATEST, resolve
from labelsvc.store.samples import column

__all__ = [
    "CURRENT",
    "EXPORT_SCHEMA",
    "LabelDiff",
    "accepted",
    "current",
    "diff",
    "digest",
    "export_batches",
    "get",
    "listing",
    "rollback",
    "tag",
    "write",
]

CURRENT = "current"
_COLUMNS = "label_set_id, run_id, model_id, policy_id, rows, digest, round, parent_id, message"
_POLICY = "policy_id, run_id, model_id, score, target_precision, confidence_level, least_familiarity"
_OLDEST_FIRST = "ORDER BY created_at, label_set_id"
_CHUNK_ROWS = 100_000
_RULE = """
SELECT class.name, policy_threshold.threshold,
    policy.score, policy.target_precision, policy.confidence_level, policy.least_familiarity
FROM policy
JOIN policy_threshold ON policy_threshold.policy_id = policy.policy_id
LEFT JOIN class ON class.class = policy_threshold.class
WHERE policy.policy_id = ?
"""


def digest(labels: PseudoLabels) -> str:
    """Return the SHA-256 of sample numbers (int64), classes (int32), confidences (float64), little-endian."""
    sha256 = hashlib.sha256()
    for values, layout in ((labels.numbers, "<i8"), (labels.classes, "<i4"), (labels.confidence, "<f8")):
        sha256.update(np.ascontiguousarray(values, dtype=layout).tobytes())
    return sha256.hexdigest()


def write(  # noqa: PLR0913 - what is written, and how
    store: Store,
    label_set: LabelSet,
    policy: Policy,
    labels: PseudoLabels,
    *,
    make_current: bool,
    promised: Sequence[Certificate] = (),
    chunk_rows: int = _CHUNK_ROWS,
) -> LabelSet:
    """Write a label set: its rows in chunks, then the row that makes them visible, then ``current``.

    Args:
        store: where to write.
        label_set: what to write; ``rows`` 0 and an empty ``digest`` are filled in, others are checked.
        policy: the rule that accepted the labels; written once.
        labels: the accepted labels, of pool samples.
        make_current: whether ``current`` moves to it.
        promised: the certificates of its labels; the digests of the rows that they cover are filled in.
        chunk_rows: rows per transaction.

    Raises:
        ValueError: the records do not belong together.
        LabelsvcError: another process swept the rows away while they were written.
    """
    complete = _complete(label_set, policy, labels)
    for start in range(0, max(len(labels), 1), chunk_rows):
        with store.writing() as connection:
            if start == 0:
                _sweep(connection)
                _refuse_known(connection, complete)
            _add_rows(connection, complete, labels, slice(start, start + chunk_rows))
            if start + chunk_rows >= len(labels):
                _check_rows(connection, complete)
                _add_policy(connection, policy)
                _add_label_set(connection, complete)
                certificates.insert(connection, _covering(promised, complete, labels, _class_codes(connection)))
                if make_current:
                    _move(connection, CURRENT, complete.label_set_id)
    return complete


def get(store: Store, name: str) -> LabelSet:
    """Return a label set by a tag, ``current``, ``latest``, its identifier or a unique ending of it.

    Raises:
        InputError: ``current`` is asked for, and no set was written yet.
        UsageError: there is none, or several end so.
    """
    with store.reading() as connection:
        return _get(connection, name)


def current(store: Store) -> LabelSet | None:
    """Return the label set that the view ``labels`` shows, or None."""
    with store.reading() as connection:
        label_set_id = _aliased(connection, CURRENT)
        return _fetch(connection, "WHERE label_set_id = ?", [label_set_id])[0] if label_set_id else None


def listing(store: Store) -> list[LabelSet]:
    """Return every label set, oldest first."""
    with store.reading() as connection:
        return _fetch(connection, _OLDEST_FIRST, [])


def names(store: Store) -> dict[str, tuple[str, ...]]:
    """Return the names that point to each label set, by its id."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT label_set_id, list(name ORDER BY name) FROM alias GROUP BY label_set_id"
        ).fetchall()
    return {label_set_id: tuple(found) for label_set_id, found in rows}


def writings(store: Store) -> dict[str, tuple[datetime, float]]:
    """Return when each label set was written (UTC), and above which threshold but for classes with one of their own."""
    with store.reading() as connection:
        rows = connection.execute("SELECT label_set_id, created_at, threshold FROM label_sets").fetchall()
    return {label_set_id: (created_at, threshold) for label_set_id, created_at, threshold in rows}


def policy(store: Store, label_set: LabelSet) -> Policy:
    """Return the rule that accepted a set's labels."""
    with store.reading() as connection:
        rows = connection.execute(_RULE, [label_set.policy_id]).fetchall()
    thresholds = {name: threshold for name, threshold, *_ in rows}
    shared = thresholds.pop(None)
    return Policy(label_set.policy_id, label_set.run_id, label_set.model_id, shared, thresholds, *rows[0][2:])


def accepted(store: Store, label_set_id: str) -> PseudoLabels:
    """Return the labels of a set as they were written, sorted by sample number.

    Raises:
        UsageError: there is no such set.
    """
    with store.reading() as connection:
        label_set = _get(connection, label_set_id)
        table = arrow(
            connection,
            "SELECT sample_no, class, confidence, runner_up, runner_up_probability FROM pseudo_label "
            "WHERE label_set_id = ? ORDER BY sample_no",
            [label_set.label_set_id],
        )
    return PseudoLabels(
        numbers=column(table, "sample_no"),
        classes=column(table, "class"),
        confidence=column(table, "confidence"),
        runner_up=column(table, "runner_up"),
        runner_up_probability=column(table, "runner_up_probability"),
    )


def tag(store: Store, name: str, label_set: str, *, force: bool = False) -> LabelSet:
    """Give a label set a name of the user's; ``force`` moves a name that another set has.

    Raises:
        UsageError: the name is reserved, empty or taken, or there is no such set.
    """
    if name in {CURRENT, LATEST} or not name.strip():
        raise UsageError(f"{name!r} cannot be a tag; `labels rollback` moves {CURRENT!r}")
    with store.writing() as connection:
        found = _get(connection, label_set)
        holder = _aliased(connection, name)
        if holder not in {None, found.label_set_id} and not force:
            raise UsageError(f"the tag {name!r} is on label set {holder}; move it with --force")
        _move(connection, name, found.label_set_id)
    return found


def rollback(store: Store, to: str | None = None) -> LabelSet:
    """Point ``current`` at another set, by default the one written just before it. Nothing is deleted.

    Raises:
        UsageError: there is no such set, or none before the current one.
    """
    with store.writing() as connection:
        found = _get(connection, to) if to is not None else _before_current(connection)
        _move(connection, CURRENT, found.label_set_id)
    return found


def diff(store: Store, before: str, after: str) -> LabelDiff:
    """Return what one label set says otherwise than another.

    Raises:
        UsageError: there is no such set.
    """
    with store.reading() as connection:
        return diff_of(connection, _get(connection, before), _get(connection, after))


def _complete(label_set: LabelSet, policy: Policy, labels: PseudoLabels) -> LabelSet:
    if (label_set.policy_id, label_set.model_id) != (policy.policy_id, policy.model_id):
        raise ValueError("the label set is of another policy or model")
    found = digest(labels)
    if len(np.unique(labels.numbers)) != len(labels):
        raise ValueError("a label set holds pool samples, each once")
    if label_set.rows not in {0, len(labels)} or label_set.digest not in {"", found}:
        raise ValueError("the label set's rows or digest are not those of its labels")
    return replace(label_set, rows=len(labels), digest=found)


def _covering(
    promised: Sequence[Certificate], label_set: LabelSet, labels: PseudoLabels, codes: Mapping[str, int]
) -> list[Certificate]:
    """Return certificates with the set that they are of, and the digests of the rows that they cover."""
    return [
        replace(
            certificate,
            label_set_id=label_set.label_set_id,
            model_id=label_set.model_id,
            rows_digest=label_set.digest
            if certificate.class_name is None
            else digest(labels.where(labels.classes == codes[certificate.class_name])),
        )
        for certificate in promised
    ]


def _class_codes(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return {name: code for code, name in connection.execute("SELECT class, name FROM class").fetchall()}


def _sweep(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove rows whose label set was never written: their writer died."""
    connection.execute("DELETE FROM pseudo_label WHERE label_set_id NOT IN (SELECT label_set_id FROM label_set)")


def _refuse_known(connection: duckdb.DuckDBPyConnection, label_set: LabelSet) -> None:
    if _fetch(connection, "WHERE label_set_id = ?", [label_set.label_set_id]):
        raise ValueError(f"label set {label_set.label_set_id} is already written")


def _add_rows(connection: duckdb.DuckDBPyConnection, label_set: LabelSet, labels: PseudoLabels, rows: slice) -> None:
    chunk = pa.table(
        {
            "sample_no": labels.numbers[rows],
            "class": labels.classes[rows],
            "confidence": labels.confidence[rows],
            "runner_up": labels.runner_up[rows],
            "runner_up_probability": labels.runner_up_probability[rows],
        }
    )
    connection.register("chunk", chunk)
    connection.execute("INSERT INTO pseudo_label SELECT ?, * FROM chunk", [label_set.label_set_id])
    connection.unregister("chunk")


def _check_rows(connection: duckdb.DuckDBPyConnection, label_set: LabelSet) -> None:
    """Check that all rows are there, of pool samples and with classes that exist."""
    (written,) = connection.execute(
        "SELECT count(*) FROM pseudo_label WHERE label_set_id = ?", [label_set.label_set_id]
    ).fetchall()[0]
    (sound,) = connection.execute(
        "SELECT count(*) FROM pseudo_label SEMI JOIN (FROM sample WHERE role = 'pool') AS pool "
        "ON pool.sample_no = pseudo_label.sample_no WHERE label_set_id = ? "
        "AND class IN (SELECT class FROM class) AND runner_up IN (SELECT class FROM class)",
        [label_set.label_set_id],
    ).fetchall()[0]
    if written != label_set.rows:
        raise LabelsvcError(
            f"label set {label_set.label_set_id} lost rows to another process that wrote labels meanwhile; "
            "nothing became visible, run the command again"
        )
    if sound != written:
        raise ValueError("a label set holds pool samples and classes of the workspace")


def _add_policy(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    if connection.execute("SELECT 1 FROM policy WHERE policy_id = ?", [policy.policy_id]).fetchall():
        return
    codes = _class_codes(connection)
    unknown = [name for name in policy.class_thresholds if name not in codes]
    if unknown:
        raise UsageError(f"there is no class {unknown[0]!r} to have a threshold; the classes are {[*codes]}")
    connection.execute(
        f"INSERT INTO policy ({_POLICY}, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [*(getattr(policy, name) for name in _POLICY.split(", ")), now()],
    )
    own = [(policy.policy_id, codes[name], value) for name, value in policy.class_thresholds.items()]
    connection.executemany(
        "INSERT INTO policy_threshold VALUES (?, ?, ?)", [(policy.policy_id, None, policy.threshold), *own]
    )


def _add_label_set(connection: duckdb.DuckDBPyConnection, label_set: LabelSet) -> None:
    connection.execute(
        f"INSERT INTO label_set ({_COLUMNS}, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*(getattr(label_set, name) for name in _COLUMNS.split(", ")), now()],
    )


def _move(connection: duckdb.DuckDBPyConnection, name: str, label_set_id: str) -> None:
    connection.execute("DELETE FROM alias WHERE name = ?", [name])
    connection.execute("INSERT INTO alias VALUES (?, ?, ?)", [name, label_set_id, now()])


def _aliased(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    rows = connection.execute("SELECT label_set_id FROM alias WHERE name = ?", [name]).fetchall()
    return str(rows[0][0]) if rows else None


def _get(connection: duckdb.DuckDBPyConnection, name: str) -> LabelSet:
    label_sets = {found.label_set_id: found for found in _fetch(connection, _OLDEST_FIRST, [])}
    aliased = _aliased(connection, name)
    if aliased is None and name == CURRENT:
        raise InputError("no label set is current; write one with `labelsvc label`")
    return label_sets[aliased or resolve([*label_sets], name, what="label set")]


def _before_current(connection: duckdb.DuckDBPyConnection) -> LabelSet:
    shown = _get(connection, CURRENT).label_set_id
    label_sets = _fetch(connection, _OLDEST_FIRST, [])
    place = [found.label_set_id for found in label_sets].index(shown)
    if place == 0:
        raise UsageError(f"no label set was written before the current one ({shown}); `labels list` shows all")
    return label_sets[place - 1]


def _fetch(connection: duckdb.DuckDBPyConnection, where: str, values: list[Any]) -> list[LabelSet]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM label_set {where}", values).fetchall()
    return [LabelSet(**dict(zip(_COLUMNS.split(", "), row, strict=True))) for row in rows]
