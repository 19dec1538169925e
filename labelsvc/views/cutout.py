"""Cutout: blank one random square of each picture (DeVries and Taylor 2017)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def cutout(
    pictures: Float[Tensor, "batch channels height width"],
    share: float,
    generator: torch.Generator,
    *,
    value: float = 0.0,
) -> Float[Tensor, "batch channels height width"]:
    """Fill a square of up to ``share`` of the shorter side, its centre anywhere, with ``value``."""
    height, width = pictures.shape[2:]
    draw = torch.rand(3, len(pictures), 1, generator=generator, device=generator.device)
    half = draw[0] * share * min(height, width) / 2
    rows = torch.arange(height, device=pictures.device)
    columns = torch.arange(width, device=pictures.device)
    in_rows = (rows - draw[1] * (height - 1)).abs() < half  # [batch, height]
    in_columns = (columns - draw[2] * (width - 1)).abs() < half  # [batch, width]
    hole = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
    return pictures.masked_fill(hole, value)
