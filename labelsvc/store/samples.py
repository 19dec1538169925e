"""What training may see: given labels of train and validation rows, and inputs without their labels.

Has no way to a test row's label, nor to a calibration row's: those are in ``held_out``'s hands and in the
certificates'. Everything comes sorted by sample number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labelsvc.records import LabeledSamples, SampleNumbers
from labelsvc.store.database import Store, arrow

# The class in force of every sample that a user or a reviewer gave one; a rejected one has none.
IN_FORCE = """
WITH given AS (
    SELECT sample_no, arg_max(class, dataset_no) AS class FROM given_label GROUP BY sample_no
), decided AS (
    SELECT sample_no, arg_max({'class': class}, decision_no).class AS class
    FROM decision
    WHERE decision <> 'unsure'
    GROUP BY sample_no
), in_force AS (
    SELECT coalesce(decided.sample_no, given.sample_no) AS sample_no,
        CASE WHEN decided.sample_no IS NULL THEN given.class ELSE decided.class END AS class
    FROM given
    FULL JOIN decided ON decided.sample_no = given.sample_no
)
"""
_GIVEN = f"""{IN_FORCE}
SELECT sample.sample_no, in_force.class
FROM sample
JOIN in_force ON in_force.sample_no = sample.sample_no
WHERE list_contains($roles, sample.role) AND in_force.class IS NOT NULL
ORDER BY sample.sample_no
"""
_POOL = f"""{IN_FORCE}
SELECT sample.sample_no
FROM sample
ANTI JOIN in_force ON in_force.sample_no = sample.sample_no
WHERE sample.role = 'pool'
ORDER BY sample.sample_no
"""
_GROUPS = """
SELECT dense_rank() OVER (ORDER BY coalesce('g' || sample.group_name, 's' || sample.sample_no)) AS group_no
FROM asked
JOIN sample ON sample.sample_no = asked.sample_no
ORDER BY asked.place
"""
_HAS_GROUPS = "SELECT count(*) > 0 FROM sample WHERE group_name IS NOT NULL"
_CALIBRATION = "SELECT sample_no FROM sample WHERE role = 'calibration' ORDER BY sample_no"
_LOCATIONS = """
WITH lying AS (
    SELECT source_row.sample_no, min({'dataset_no': dataset_no, 'position': position}) AS place
    FROM source_row
    SEMI JOIN asked ON asked.sample_no = source_row.sample_no
    GROUP BY source_row.sample_no
)
SELECT place.dataset_no AS dataset_no, sample_no, place.position AS position
FROM lying
ORDER BY dataset_no, sample_no
"""
_IDS = """
SELECT sample.sample_id
FROM asked
LEFT JOIN sample ON sample.sample_no = asked.sample_no
ORDER BY asked.place
"""
_CLASS_NAMES = """
WITH spoken_of AS (
    SELECT given_label.class
    FROM given_label
    JOIN sample ON sample.sample_no = given_label.sample_no AND sample.role <> 'test'
    UNION ALL
    SELECT class FROM decision
    UNION ALL
    SELECT class.class
    FROM (SELECT unnest(classes) AS name FROM dataset WHERE role <> 'test') AS declared
    JOIN class ON class.name = declared.name
)
SELECT name FROM class WHERE class <= (SELECT max(class) FROM spoken_of) ORDER BY class
"""
_NUMBERS_OF = """
SELECT coalesce(sample.sample_no, -1) AS sample_no
FROM asked
LEFT JOIN sample ON sample.sample_id = asked.sample_id
ORDER BY asked.place
"""


@dataclass(frozen=True)
class Located:
    """Where samples lie in the decoded inputs of one dataset, sorted by ``numbers``."""

    dataset_no: int
    numbers: SampleNumbers
    positions: NDArray[np.int64]


def class_names(store: Store) -> tuple[str, ...]:
    """Return the classes by their codes, up to the last one that anything but a test row speaks of."""
    with store.reading() as connection:
        rows = connection.execute(_CLASS_NAMES).fetchall()
    return tuple(name for (name,) in rows)


def given(store: Store, role: Literal["train", "validation"]) -> LabeledSamples:
    """Return the label in force of each labeled sample; pool samples that were given one count as train.

    The newest given label counts; a reviewer's confirm or relabel overrides it, a reject removes it.
    """
    roles = ["train", "pool"] if role == "train" else ["validation"]
    with store.reading() as connection:
        table = arrow(connection, _GIVEN, {"roles": roles})
    return labeled_samples(table)


def calibration_inputs(store: Store) -> SampleNumbers:
    """Return the calibration samples, without their labels."""
    return _numbers(store, _CALIBRATION)


def pool(store: Store) -> SampleNumbers:
    """Return the pool samples of which nobody has said anything: no given label, no decision but unsure."""
    return _numbers(store, _POOL)


def groups(store: Store, numbers: SampleNumbers) -> NDArray[np.int64] | None:
    """Return the number of the group of each of ``numbers``, a row without one being its own; None without groups."""
    with store.reading() as connection:
        ((has_groups,),) = connection.execute(_HAS_GROUPS).fetchall()
        if not has_groups:
            return None
        connection.register("asked", pa.table({"sample_no": numbers, "place": np.arange(len(numbers))}))
        return column(arrow(connection, _GROUPS), "group_no")


def units(store: Store, numbers: SampleNumbers) -> int:
    """Return how many of ``numbers`` count on their own: the rows of a group are one."""
    found = groups(store, numbers)
    return len(numbers) if found is None else len(np.unique(found))


def locations(store: Store, numbers: SampleNumbers) -> tuple[Located, ...]:
    """Return where each of ``numbers`` lies, by dataset; a sample of several datasets lies in the oldest."""
    with store.reading() as connection:
        connection.register("asked", pa.table({"sample_no": numbers}))
        table = arrow(connection, _LOCATIONS)
    datasets, samples, positions = (column(table, name) for name in ("dataset_no", "sample_no", "position"))
    return tuple(
        Located(int(dataset), samples[datasets == dataset], positions[datasets == dataset])
        for dataset in np.unique(datasets)
    )


def ids(store: Store, numbers: SampleNumbers) -> pa.Array:
    """Return the users' ids of ``numbers``, in their order, as an Arrow string array."""
    with store.reading() as connection:
        connection.register("asked", pa.table({"sample_no": numbers, "place": np.arange(len(numbers))}))
        table = arrow(connection, _IDS)
    return table.column("sample_id").combine_chunks()


