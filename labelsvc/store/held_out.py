"""The test rows and their labels. Only ``evaluate`` and ``report`` may import this module.

Nothing that trains, chooses or certifies may reach it: an import rule and a test see to that.
"""

from __future__ import annotations

from labelsvc.records import LabeledSamples
from labelsvc.store.database import Store, arrow
from labelsvc.store.samples import digest_of, labeled_samples

_TEST = """
WITH given AS (
    SELECT sample_no, arg_max(class, dataset_no) AS class FROM given_label GROUP BY sample_no
)
SELECT sample.sample_no, given.class
FROM sample
JOIN given ON given.sample_no = sample.sample_no
WHERE sample.role = 'test'
ORDER BY sample.sample_no
"""


def test_labels(store: Store) -> LabeledSamples:
    """Return the test samples with their newest given labels, sorted by sample number."""
    with store.reading() as connection:
        return labeled_samples(arrow(connection, _TEST))


def class_names(store: Store) -> tuple[str, ...]:
    """Return all classes by their codes, those that only test rows have among them."""
    with store.reading() as connection:
        rows = connection.execute("SELECT name FROM class ORDER BY class").fetchall()
    return tuple(name for (name,) in rows)


def test_digest(store: Store) -> str:
    """Return a digest of the test samples and their labels."""
    labeled = test_labels(store)
    return digest_of(labeled.numbers, labeled.classes)
