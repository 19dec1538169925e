"""What one label set says otherwise than another, in all and by class."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from labelsvc.records import LabelSet
from labelsvc.store.database import arrow

_COUNTS = """
SELECT count(*) FILTER (change = 'gained'), count(*) FILTER (change = 'withdrawn'),
    count(*) FILTER (change = 'changed'), count(*) FILTER (change = 'unchanged')
FROM label_changes(?, ?)
"""
_CLASSES = """
WITH changes AS (
    FROM label_changes(?, ?)
), moves AS (
    SELECT class.class, class.name AS label, changes.before, changes.after, changes.change
    FROM class
    LEFT JOIN changes ON changes.before = class.name OR changes.after = class.name
)
SELECT label,
    count(*) FILTER (before = label) AS before,
    count(*) FILTER (after = label) AS after,
    count(*) FILTER (change = 'gained') AS gained,
    count(*) FILTER (change = 'withdrawn') AS withdrawn,
    count(*) FILTER (change = 'changed' AND after = label) AS changed_to,
    count(*) FILTER (change = 'changed' AND before = label) AS changed_from
FROM moves
GROUP BY class, label
ORDER BY class
"""


@dataclass(frozen=True)
class LabelDiff:
    """How many labels the set ``after`` has gained, withdrawn, changed and kept against ``before``.

    ``classes`` is an Arrow table with the columns label, before, after, gained, withdrawn, changed_to and
    changed_from, a row for each class.
    """

    before: LabelSet
    after: LabelSet
    gained: int
    withdrawn: int
    changed: int
    unchanged: int
    classes: pa.Table


def diff_of(connection: duckdb.DuckDBPyConnection, before: LabelSet, after: LabelSet) -> LabelDiff:
    """Return what ``after`` says otherwise than ``before``."""
    pair = [before.label_set_id, after.label_set_id]
    gained, withdrawn, changed, unchanged = connection.execute(_COUNTS, pair).fetchall()[0]
    classes = arrow(connection, _CLASSES, pair)
    return LabelDiff(before, after, gained, withdrawn, changed, unchanged, classes)
