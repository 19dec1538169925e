"""What a search for wrong labels asks of samples: which are of one kin, and on which a person has decided.

Reads no label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labelsvc.records import SampleNumbers
from labelsvc.store.database import Store, arrow
from labelsvc.store.samples import column

_KINSHIP = """
SELECT
    dense_rank() OVER (ORDER BY sample.content_hash) AS content,
    dense_rank() OVER (ORDER BY sample.group_name, CASE WHEN sample.group_name IS NULL THEN sample.content_hash END)
        AS kin
FROM asked
JOIN sample ON sample.sample_no = asked.sample_no
ORDER BY asked.place
"""
_DECIDED = "SELECT DISTINCT sample_no FROM decision WHERE decision <> 'unsure' ORDER BY sample_no"


@dataclass(frozen=True)
class Kinship:
    """Numbers that rows share: ``contents`` where their content is the same, ``kin`` where their group is, too."""

    contents: NDArray[np.int64]
    kin: NDArray[np.int64]


def kinship(store: Store, numbers: SampleNumbers) -> Kinship:
    """Return who of ``numbers`` belongs together, in their order; rows without a group are kin of their copies."""
    with store.reading() as connection:
        connection.register("asked", pa.table({"sample_no": numbers, "place": np.arange(len(numbers))}))
        table = arrow(connection, _KINSHIP)
    return Kinship(column(table, "content"), column(table, "kin"))


def decided(store: Store) -> SampleNumbers:
    """Return the samples on which a person has decided, be it a confirm, sorted; an unsure decides nothing."""
    with store.reading() as connection:
        return column(arrow(connection, _DECIDED), "sample_no")
