"""Brightness, contrast and saturation of a batch, each picture by its own random amount."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def jitter(
    pictures: Float[Tensor, "batch channels height width"], strength: float, generator: torch.Generator
) -> Float[Tensor, "batch channels height width"]:
    """Change brightness, contrast and saturation by factors in 1 ± ``strength``; the result stays in [0, 1]."""
    draw = torch.rand(3, len(pictures), 1, 1, 1, generator=generator, device=generator.device)
    brightness, contrast, saturation = 1 + strength * (2 * draw - 1)
    pictures = pictures * brightness
    pictures = _away_from(pictures, pictures.mean(dim=(1, 2, 3), keepdim=True), contrast)
    pictures = _away_from(pictures, pictures.mean(dim=1, keepdim=True), saturation)
    return pictures.clamp(0, 1)


def _away_from(pictures: Tensor, middle: Tensor, factor: Tensor) -> Tensor:
    return middle + (pictures - middle) * factor