def numbers(store: Store, sample_ids: Sequence[str]) -> SampleNumbers:
    """Return the sample number of each id, in order; −1 for an id that is not known."""
    asked = pa.table({"sample_id": pa.array(sample_ids, pa.string()), "place": np.arange(len(sample_ids))})
    with store.reading() as connection:
        connection.register("asked", asked)
        table = connection.sql(_NUMBERS_OF).to_arrow_table()
    return column(table, "sample_no")


def seen_contents(store: Store, hashes: Sequence[str]) -> set[str]:
    """Return those content hashes that samples other than test rows have."""
    asked = pa.table({"content_hash": pa.array(hashes, pa.string())})
    with store.reading() as connection:
        connection.register("asked", asked)
        rows = connection.execute(
            "SELECT DISTINCT content_hash FROM sample SEMI JOIN asked USING (content_hash) WHERE role <> 'test'"
        ).fetchall()
    return {content for (content,) in rows}


def state_digest(store: Store) -> str:
    """Return a digest of all that training would read: labels of train and validation, inputs without.

    It does not depend on test rows, nor on the labels of calibration rows.
    """
    train, validation = given(store, "train"), given(store, "validation")
    parts: tuple[NDArray[Any], ...] = (
        train.numbers,
        train.classes,
        validation.numbers,
        validation.classes,
        pool(store),
        calibration_inputs(store),
    )
    return digest_of(*parts)


def digest_of(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of the arrays' lengths and little-endian bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(len(array).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def labeled_samples(table: pa.Table) -> LabeledSamples:
    """Return the columns ``sample_no`` and ``class`` as arrays."""
    return LabeledSamples(column(table, "sample_no"), column(table, "class"))


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return one column without nulls as a NumPy array."""
    values: NDArray[Any] = table.column(name).to_numpy()
    return values


def _numbers(store: Store, query: str) -> SampleNumbers:
    with store.reading() as connection:
        return column(arrow(connection, query), "sample_no")
