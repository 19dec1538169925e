"""The Π-model against its paper's algorithm, in an independent float64 form."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelsvc.methods.contract import Batch
from labelsvc.methods.pi_model import PiModel
from labelsvc.methods.supervised import Supervised

from .flat import batch, gradients, linear, moment


def softmax(logits: Tensor) -> NDArray[np.float64]:
    """Return probabilities in float64."""
    raised = np.exp(logits.detach().numpy().astype(np.float64))
    return raised / raised.sum(axis=1, keepdims=True)


def test_the_weight_is_the_papers() -> None:
    """The weight w is w_max · exp(−5 (1 − T)²) with T from 0 to 1 over 80 of 300 epochs, and w_max from there on."""
    method = PiModel()
    for epoch in (0, 1, 40, 79):
        assert method.weigh(epoch / 300) == pytest.approx(100 * math.exp(-5 * (1 - epoch / 80) ** 2))
    assert [method.weigh(epoch / 300) for epoch in (80, 81, 299)] == [100, 100, 100]


def test_the_weight_rises() -> None:
    """It never falls, jumps nowhere, and without a ramp it is w_max at once."""
    weights = [PiModel().weigh(step / 1000) for step in range(1000)]
    assert (np.diff(weights) >= 0).all()
    assert np.diff(weights).max() < 1
    assert PiModel(ramp=0).weigh(0.0) == 100


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.9])
def test_the_loss_is_the_papers(progress: float) -> None:
    """N/M times −1/|B| Σ log z_y + w(t) · M/N · 1/(C|B|) Σ ‖z − z̃‖², over a batch with M/N of its rows labeled."""
    networks, given = linear(scale=3), batch(labeled=5, pool=8)
    losses, _ = PiModel(w_max=7).loss(networks, None, given, moment(progress))
    answers, first, second = (softmax(networks.model(rows)) for rows in (given.labeled, *given.pool))
    share = 5 / 13  # M/N
    labeled = -np.log(answers[np.arange(5), given.classes.numpy()]).sum() / 13
    pool = ((first - second) ** 2).sum() / (4 * 8)
    expected = (labeled + PiModel(w_max=7).weigh(progress) * share * pool) / share
    assert losses.total.item() == pytest.approx(expected, rel=1e-4)
    assert losses.figures["pool loss"].item() == pytest.approx(pool, rel=1e-4)
    assert losses.figures["labeled loss"].item() == pytest.approx(labeled / share, rel=1e-4)


def test_views_that_agree_leave_the_supervised_gradient() -> None:
    """Where both views are the same picture and nothing is dropped, the pool moves nothing."""
    networks, given = linear(), batch()
    given = replace(given, pool=(given.pool[0], given.pool[0]))
    ours, _ = PiModel().loss(networks, None, given, moment(1.0))
    theirs, _ = Supervised().loss(networks, None, given, moment())
    for found, expected in zip(gradients(networks, ours.total), gradients(networks, theirs.total), strict=True):
        torch.testing.assert_close(found, expected)


def test_dropout_alone_is_noise_enough() -> None:
    """Under dropout two looks at the same picture differ."""
    networks, given = linear(dropout=0.5), batch()
    networks.model.train()
    with torch.random.fork_rng():
        same = replace(given, pool=(given.pool[0], given.pool[0]))
        losses, _ = PiModel().loss(networks, None, same, moment(1.0))
    assert losses.figures["pool loss"] > 0


def test_both_views_learn() -> None:
    """The squared distance pulls at both answers: neither is a fixed target."""
    given = batch()
    for view in given.pool:
        view.requires_grad_()
    losses, _ = PiModel().loss(linear(), None, given, moment(1.0))
    losses.total.backward()
    assert all(view.grad is not None and view.grad.abs().sum() > 0 for view in given.pool)


def finite(given: Batch) -> bool:
    """Say whether the loss and its figures are finite."""
    losses, _ = PiModel().loss(linear(), None, given, moment(0.5))
    return all(bool(tensor.isfinite()) for tensor in (losses.total, *losses.figures.values()))


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One row is not in the way."""
    assert finite(batch(pool=1))
