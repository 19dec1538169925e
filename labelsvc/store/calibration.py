"""The labels of calibration rows, and the looks that were taken at them. Only certificates are made of these.

Nothing that trains, chooses or orders may import this module: an import rule and a test see to that. A look is read,
judged and recorded in one transaction, so that none is ever free; the same question is never asked twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from labelsvc.config import digest
from labelsvc.records import LabeledSamples
from labelsvc.store.certificates import look_number
from labelsvc.store.database import Store, arrow, now
from labelsvc.store.samples import IN_FORCE, digest_of, labeled_samples

NO_CLASS = -1  # of a calibration row of which a reviewer said that no class fits: every label of it is wrong

_LABELS = f"""{IN_FORCE}
SELECT sample.sample_no, coalesce(in_force.class, {NO_CLASS})::INTEGER AS class
FROM sample
JOIN in_force ON in_force.sample_no = sample.sample_no
WHERE sample.role = 'calibration'
ORDER BY sample.sample_no
"""

Judge = Callable[[LabeledSamples, int], tuple[float, Mapping[str, Any]]]  # of labels and look: level spent, answer


@dataclass(frozen=True)
class Look:
    """One reading of the calibration labels: which one, what it spent of δ, what was found."""

    look: int
    level: float
    answer: Mapping[str, Any]
    repeated: bool = False


def look(store: Store, run_id: str, asked: str, judge: Judge) -> Look:
    """Let ``judge`` see the calibration labels once for what is ``asked`` (a digest), and keep its answer.

    The same question about the same labels returns the stored answer, and spends nothing.
    """
    with store.writing() as connection:
        labels = labeled_samples(arrow(connection, _LABELS))
        question = digest(asked, digest_of(labels.numbers, labels.classes))
        known = _known(connection, question)
        if known is not None:
            return known
        number = look_number(connection)
        level, answer = judge(labels, number)
        connection.execute(
            "INSERT INTO look (look, question, level, answer, run_id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            [number, question, level, json.dumps(dict(answer), sort_keys=True), run_id, now()],
        )
    return Look(number, level, answer)


def labels_digest(store: Store) -> str:
    """Return a digest of the calibration rows and their labels: the same one, the same answers."""
    with store.reading() as connection:
        labels = labeled_samples(arrow(connection, _LABELS))
    return digest_of(labels.numbers, labels.classes)


def _known(connection: duckdb.DuckDBPyConnection, question: str) -> Look | None:
    rows = connection.execute("SELECT look, level, answer FROM look WHERE question = ?", [question]).fetchall()
    return Look(rows[0][0], rows[0][1], json.loads(rows[0][2]), repeated=True) if rows else None
