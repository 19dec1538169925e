"""Rows of tables and vectors as networks see them, and the net for them."""

from __future__ import annotations

import pytest
import torch

from labelsvc.errors import UsageError
from labelsvc.networks import build
from labelsvc.networks.features import FURTHEST, seen_features, width
from labelsvc.records import Column, PictureShape, Preprocessing, TableShape, VectorShape

SHAPE = TableShape(
    (
        Column("age", "number", 40.0, 10.0, has_nulls=True),
        Column("job", "category", categories=("cook", "miner"), has_nulls=True),
        Column("member", "boolean", 0.5, 0.5),
    )
)
NULL = float("nan")


def test_numbers_are_standardised_and_nulls_marked() -> None:
    """Numbers first, then marks of nulls, then categories; an unmet category is none of them, a null is marked."""
    rows = torch.tensor([[50.0, 1.0, 1.0], [NULL, NULL, 0.0], [40.0, 2.0, 0.0]])
    assert seen_features(SHAPE)(rows).tolist() == [
        [1, 1, 0, 0, 0, 1],
        [0, -1, 1, 1, 0, 0],
        [0, -1, 0, 0, 0, 0],
    ]
    assert width(SHAPE) == 6


def test_a_number_far_off_is_at_the_end() -> None:
    """What is beyond so many deviations counts as so far."""
    seen = seen_features(SHAPE)(torch.tensor([[1e9, 0.0, 0.0], [-1e9, 0.0, 0.0]]))
    assert seen[:, 0].tolist() == [FURTHEST, -FURTHEST]


def test_vectors_keep_their_directions() -> None:
    """One scale for all values."""
    rows = torch.tensor([[3.0, 4.0]])
    assert torch.allclose(seen_features(VectorShape(2, 5.0))(rows), rows / 5)


@pytest.mark.parametrize("shape", [SHAPE, VectorShape(7, 1.0)], ids=["table", "vector"])
def test_the_net_takes_what_is_seen(shape: TableShape | VectorShape) -> None:
    """Features in, logits out; the same seed makes the same weights."""
    one, other = (build("mlp", Preprocessing(shape), 4, seed=2).eval() for _ in range(2))
    seen = seen_features(shape)(torch.randn(5, *shape.sides))
    assert one(seen).shape == (5, 4)
    assert torch.equal(one(seen), other(seen))


def test_a_net_is_for_one_kind_of_input() -> None:
    """Pictures' nets take no tables, and the other way round."""
    with pytest.raises(UsageError, match="network convnet cannot read a table; there are mlp"):
        build("convnet", Preprocessing(SHAPE), 2, seed=0)
    with pytest.raises(UsageError, match="network mlp cannot read a image"):
        build("mlp", Preprocessing(PictureShape(8, 8, 1), (0.5,), (0.5,)), 2, seed=0)
