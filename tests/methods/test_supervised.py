"""Supervised learning, and nothing else."""

from __future__ import annotations

import pytest
import torch
from training.bars import lesson, network

from labelsvc.losses import soft_cross_entropy
from labelsvc.methods.contract import Batch, Networks
from labelsvc.methods.supervised import Supervised

from .flat import moment


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_smoothed_cross_entropy(smoothing: float) -> None:
    """The loss is the cross-entropy with (1 − ε) one-hot + ε / C, a mean over the labeled rows."""
    task, model = lesson(), network().eval()
    batch = Batch(task.labeled.take(torch.arange(12)), task.classes)
    losses, memory = Supervised(smoothing=smoothing).loss(Networks(model, model), None, batch, moment())
    targets = (1 - smoothing) * torch.eye(3)[task.classes] + smoothing / 3
    torch.testing.assert_close(losses.total, soft_cross_entropy(model(batch.labeled), targets))
    assert memory is None


def test_the_pool_is_not_looked_at() -> None:
    """A pool in the batch changes nothing."""
    task, model = lesson(), network().eval()
    labeled, noise = task.labeled.take(torch.arange(12)), torch.full((4, 1, 8, 8), torch.nan)
    found = [
        Supervised().loss(Networks(model, model), None, batch, moment())[0].total
        for batch in (Batch(labeled, task.classes), Batch(labeled, task.classes, (noise, noise)))
    ]
    assert torch.equal(*found)
    assert not Supervised().needs_pool
