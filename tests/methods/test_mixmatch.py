"""MixMatch against its paper's equations, in an independent float64 form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from training.bars import lesson, network

from labelsvc.methods import make
from labelsvc.methods.contract import Networks
from labelsvc.methods.mixmatch import MixMatch, sharpen
from labelsvc.methods.supervised import Supervised
from labelsvc.training.lesson import Sampler
from labelsvc.views.mixup import at_least_half, beta

from .flat import CLASSES, batch, gradients, linear, moment

Array = NDArray[np.float64]
UNMIXED = 1e-4  # an α at which λ' is 1


def softmax(logits: Tensor) -> Array:
    """Return probabilities in float64."""
    raised = np.exp(logits.detach().numpy().astype(np.float64))
    return raised / raised.sum(axis=1, keepdims=True)


def probabilities() -> Tensor:
    """Return ten rows of probabilities without ties."""
    return (2 * torch.randn(10, CLASSES, generator=torch.Generator().manual_seed(0))).softmax(dim=1)


def test_sharpening_is_the_papers() -> None:
    """A guess is p^(1/T) over its sum (eq. 7), a distribution at every temperature."""
    raised = probabilities().double().numpy() ** (1 / 0.3)
    np.testing.assert_allclose(sharpen(probabilities(), 0.3), raised / raised.sum(axis=1, keepdims=True), rtol=1e-4)
    for temperature in (0.01, 0.5, 1.0, 10.0):
        found = sharpen(probabilities(), temperature)
        assert (found >= 0).all()
        torch.testing.assert_close(found.sum(dim=1), torch.ones(10))


def test_sharpening_at_one_changes_nothing() -> None:
    """T = 1 leaves a distribution as it is."""
    torch.testing.assert_close(sharpen(probabilities(), 1.0), probabilities())


def test_sharpening_towards_zero_is_one_class() -> None:
    """T → 0 leaves the likeliest class alone, also where another was impossible."""
    given = torch.cat([probabilities(), torch.tensor([[0.0, 1.0, 0.0, 0.0]])])
    expected = torch.nn.functional.one_hot(given.argmax(dim=1), CLASSES).float()
    torch.testing.assert_close(sharpen(given, 0.001), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", [1e-4, 0.1, 0.75, 100.0])
def test_a_mixture_stays_nearer_to_its_own_row(alpha: float) -> None:
    """λ' is at least a half and at most 1, and it is max(λ, 1 − λ) of each λ."""
    drawn = beta(10_000, alpha, torch.Generator().manual_seed(0))
    weights = at_least_half(drawn)
    assert (weights >= 0.5).all()
    assert (weights <= 1).all()
    assert torch.equal(weights, torch.stack([drawn, 1 - drawn]).max(dim=0).values)


def test_the_mean_of_lambda_is_that_of_its_distribution() -> None:
    """λ' of Beta(α, α) has the mean that integrating max(x, 1 − x) over its density gives."""
    grid = (np.arange(100_000) + 0.5) / 100_000
    density = (grid * (1 - grid)) ** (0.75 - 1)
    expected = (np.maximum(grid, 1 - grid) * density).sum() / density.sum()
    found = at_least_half(beta(100_000, 0.75, torch.Generator().manual_seed(0))).mean().item()
    assert found == pytest.approx(expected, abs=3e-3)


