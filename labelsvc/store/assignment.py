"""Number the samples that arrived and decide their roles, by the rule that ``roles`` states.

Reads the temporary table ``arrived`` of ``arrivals``, inside its transaction, and makes ``settled`` of it: a row per
sample id with number, role and class.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from labelsvc.store.roles import Quota, Shares, quotas

# A unit is a group's newly labeled rows, or such a row that has no group; one whose group has a role keeps to it.
_UNIT = """
CREATE OR REPLACE TEMP TABLE unit AS
WITH counted AS (
    SELECT coalesce(arrived.group_name, arrived.sample_id) AS name, arrived.group_name IS NOT NULL AS is_group,
        class.class, any_value(coalesce(md5(arrived.group_name), arrived.content_hash)) AS hash, count(*) AS rows,
        max(arrived.split_value) AS latest
    FROM arrived
    JOIN class ON class.name = arrived.label
    WHERE arrived.known_no IS NULL AND $role <> 'test'
    GROUP BY ALL
), decided AS (
    SELECT sample.group_name AS name,
        arg_min(
            CASE sample.role WHEN 'pool' THEN 'train' ELSE sample.role END,
            {'is_pool': sample.role = 'pool', 'sample_no': sample.sample_no}
        ) AS role
    FROM sample
    SEMI JOIN counted ON counted.is_group AND counted.name = sample.group_name
    WHERE sample.role IN ('train', 'validation', 'calibration')
        OR sample.role = 'pool' AND sample.sample_no IN (SELECT sample_no FROM given_label)
    GROUP BY sample.group_name
)
SELECT counted.name, counted.is_group, any_value(counted.hash) AS hash, sum(counted.rows)::BIGINT AS rows,
    max(counted.latest) AS latest,
    arg_max(counted.class, {'rows': counted.rows, 'lower': -counted.class}) AS class,
    any_value(decided.role) AS known_role
FROM counted
LEFT JOIN decided ON counted.is_group AND decided.name = counted.name
GROUP BY counted.name, counted.is_group
"""
_STRATA = "SELECT class, sum(rows)::BIGINT FROM unit WHERE known_role IS NULL GROUP BY class"

# start + rows / 2 <= quota, in whole numbers; the latest rows are for promises, as these are about what comes next
_ROLE = """
CREATE OR REPLACE TEMP TABLE unit_role AS
WITH placed AS (
    SELECT name, is_group, rows, class, latest IS NOT NULL AS is_timed,
        sum(rows) OVER in_order - rows AS start,
        lead(rows) OVER in_order IS NULL AS is_last
    FROM unit
    WHERE known_role IS NULL
    WINDOW in_order AS (PARTITION BY class ORDER BY latest DESC NULLS LAST, hash, name, is_group)
), sized AS (
    SELECT placed.*, validation + calibration AS set_aside,
        CASE WHEN is_timed THEN calibration ELSE validation END AS first_rows,
        CASE WHEN is_timed THEN 'calibration' ELSE 'validation' END AS first_role,
        CASE WHEN is_timed THEN 'validation' ELSE 'calibration' END AS second_role
    FROM placed
    JOIN quota ON quota.class = placed.class
)
SELECT name, is_group,
    CASE
        WHEN is_last THEN 'train'
        WHEN 2 * start + rows <= 2 * first_rows THEN first_role
        WHEN 2 * start + rows <= 2 * set_aside THEN second_role
        ELSE 'train'
    END AS role
FROM sized
UNION ALL
SELECT name, is_group, known_role FROM unit WHERE known_role IS NOT NULL
"""
_SETTLED = """
CREATE OR REPLACE TEMP TABLE settled AS
WITH newest AS (
    SELECT sample_no, arg_max(class, dataset_no) AS class FROM given_label GROUP BY sample_no
)
SELECT arrived.sample_id, arrived.ordinal, arrived.rows, arrived.content_hash, arrived.group_name,
    class.class, arrived.disputed, arrived.known_no IS NULL AS is_new,
    coalesce(
        arrived.known_no, arrived.arrival + (SELECT coalesce(max(sample_no), -1) FROM sample)
    ) AS sample_no,
    CASE
        WHEN arrived.known_no IS NOT NULL THEN arrived.known_role
        WHEN $role = 'test' THEN 'test'
        WHEN class.class IS NULL THEN 'pool'
        ELSE unit_role.role
    END AS role,
    class.class IS NOT NULL AND newest.class IS DISTINCT FROM class.class AS is_labeled,
    newest.class IS NOT NULL AS was_labeled
FROM arrived
LEFT JOIN class ON class.name = arrived.label
LEFT JOIN newest ON newest.sample_no = arrived.known_no
LEFT JOIN unit_role
    ON unit_role.name = coalesce(arrived.group_name, arrived.sample_id)
    AND unit_role.is_group = (arrived.group_name IS NOT NULL)
    AND arrived.known_no IS NULL AND class.class IS NOT NULL
"""


def give_roles(connection: duckdb.DuckDBPyConnection, role: str, shares: Shares) -> None:
    """Number the new samples after the last one and decide their roles, once and for all.

    Raises:
        UsageError: more rows are to be set aside than there are.
    """
    connection.execute(_UNIT, {"role": role})
    strata: dict[int, int] = dict(connection.execute(_STRATA).fetchall())
    connection.register("quota", _table(quotas(strata, shares) if strata else {}))
    connection.execute(_ROLE)
    connection.unregister("quota")
    connection.execute(_SETTLED, {"role": role})


def _table(drawn: Mapping[int, Quota]) -> pa.Table:
    return pa.table(
        {
            "class": pa.array(drawn, pa.int32()),
            "validation": pa.array([quota.validation for quota in drawn.values()], pa.int64()),
            "calibration": pa.array([quota.calibration for quota in drawn.values()], pa.int64()),
        }
    )
