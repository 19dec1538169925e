"""Losses and figures as pure functions of tensors. Each says what it averages over.

``logits`` are never probabilities. Nothing here knows of a method, a device or a step.
"""

from __future__ import annotations

import math

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


def log_probabilities(probabilities: Float[Tensor, "rows classes"]) -> Float[Tensor, "rows classes"]:
    """Return log p, which is finite where p is 0: it stands for the logits that stored probabilities came from.

    >>> log_probabilities(torch.tensor([[1.0, 0.0]])).round()
    tensor([[  0., -87.]])
    """
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


def weighted_cross_entropy(
    logits: Float[Tensor, "rows classes"], classes: Int[Tensor, " rows"], weights: Float[Tensor, " rows"]
) -> Float[Tensor, ""]:
    """Return weight · −log p(class), the mean over *all* rows, also those of weight zero."""
    return (weights * functional.cross_entropy(logits, classes, reduction="none")).mean()


def contrast(
    first: Float[Tensor, "rows outputs"], second: Float[Tensor, "rows outputs"], temperature: float
) -> Float[Tensor, ""]:
    """Return NT-Xent (Chen et al. 2020, eq. 1), the mean over both views of all rows.

    Each view is to pick its row's other view out of all 2N − 1 others, by cosine over ``temperature``.
    """
    unit = functional.normalize(torch.cat([first, second]).float(), dim=1)
    rows = torch.arange(len(unit), device=unit.device)
    likeness = (unit @ unit.T).float() / temperature
    others = likeness.masked_fill(rows[:, None] == rows, -torch.inf)
    return functional.cross_entropy(others, rows.roll(len(first)))


def entropy(logits: Float[Tensor, "rows classes"]) -> Float[Tensor, ""]:
    """Return −Σ p log p in nats, the mean over all rows.

    >>> round(entropy(torch.zeros(3, 4)).exp().item(), 4)
    4.0
    """
    return soft_cross_entropy(logits, logits.softmax(dim=1))


def divergence(logits: Float[Tensor, "rows classes"], targets: Float[Tensor, "rows classes"]) -> Float[Tensor, ""]:
    """Return Σ target · (log target − log p), the mean over all rows; a target of zero adds nothing.

    >>> round(divergence(torch.zeros(3, 4), torch.eye(4)[:3]).exp().item(), 4)
    4.0
    """
    return functional.kl_div(logits.log_softmax(dim=1), targets, reduction="batchmean")


def mean_divergence(logits: Float[Tensor, "rows classes"], prior: Float[Tensor, " classes"]) -> Float[Tensor, ""]:
    """Return Σ prior · (log prior − log p̄), where p̄ is the mean of p over all rows; a prior of zero adds nothing.

    >>> round(mean_divergence(torch.zeros(3, 4), torch.tensor([1.0, 0, 0, 0])).exp().item(), 4)
    4.0
    """
    log_mean = logits.log_softmax(dim=1).logsumexp(dim=0, keepdim=True) - math.log(len(logits))
    return divergence(log_mean, prior[None])


def squared_distance(
    probabilities: Float[Tensor, "rows classes"], targets: Float[Tensor, "rows classes"]
) -> Float[Tensor, ""]:
    """Return (p − target)², the mean over all rows *and classes*.

    >>> squared_distance(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])).item()
    0.25
    """
    return functional.mse_loss(probabilities, targets)


def largest_share(classes: Int[Tensor, " rows"], count: int) -> Float[Tensor, ""]:
    """Return the share of the commonest of ``count`` classes among the rows; the device is not waited for."""
    rows = torch.zeros(count, device=classes.device).index_add_(0, classes, torch.ones_like(classes, dtype=torch.float))
    return rows.max() / len(classes)
