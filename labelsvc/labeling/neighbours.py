"""Rows as directions of what a network makes of them, and the nearest ones of each.

Knows no label, no role and no network: what keeps two rows from being neighbours is a number that they share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

DIMENSIONS = 64  # principal components that are kept
CELLS = 1 << 25  # pairs of rows that are compared at a time, of four bytes each


@dataclass(frozen=True)
class Neighbours:
    """Of each row that was asked for, the nearest others, nearest first; where there are too few, at distance inf."""

    rows: Int64[np.ndarray, "asked count"]
    distances: Float32[np.ndarray, "asked count"]


def directions(features: NDArray[np.float32], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """Return features [rows, features] as unit vectors of their first principal components [rows, components]."""
    places = principal(features, dimensions)
    unit: NDArray[np.float32] = places / np.linalg.norm(places, axis=1, keepdims=True).clip(min=1e-12)
    return unit.astype(np.float32)


def principal(features: NDArray[np.float32], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """Return the first principal components [rows, components] of features [rows, features], all if there are fewer."""
    centred = features - features.mean(axis=0)
    _, components = np.linalg.eigh(centred.T @ centred)  # ascending
    places: NDArray[np.float32] = centred @ components[:, -dimensions:]
    return places


def nearest(
    places: NDArray[np.float32], apart: NDArray[np.int64], count: int, *, asked: NDArray[np.int64] | None = None
) -> Neighbours:
    """Return the ``count`` rows nearest to each of the rows ``asked``, without those of its own ``apart``.

    Args:
        places: unit vectors [rows, components].
        apart: a number for each row; rows that share it are no neighbours. A row is never its own.
        count: how many to find.
        asked: whose neighbours; None: everybody's.

    >>> around = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    >>> nearest(around, np.arange(3), 1).rows[:, 0]
    array([1, 0, 1])
    """
    asked = np.arange(len(places)) if asked is None else asked
    all_places, all_apart = torch.tensor(places), torch.tensor(apart)  # copies: what Arrow gives is read-only
    count, step = min(count, len(places)), max(1, CELLS // max(len(places), 1))
    rows = [np.empty((0, count), np.int64)]
    cosines = [np.empty((0, count), np.float32)]
    for start in range(0, len(asked), step):
        block = torch.tensor(asked[start : start + step])
        alike = all_places[block] @ all_places.T
        alike.masked_fill_(all_apart[block][:, None] == all_apart, -np.inf)
        most = alike.topk(count)
        rows.append(most.indices.numpy())
        cosines.append(most.values.numpy())
    return Neighbours(np.concatenate(rows), np.sqrt((2 - 2 * np.concatenate(cosines)).clip(min=0)))
