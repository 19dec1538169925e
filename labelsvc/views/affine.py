"""Shift, turn, scale, shear and flip a batch of pictures, each by its own random amount, in one resampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class AffineRange:
    """How far each picture may be moved, each amount drawn evenly from ± its bound."""

    degrees: float = 0.0
    shift: float = 0.0  # of the picture's side
    scale: float = 0.0  # the factor lies in 1 ± scale
    shear: float = 0.0  # tangent
    flip: bool = False  # left and right, every second time


def random_affine(
    pictures: Float[Tensor, "batch channels height width"],
    bounds: AffineRange,
    generator: torch.Generator,
    *,
    padding: str = "zeros",
) -> Float[Tensor, "batch channels height width"]:
    """Resample each picture (bilinear) under an affine map of its own; ``padding`` as in ``grid_sample``."""
    maps = _random_maps(len(pictures), bounds, generator).to(pictures.dtype)
    grid = functional.affine_grid(maps, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _random_maps(count: int, bounds: AffineRange, generator: torch.Generator) -> Float[Tensor, "batch 2 3"]:
    """Draw the maps from output to input places, in units where a picture reaches from −1 to 1."""
    draw = torch.rand(6, count, generator=generator, device=generator.device) * 2 - 1
    angle = draw[0] * math.radians(bounds.degrees)
    zoom = 1 + draw[1] * bounds.scale
    shear = draw[2] * bounds.shear
    mirror = torch.where(draw[3] < 0, -1.0, 1.0) if bounds.flip else torch.ones_like(draw[3])
    shift = 2 * bounds.shift * draw[4:6]  # a side is two units long
    cosine, sine = angle.cos() * zoom, angle.sin() * zoom
    return torch.stack(
        [
            torch.stack([mirror * cosine, mirror * (shear * cosine - sine), shift[0]], dim=1),
            torch.stack([sine, shear * sine + cosine, shift[1]], dim=1),
        ],
        dim=1,
    )
