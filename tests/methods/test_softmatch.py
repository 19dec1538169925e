"""SoftMatch against its paper's equations, in an independent float64 form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from labelsvc.methods.contract import Batch, Networks, Problem
from labelsvc.methods.softmatch import Running, SoftMatch, align

from .flat import CLASSES, batch, gradients, linear, moment, softmax, supervised_gradients

PRIOR = torch.tensor([0.4, 0.3, 0.2, 0.1])


def running(*, mean: float = 0.5, variance: float = 0.04, marginal: Tensor = PRIOR) -> Running:
    """Return a memory of our choice."""
    return Running(PRIOR, marginal, torch.tensor(mean), torch.tensor(variance))


def test_the_confident_weigh_most() -> None:
    """At the running mean and above it a row weighs λ_max, whatever the variance."""
    method = SoftMatch(lambda_max=0.7)
    for variance in (1e-4, 1.0):
        weights = method.weigh(torch.tensor([0.5, 0.500001, 0.9, 1.0]), running(variance=variance))
        torch.testing.assert_close(weights, torch.full((4,), 0.7))


@pytest.mark.parametrize("sigmas", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("variance", [0.01, 0.04, 1.0])
def test_below_the_mean_weights_fall_as_a_bell(sigmas: float, variance: float) -> None:
    """Below the mean λ = λ_max · exp(−(c − μ)² / (2σ² / n²)), falling with the distance."""
    confidence = torch.linspace(0.25, 0.4999, 20)
    method = SoftMatch(lambda_max=0.9, sigmas=sigmas)
    weights = method.weigh(confidence, running(variance=variance)).numpy()
    expected = 0.9 * np.exp(-((confidence.numpy().astype(np.float64) - 0.5) ** 2) / (2 * variance / sigmas**2))
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    assert (np.diff(weights) > 0).all()


def test_aligned_to_where_it_is_nothing_changes() -> None:
    """Where the pool's marginal is the prior, alignment leaves probabilities as they are."""
    probabilities = torch.randn(10, CLASSES, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    torch.testing.assert_close(align(probabilities, running()), probabilities)


def test_aligned_rows_sum_to_one() -> None:
    """Aligned rows are distributions, also where a class was never seen in the pool or among the labels."""
    probabilities = (4 * torch.randn(10, CLASSES, generator=torch.Generator().manual_seed(0))).softmax(dim=1)
    for marginal in (torch.full((4,), 0.25), torch.tensor([1.0, 0.0, 0.0, 0.0])):
        for prior in (PRIOR, torch.tensor([0.0, 0.5, 0.5, 0.0])):
            aligned = align(probabilities, replace(running(marginal=marginal), prior=prior))
            torch.testing.assert_close(aligned.sum(dim=1), torch.ones(10))
            assert (aligned >= 0).all()
            assert (aligned[:, prior == 0] == 0).all()


def test_alignment_lifts_what_the_pool_lacks() -> None:
    """A class that is called less often than the prior says gains, one that is called more often loses."""
    even = torch.full((1, CLASSES), 0.25)
    aligned = align(even, running(marginal=torch.tensor([0.7, 0.1, 0.1, 0.1])))
    torch.testing.assert_close(aligned[0], torch.tensor([4 / 7, 3.0, 2.0, 1.0]) / (4 / 7 + 6))


def test_the_memory_starts_as_a_guess() -> None:
    """Before the first step the pool's marginal is uniform, confidence 1 / C, and its variance 1."""
    start = SoftMatch().init(Problem(PRIOR))
    assert torch.equal(start.prior, PRIOR)
    torch.testing.assert_close(start.marginal, torch.full((4,), 0.25))
    assert (start.mean.item(), start.variance.item()) == (0.25, 1.0)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.999])
def test_the_memory_follows_by_hand(momentum: float) -> None:
    """p̄, μ and σ² are running means of the batch's marginal, mean and unbiased variance, each used at once."""
    method, networks = SoftMatch(momentum_stat=momentum), linear()
    memory = method.init(Problem(PRIOR))
    marginal, mean, variance = np.full(CLASSES, 0.25), 0.25, 1.0
    for step in range(4):
        given = batch(step)
        _, memory = method.loss(networks, memory, given, moment())
        p = softmax(networks.model(given.pool[0]))
        marginal = momentum * marginal + (1 - momentum) * p.mean(axis=0)
        aligned = p * PRIOR.numpy() / marginal
        confidence = (aligned / aligned.sum(axis=1, keepdims=True)).max(axis=1)
        mean = momentum * mean + (1 - momentum) * confidence.mean()
        variance = momentum * variance + (1 - momentum) * confidence.var(ddof=1)
    np.testing.assert_allclose(memory.marginal, marginal, rtol=1e-4)
    assert memory.mean.item() == pytest.approx(mean, rel=1e-4)
    assert memory.variance.item() == pytest.approx(variance, rel=1e-4)


