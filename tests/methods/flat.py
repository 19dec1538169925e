"""The smallest problem: noise for inputs, and a linear network, which says of a row what depends on no other row."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelsvc.methods.contract import Batch, Moment, Networks
from labelsvc.methods.supervised import Supervised

CLASSES = 4
Array = NDArray[np.float64]


def moment(progress: float = 0.0, *, seed: int = 0) -> Moment:
    """Return a moment with a generator of its own."""
    return Moment(progress, torch.Generator().manual_seed(seed))


def linear(seed: int = 0, *, scale: float = 1.0, dropout: float = 0.0) -> Networks:
    """Return a linear network over six values, its weights ``scale`` times as large as they would be."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(6, CLASSES))
    with torch.no_grad():
        model[2].weight.mul_(scale)
    return Networks(model, model)


def batch(seed: int = 0, *, labeled: int = 5, pool: int = 8, views: int = 2, pool_weight: float = 1.0) -> Batch:
    """Return labeled rows, and ``views`` views of pool rows, all of noise; a pool of 0 rows is none."""
    generator = torch.Generator().manual_seed(seed)
    given = torch.randn(labeled, 1, 2, 3, generator=generator)
    classes = torch.randint(CLASSES, (labeled,), generator=generator)
    if not pool:
        return Batch(given, classes, pool_weight=pool_weight)
    seen = tuple(torch.randn(pool, 1, 2, 3, generator=generator) for _ in range(views))
    words = torch.rand(pool, CLASSES, generator=generator).softmax(dim=1)
    return Batch(given, classes, seen, torch.arange(pool), words, pool_weight=pool_weight)


def gradients(networks: Networks, total: Tensor) -> list[Tensor]:
    """Return the gradient in every weight."""
    return list(torch.autograd.grad(total, list(networks.model.parameters())))


def supervised_gradients(networks: Networks, given: Batch) -> list[Tensor]:
    """Return what learning from the labeled rows alone would do."""
    losses, _ = Supervised().loss(networks, None, given, moment())
    return gradients(networks, losses.total)


def softmax(logits: Tensor) -> Array:
    """Return probabilities in float64."""
    raised = np.exp(logits.detach().numpy().astype(np.float64))
    return raised / raised.sum(axis=1, keepdims=True)