def test_the_weight_is_the_papers() -> None:
    """λ_U rises on a straight line over 1/64 of the training, from 0 to 75, and stays there."""
    method = MixMatch()
    assert [method.weigh(share / 64) for share in (0, 0.25, 0.5, 1, 2, 64)] == [0, 18.75, 37.5, 75, 75, 75]
    assert MixMatch(ramp=0).weigh(0.0) == 75


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_loss_is_the_papers(k: int) -> None:
    """Algorithm 1, written out row by row in float64 with the same chance (eq. 2 to 5, 7 to 11)."""
    networks, given = linear(scale=3), batch(views=k)
    method = MixMatch(k=k, temperature=0.4, lambda_u=7)
    losses, _ = method.loss(networks, None, given, moment(0.5))
    chance = moment().generator
    order = torch.randperm(5 + 8 * k, generator=chance).numpy()
    drawn = beta(5 + 8 * k, 0.75, chance).numpy().astype(np.float64)
    guess = np.mean([softmax(networks.model(view)) for view in given.pool], axis=0) ** (1 / 0.4)
    guess /= guess.sum(axis=1, keepdims=True)
    rows = np.concatenate([given.labeled, *given.pool]).astype(np.float64)
    targets = np.concatenate([np.eye(CLASSES)[given.classes], *[guess] * k])
    labeled, pool = [], []
    for place, other in enumerate(order):
        share = max(drawn[place], 1 - drawn[place])
        row = share * rows[place] + (1 - share) * rows[other]
        target = share * targets[place] + (1 - share) * targets[other]
        p = softmax(networks.model(torch.from_numpy(row[None]).float()))[0]
        if place < 5:
            labeled.append(-(target * np.log(p)).sum())
        else:
            pool.append(((target - p) ** 2).sum())
    labeled_loss, pool_loss = np.sum(labeled) / 5, np.sum(pool) / (CLASSES * 8 * k)
    assert losses.total.item() == pytest.approx(labeled_loss + 7 * pool_loss, rel=1e-4)
    assert losses.figures["labeled loss"].item() == pytest.approx(labeled_loss, rel=1e-4)
    assert losses.figures["pool loss"].item() == pytest.approx(pool_loss, rel=1e-4)


def test_unmixed_and_without_the_pool_it_is_supervised() -> None:
    """With λ' = 1 and λ_U = 0 the loss and its gradient are the supervised ones."""
    networks, given = linear(), batch()
    ours, _ = MixMatch(lambda_u=0, alpha=UNMIXED).loss(networks, None, given, moment(0.5))
    theirs, _ = Supervised().loss(networks, None, given, moment())
    torch.testing.assert_close(ours.total, theirs.total)
    for found, expected in zip(gradients(networks, ours.total), gradients(networks, theirs.total), strict=True):
        torch.testing.assert_close(found, expected)


def test_unmixed_guesses_at_one_temperature_are_met_already() -> None:
    """One view, T = 1 and λ' = 1: the guess is the network's own answer, and the pool costs nothing."""
    losses, _ = MixMatch(k=1, temperature=1.0, alpha=UNMIXED).loss(linear(), None, batch(views=1), moment(0.5))
    assert losses.figures["pool loss"].item() == pytest.approx(0, abs=1e-12)


def test_guesses_are_targets_only() -> None:
    """No gradient goes back through a guess."""
    given = batch()
    for view in given.pool:
        view.requires_grad_()
    guess = MixMatch().guess(linear().model, given.pool)
    assert not guess.requires_grad


def test_the_views_follow_k() -> None:
    """A method with K views is shown K weak views of each pool row."""
    for k in (1, 2, 5):
        method = make("mixmatch", {"k": str(k), "labeled_batch": "3", "pool_batch": "4"})
        assert method.pool_views == ("weak",) * k
        drawn = Sampler(lesson(), method, steps=10, seed=0).draw(0, torch.Generator().manual_seed(0))
        assert [len(view) for view in drawn.pool] == [4] * k
        losses, _ = method.loss(Networks(network(), network()), None, drawn, moment())
        assert losses.total.isfinite()


def test_guessing_moves_no_statistic() -> None:
    """The guessing pass leaves the running statistics alone."""
    model, given = network().train(), lesson().labeled.take(torch.arange(12))
    before = [buffer.clone() for buffer in model.buffers()]
    MixMatch().guess(model, (given, given))
    assert all(torch.equal(now, then) for now, then in zip(model.buffers(), before, strict=True))


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One row is not in the way."""
    losses, _ = MixMatch().loss(linear(), None, batch(pool=1), moment(0.5))
    assert all(bool(tensor.isfinite()) for tensor in (losses.total, *losses.figures.values()))


def test_certain_answers_are_finite() -> None:
    """Probabilities of exactly 0 and 1 sharpen, mix and cost a finite loss."""
    networks, given = linear(scale=1e6), batch()
    losses, _ = MixMatch().loss(networks, None, given, moment(0.5))
    assert all(gradient.isfinite().all() for gradient in gradients(networks, losses.total))
