"""Losses and figures as pure functions of tensors. Each says what it averages over.

``logits`` are never probabilities. Nothing here knows of a method, a device or a step.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def cross_entropy(
    logits: Float[Tensor, "rows classes"], classes: Int[Tensor, " rows"], *, smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return −log p(class), the mean over all rows.

    ``smoothing`` ε moves the target to (1 − ε) one-hot + ε / C (Szegedy et al. 2015).
    """
    return functional.cross_entropy(logits, classes, label_smoothing=smoothing)


def soft_cross_entropy(
    logits: Float[Tensor, "rows classes"], targets: Float[Tensor, "rows classes"]
) -> Float[Tensor, ""]:
    """Return −Σ target · log p, the mean over all rows; on one-hot targets this is ``cross_entropy``."""
    return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()


def weighted_cross_entropy(
    logits: Float[Tensor, "rows classes"], classes: Int[Tensor, " rows"], weights: Float[Tensor, " rows"]
) -> Float[Tensor, ""]:
    """Return weight · −log p(class), the mean over *all* rows, also those of weight zero."""
    return (weights * functional.cross_entropy(logits, classes, reduction="none")).mean()


def largest_share(classes: Int[Tensor, " rows"], count: int) -> Float[Tensor, ""]:
    """Return the share of the commonest of ``count`` classes among the rows; the device is not waited for."""
    rows = torch.zeros(count, device=classes.device).index_add_(0, classes, torch.ones_like(classes, dtype=torch.float))
    return rows.max() / len(classes)
