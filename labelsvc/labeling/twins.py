"""Near-duplicates across roles: held-out rows that are nearly, or wholly, the same as a row of another role.

A picture in training and its twin in validation or calibration make scores and promises too good. A row is a twin of
the row nearest to it in another role where that one is at most ``NEARER`` of the distance of the ``FURTHER``-th: both
distances are of the same neighbourhood, so that no scale has to be known (Lowe 2004 compares the first with the second;
the tenth still works where a picture has several twins). Reads no label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelsvc.labeling.neighbours import nearest

NEARER = 1 / 3
FURTHER = 10
SAME = 1e-3  # a distance that is rounding, between unit vectors in float32


@dataclass(frozen=True)
class Twins:
    """Pairs of rows, closest first, each pair once."""

    rows: NDArray[np.int64]
    others: NDArray[np.int64]
    distances: NDArray[np.float64]  # as a share of that of the ``FURTHER``-th neighbour

    def __len__(self) -> int:
        return len(self.rows)


def twins(places: NDArray[np.float32], roles: NDArray[np.int64], held_out: NDArray[np.int64]) -> Twins:
    """Return the pairs of a held-out row and its twin in another role.

    Args:
        places: unit vectors of all rows [rows, components].
        roles: a number for each row's role.
        held_out: which rows are held out, as positions among all.
    """
    around = nearest(places, roles, FURTHER, asked=held_out)
    if around.distances.shape[1] < FURTHER:
        return Twins(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    near, far = around.distances[:, 0].astype(np.float64), around.distances[:, -1].astype(np.float64)
    found = np.isfinite(far) & ((near <= NEARER * far) | (near <= SAME))
    share = (near / far.clip(min=SAME))[found]
    rows, others = held_out[found], around.rows[found, 0]
    _, first = np.unique(np.sort(np.stack([rows, others], axis=1), axis=1), axis=0, return_index=True)
    order = first[np.lexsort((rows[first], share[first]))]
    return Twins(rows[order], others[order], share[order])
