"""Labels on their way out: every sample that has one, with what gave it, in batches.

The store is held open for reading until the last batch is taken or the iterator is closed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from labelsvc.records import LabelSet
from labelsvc.store.database import Store

_BATCH_ROWS = 65_536

EXPORT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("confidence", pa.float64()),
        pa.field("label_set", pa.string()),
        pa.field("run", pa.string()),
        pa.field("model", pa.string()),
        pa.field("policy", pa.string()),
    ]
)

_EXPORT = """
SELECT labels.sample_id AS id, labels.label, labels.source, labels.confidence,
    labels.label_set_id AS label_set, label_set.run_id AS run, label_set.model_id AS model,
    label_set.policy_id AS policy
FROM labels_under(
    coalesce($label_set, (SELECT max(label_set_id) FROM alias WHERE name = 'current'))
) AS labels
LEFT JOIN label_set ON label_set.label_set_id = labels.label_set_id
WHERE labels.label IS NOT NULL
ORDER BY labels.sample_no
"""


def export_batches(store: Store, label_set: LabelSet | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the labels under a label set, by default the current one, in the order of the samples.

    Decisions, given and accepted labels are all there, test rows never. Batches have ``EXPORT_SCHEMA``.
    """
    asked = None if label_set is None else label_set.label_set_id
    with store.reading() as connection:
        answer = connection.sql(_EXPORT, params={"label_set": asked})
        for batch in answer.to_arrow_reader(_BATCH_ROWS):
            yield batch.cast(EXPORT_SCHEMA)
