"""Rows of tables and vectors as networks see them, and the small net for them.

A table's numbers are standardised by what the workspace met first, a null is 0 beside a mark of its own, a category is
one-hot; a category that was not met then is all zeros. Vectors are divided by one scale, so that their directions stay.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from labelsvc.records import Column, InputShape, TableShape, VectorShape

WIDTH = 256  # of each hidden layer
FURTHEST = 10.0  # standard deviations from the mean, beyond which a number counts as so far
DROPPED = 0.1  # of the hidden values, while it learns


class Standardised(nn.Module):
    """Columns of a table [batch, columns] to what networks see [batch, features]: numbers, marks of nulls, one-hots."""

    numbers: Tensor
    mean: Tensor
    std: Tensor
    marked: Tensor
    held: Tensor
    codes: Tensor

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__()
        numbers = [place for place, column in enumerate(columns) if column.kind != "category"]
        marked = [place for place, column in enumerate(columns) if column.has_nulls]
        one_hot = [(place, code) for place, column in enumerate(columns) for code in range(len(column.categories))]
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.int64))
        self.register_buffer("mean", torch.tensor([columns[place].mean for place in numbers], dtype=torch.float32))
        self.register_buffer("std", torch.tensor([columns[place].std for place in numbers], dtype=torch.float32))
        self.register_buffer("marked", torch.tensor(marked, dtype=torch.int64))
        self.register_buffer("held", torch.tensor([place for place, _ in one_hot], dtype=torch.int64))
        self.register_buffer("codes", torch.tensor([code for _, code in one_hot], dtype=torch.float32))

    def forward(self, rows: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch features"]:
        """Return the rows as numbers of about the same size, without a gap."""
        numbers = (rows[:, self.numbers] - self.mean) / self.std
        whole = torch.where(numbers.isnan(), torch.zeros_like(numbers), numbers).clamp(-FURTHEST, FURTHEST)
        marks = rows[:, self.marked].isnan().float()
        one_hot = (rows[:, self.held] == self.codes).float()
        return torch.cat([whole, marks, one_hot], dim=1)


class Scaled(nn.Module):
    """Vectors divided by one scale."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, rows: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        """Return the vectors at a size of about 1 a value."""
        return rows.float() / self.scale


def seen_features(shape: TableShape | VectorShape) -> nn.Module:
    """Return what makes rows of a table, or vectors, into what networks see."""
    return Standardised(shape.columns) if isinstance(shape, TableShape) else Scaled(shape.scale)


def width(shape: InputShape) -> int:
    """Return how many features a network sees of a row.

    >>> width(TableShape((Column("age", "number", has_nulls=True), Column("job", "category", categories=("a", "b")))))
    4
    """
    if not isinstance(shape, TableShape):
        (length,) = shape.sides
        return length
    return sum(len(one.categories) if one.kind == "category" else 1 for one in shape.columns) + sum(
        one.has_nulls for one in shape.columns
    )


def mlp(shape: InputShape, classes: int) -> nn.Module:
    """Build two hidden layers with batch norm for rows of tables and vectors."""
    layers: list[nn.Module] = []
    inputs = width(shape)
    for _ in range(2):
        layers += [nn.Linear(inputs, WIDTH, bias=False), nn.BatchNorm1d(WIDTH), nn.ReLU(inplace=True)]
        layers.append(nn.Dropout(DROPPED))
        inputs = WIDTH
    return nn.Sequential(*layers, nn.Linear(inputs, classes))