def test_the_loss_is_the_papers() -> None:
    """L = H(y, f(x)) + w · mean over all pool rows of λ · H(argmax p̃, f(Ω(u))), λ by the memory of this step."""
    method, networks, given = SoftMatch(weight=0.6, lambda_max=0.8, momentum_stat=0.7), linear(scale=3), batch()
    losses, memory = method.loss(networks, running(), given, moment())
    aligned = softmax(networks.model(given.pool[0])) * PRIOR.numpy() / memory.marginal.numpy()
    aligned /= aligned.sum(axis=1, keepdims=True)
    confidence, guess = aligned.max(axis=1), aligned.argmax(axis=1)
    distance = np.minimum(confidence - memory.mean.item(), 0)
    weights = 0.8 * np.exp(-(distance**2) / (2 * memory.variance.item() / 2.0**2))
    surprise = -np.log(softmax(networks.model(given.pool[1])))[np.arange(8), guess]
    pool = (weights * surprise).mean()
    labeled = -np.log(softmax(networks.model(given.labeled)))[np.arange(5), given.classes.numpy()].mean()
    assert losses.total.item() == pytest.approx(labeled + 0.6 * pool, rel=1e-4)
    assert losses.figures["labeled loss"].item() == pytest.approx(labeled, rel=1e-4)
    assert losses.figures["pool loss"].item() == pytest.approx(pool, rel=1e-4)
    assert losses.figures["used"].item() == pytest.approx(weights.mean() / 0.8, rel=1e-4)


def test_no_weight_no_pool() -> None:
    """With w = 0 the gradient is the supervised one."""
    networks, given = linear(), batch()
    losses, _ = SoftMatch(weight=0).loss(networks, running(), given, moment())
    for found, expected in zip(gradients(networks, losses.total), supervised_gradients(networks, given), strict=True):
        torch.testing.assert_close(found, expected)


def test_nothing_confident_no_pool() -> None:
    """Where every row lies far below the running mean, the gradient is the supervised one."""
    networks, given = linear(), batch()
    far = running(mean=1.0, variance=1e-7)
    losses, _ = SoftMatch(momentum_stat=1).loss(networks, far, given, moment())
    assert losses.figures["used"] == 0
    for found, expected in zip(gradients(networks, losses.total), supervised_gradients(networks, given), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_weak_view_only_teaches() -> None:
    """Pseudo-labels and weights carry no gradient back to the weak view; the strong view does learn."""
    given = batch()
    given.pool[0].requires_grad_()
    given.pool[1].requires_grad_()
    losses, _ = SoftMatch().loss(linear(), running(), given, moment())
    losses.total.backward()
    assert given.pool[0].grad is None
    assert given.pool[1].grad is not None
    assert given.pool[1].grad.abs().sum() > 0


def finite(method: SoftMatch, given: Batch, networks: Networks) -> bool:
    """Say whether loss, figures and memory stay finite over a few steps."""
    memory = method.init(Problem(PRIOR))
    tensors = []
    for _ in range(3):
        losses, memory = method.loss(networks, memory, given, moment())
        tensors += [losses.total, *losses.figures.values(), *vars(memory).values()]
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def test_no_highest_weight_is_no_pool() -> None:
    """λ_max = 0 is within its bounds and gives finite figures."""
    assert finite(SoftMatch(lambda_max=0), batch(), linear())


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One row has no variance to follow, and is not in the way."""
    assert finite(SoftMatch(), batch(pool=1), linear())


def test_equal_confidence_is_finite() -> None:
    """A pool whose rows are all equally sure has no variance; each weighs λ_max."""
    weights = SoftMatch().weigh(torch.ones(3), running(mean=1.0, variance=0.0))
    assert torch.equal(weights, torch.ones(3))
