"""MixUp: convex combinations of pairs of rows and of their targets (Zhang et al., ICLR 2018).

λ ~ Beta(α, α),   x' = λ x + (1 − λ) x_order,   q' = λ q + (1 − λ) q_order
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def beta(rows: int, alpha: float, generator: torch.Generator) -> Float[Tensor, " rows"]:
    """Return a λ for each row from Beta(α, α), on the generator's device."""
    shape = torch.full((2, rows), alpha, device=generator.device)
    one, other = torch._standard_gamma(shape, generator=generator)
    weights: Tensor = (one / (one + other).clamp(min=1e-30)).clamp(0, 1)
    return weights


def at_least_half(weights: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """Return λ' = max(λ, 1 − λ), by which a mixture stays nearer to its own row (MixMatch, Berthelot et al. 2019).

    >>> at_least_half(torch.tensor([0.25, 0.5, 1.0])).tolist()
    [0.75, 0.5, 1.0]
    """
    return torch.maximum(weights, 1 - weights)


def mixup(
    rows: Float[Tensor, "rows ..."], weights: Float[Tensor, " rows"], order: Int[Tensor, " rows"]
) -> Float[Tensor, "rows ..."]:
    """Return λ x + (1 − λ) x_order for pictures or for targets, with a λ for each row.

    >>> mixup(torch.tensor([[0.0], [8.0]]), torch.tensor([0.75, 0.5]), torch.tensor([1, 0])).tolist()
    [[2.0], [4.0]]
    """
    share = weights.to(rows.dtype).view(-1, *[1] * (rows.ndim - 1))
    return share * rows + (1 - share) * rows[order]
