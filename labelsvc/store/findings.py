"""What deserves a look of the rows that came in: each finding a line with a count and up to three examples.

Refuses nothing. Asked inside an ingest's transaction, after its rows were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import duckdb

# Each question yields what is shown of a finding as the list ``example``, and the order of examples as ``place``.
_KNOWN = """
SELECT [sample_id] AS example, ordinal AS place
FROM settled
WHERE rows > 1 OR NOT (is_new OR is_labeled)
"""
_DISPUTED = "SELECT [sample_id] AS example, ordinal AS place FROM settled WHERE disputed"
_UNGROUPED = """
SELECT [settled.sample_id] AS example, settled.ordinal AS place
FROM settled
JOIN sample ON sample.sample_no = settled.sample_no
WHERE NOT settled.is_new AND settled.group_name IS NOT NULL AND sample.group_name IS NULL
"""
_SAME_CONTENT = """
WITH first AS (
    SELECT content_hash, min(sample_no) AS sample_no
    FROM sample
    GROUP BY content_hash
    HAVING count(*) > 1 AND max(sample_no) >= $sample
)
SELECT [again.sample_id, earlier.sample_id] AS example, again.sample_no AS place
FROM first
JOIN sample AS earlier ON earlier.sample_no = first.sample_no
JOIN sample AS again ON again.content_hash = first.content_hash
    AND again.sample_no > first.sample_no AND again.sample_no >= $sample
"""
_TEST_CONTENT = """
SELECT [any_value(test.sample_id), arg_min(other.sample_id, other.sample_no)] AS example, test.sample_no AS place
FROM sample AS test
JOIN sample AS other ON other.content_hash = test.content_hash AND other.role <> 'test'
WHERE test.role = 'test' AND (test.sample_no >= $sample OR other.sample_no >= $sample)
GROUP BY test.sample_no
"""
_RELABELED = """
SELECT [sample.sample_id] AS example, sample.sample_no AS place
FROM (
    SELECT sample_no
    FROM given_label
    GROUP BY sample_no
    HAVING max(dataset_no) >= $dataset AND min(dataset_no) < $dataset
) AS relabeled
JOIN sample ON sample.sample_no = relabeled.sample_no
"""
_SAID = """
WITH newest AS (
    SELECT sample_no, arg_max(class, dataset_no) AS class, max(dataset_no) AS dataset_no
    FROM given_label
    GROUP BY sample_no
), said AS (
    SELECT newest.class, newest.dataset_no, sample.role = 'test' AS is_test
    FROM newest
    JOIN sample ON sample.sample_no = newest.sample_no
)
"""
_ONE_ROW = f"""{_SAID}
SELECT [any_value(class.name)] AS example, said.class AS place
FROM said
JOIN class ON class.class = said.class
WHERE NOT said.is_test
GROUP BY said.class
HAVING count(*) = 1 AND max(said.dataset_no) >= $dataset
"""
_ONLY_TEST = f"""{_SAID}
SELECT [any_value(class.name)] AS example, said.class AS place
FROM said
JOIN class ON class.class = said.class
WHERE EXISTS (FROM said WHERE NOT is_test) AND EXISTS (FROM said WHERE dataset_no >= $dataset)
GROUP BY said.class
HAVING bool_and(said.is_test)
"""
_GROUP_IN_TEST = """
SELECT [group_name] AS example, min(sample_no) AS place
FROM sample
WHERE group_name IS NOT NULL
GROUP BY group_name
HAVING bool_or(role = 'test') AND bool_or(role <> 'test') AND max(sample_no) >= $sample
"""
_GROUP_SPLIT = """
SELECT DISTINCT [sample.sample_id] AS example, sample.sample_no AS place
FROM sample
JOIN given_label ON given_label.sample_no = sample.sample_no AND given_label.dataset_no >= $dataset
WHERE sample.role = 'pool'
    AND sample.group_name IN (SELECT group_name FROM sample WHERE role IN ('validation', 'calibration'))
"""
_OF_A_DATASET = {
    "ids that were known already or come twice": _KNOWN,
    "ids with several labels in these files, of which the last counts": _DISPUTED,
    "ids that came without a group before and stay without": _UNGROUPED,
}
_OF_AN_INGEST = {
    "samples with the same content as another id": _SAME_CONTENT,
    "test rows whose content is in training, too, under another id, so that scores are too good": _TEST_CONTENT,
    "samples with a newer label, which supersedes the one before": _RELABELED,
    "classes with a single labeled row, which is for training, so that nothing checks them": _ONE_ROW,
    "classes that only test rows have, so that no model will ever name them": _ONLY_TEST,
    "groups that are in test and in training, so that scores may be too good": _GROUP_IN_TEST,
    "samples of the pool that are for training now, while others of their group are held out": _GROUP_SPLIT,
}


@dataclass(frozen=True)
class Mark:
    """Where an ingest begins: whatever has these numbers or higher ones is its own."""

    sample: int
    dataset: int


def mark(connection: duckdb.DuckDBPyConnection) -> Mark:
    """Return the next numbers of a sample and of a dataset."""
    numbers = "SELECT (SELECT coalesce(max({0}_no), {1}) + 1 FROM {0})"
    sample, dataset = (
        connection.execute(numbers.format(*table)).fetchall()[0][0] for table in (("sample", -1), ("dataset", 0))
    )
    return Mark(sample, dataset)


def of_dataset(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Yield what is to be said of the rows that were just settled."""
    for words, question in _OF_A_DATASET.items():
        yield from _found(connection, words, question, {})


def of_ingest(connection: duckdb.DuckDBPyConnection, since: Mark) -> Iterator[str]:
    """Yield what is to be said of all that came ``since``, and of how it goes with what was there."""
    for words, question in _OF_AN_INGEST.items():
        yield from _found(connection, words, question, asdict(since))


def of_unknown_labels(connection: duckdb.DuckDBPyConnection, uri: str) -> Iterator[str]:
    """Yield what is to be said of a labels file's ids that are no samples."""
    question = (
        "SELECT [leftover.sample_id] AS example, leftover.place AS place "
        "FROM leftover ANTI JOIN sample ON sample.sample_id = leftover.sample_id"
    )
    yield from _found(connection, f"ids of {uri} that are in no file and not in the workspace", question, {})


def _found(
    connection: duckdb.DuckDBPyConnection, words: str, question: str, values: Mapping[str, int]
) -> Iterator[str]:
    named = {name: value for name, value in values.items() if f"${name}" in question}
    total, examples = connection.execute(
        f"SELECT count(*), arg_min(example, place, 3) FROM ({question})", named
    ).fetchall()[0]
    if total:
        yield f"{words}: {total:,} ({', '.join(' as '.join(map(repr, example)) for example in examples)})"
