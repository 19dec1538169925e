"""Views of rows of tables and of vectors, whose features are about 1 in size: noise, and features that are blanked.

Noise as in denoising autoencoders and the ladder network (Rasmus et al. 2015), blanking as in VIME's mask (Yoon et al.
2020), but by 0, which stands for the mean and for "not this category".
"""

from __future__ import annotations

import torch
from torch import Tensor

WEAK_NOISE, STRONG_NOISE = 0.05, 0.35  # standard deviations
BLANKED = 0.05  # of the features, in the strong view


def features_weak(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Add a little noise."""
    return _noisy(rows, WEAK_NOISE, generator)


def features_strong(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Add noise and blank some features of each row."""
    kept = torch.rand(rows.shape, generator=generator, device=rows.device) >= BLANKED
    return _noisy(rows, STRONG_NOISE, generator) * kept


def _noisy(rows: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    return rows + deviation * torch.randn(rows.shape, generator=generator, device=rows.device)
