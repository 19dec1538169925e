"""Virtual adversarial training against its paper: its direction, where that is known in closed form, and its loss."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from training.bars import lesson, network

from labelsvc.methods.contract import Networks
from labelsvc.methods.supervised import Supervised
from labelsvc.methods.vat import Vat, unit
from labelsvc.optim.precision import autocast

from .flat import batch, gradients, linear, moment

Array = NDArray[np.float64]


def softmax(logits: Tensor) -> Array:
    """Return probabilities in float64."""
    raised = np.exp(logits.detach().numpy().astype(np.float64))
    return raised / raised.sum(axis=1, keepdims=True)


def top_eigenvectors(model: nn.Module, rows: Tensor) -> Array:
    """Return of each row the direction in which D bends most: the first eigenvector of Wᵀ (diag p − p pᵀ) W."""
    weight = model[2].weight.detach().numpy()  # type: ignore[index]
    found = []
    for p in softmax(model(rows)):
        hessian = weight.T @ (np.diag(p) - np.outer(p, p)) @ weight
        found.append(np.linalg.eigh(hessian)[1][:, -1])
    return np.stack(found)


def alignment(iterations: int, *, seed: int = 0) -> Array:
    """Return |cos| between VAT's direction and the true one, for each of 200 rows of a linear network in float64."""
    model, (rows,) = linear().model.double(), batch(pool=200, views=1).pool
    rows = rows.double()
    method = Vat(iterations=iterations, xi=1e-6)
    found = method.direction(model, rows, torch.Generator().manual_seed(seed)).flatten(1).numpy()
    return np.abs((found * top_eigenvectors(model, rows)).sum(axis=1))


def test_the_direction_is_the_top_eigenvector() -> None:
    """With enough power iterations it is the one in which the divergence's Hessian is largest, in every row."""
    assert alignment(100).min() > 0.999


def test_each_iteration_comes_nearer() -> None:
    """|cos| with the true direction grows with K in every row, up to ξ's own error, and one step is half the way."""
    by_k = [alignment(k) for k in (1, 2, 4, 8, 16, 32)]
    assert all((later >= earlier - 1e-5).all() for earlier, later in pairwise(by_k))
    means = [float(found.mean()) for found in by_k]
    assert means == sorted(means)
    assert means[0] > 0.5


def test_one_iteration_is_the_hessian_times_the_noise() -> None:
    """One step gives H·noise, brought to length 1."""
    model, (rows,) = linear().model.double(), batch(pool=5, views=1).pool
    found = Vat(xi=1e-6).direction(model, rows.double(), torch.Generator().manual_seed(3)).flatten(1).numpy()
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64).flatten(1).numpy()
    weight = model[2].weight.detach().numpy()  # type: ignore[index]
    for p, start, d in zip(softmax(model(rows.double())), noise, found, strict=True):
        expected = weight.T @ (np.diag(p) - np.outer(p, p)) @ weight @ start
        np.testing.assert_allclose(d, expected / np.linalg.norm(expected), atol=1e-5)


def test_it_sways_more_than_chance() -> None:
    """A step of ε in its direction moves the answers more than one of random noise does, on a real network."""
    model, rows = network().eval(), lesson().labeled.take(torch.arange(12))
    answers = model(rows).softmax(dim=1)
    noise = unit(torch.randn(rows.shape, generator=torch.Generator().manual_seed(1)))
    d = Vat().direction(model, rows, torch.Generator().manual_seed(0))
    moved = [(model(rows + step).softmax(dim=1) - answers).norm(dim=1).mean() for step in (d, noise)]
    assert moved[0] > 3 * moved[1]


def test_every_row_has_its_own_direction() -> None:
    """A row's direction has length 1 over all its values, and depends on no other row."""
    model, rows = network().train(), lesson().labeled.take(torch.arange(12))
    method = Vat()
    all_rows = method.direction(model, rows, torch.Generator().manual_seed(0))
    torch.testing.assert_close(all_rows.flatten(1).norm(dim=1), torch.ones(12))
    first = method.direction(model, rows[:4], torch.Generator().manual_seed(0))
    torch.testing.assert_close(first, all_rows[:4], atol=1e-3, rtol=0)


def test_seeking_leaves_no_trace() -> None:
    """Looking for a direction changes no weight, gradient, statistic or mode of the network."""
    model, rows = network().train(), lesson().labeled.take(torch.arange(12))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Vat(iterations=3).direction(model, rows, torch.Generator().manual_seed(0))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert model.training


def test_adversarial_rows_move_no_statistic() -> None:
    """A loss leaves the running statistics that a pass over labeled rows and one over the pool leave."""
    given, rows = lesson().labeled.take(torch.arange(12)), lesson().pool.take(torch.arange(16))  # type: ignore[union-attr]
    ours, plain = network().train(), network().train()
    task = batch(labeled=12, pool=16, views=1)
    task = type(task)(given, lesson().classes, (rows,))
    Vat().loss(Networks(ours, ours), None, task, moment())
    plain(given)
    plain(rows)
    for (name, found), expected in zip(ours.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(found, expected), name


def test_the_loss_is_the_papers() -> None:
    """L = mean H(y, f(x)) + α · mean KL[p(u) ‖ p(u + r)] + mean H(p(u)), with r of length ε."""
    networks, given = linear(scale=3), batch(views=1)
    method = Vat(eps=1.5, alpha=0.7, certainty=0.4)
    losses, _ = method.loss(networks, None, given, moment())
    (rows,) = given.pool
    r_adv = 1.5 * method.direction(networks.model, rows, moment().generator)
    p, swayed = softmax(networks.model(rows)), softmax(networks.model(rows + r_adv))
    labeled = -np.log(softmax(networks.model(given.labeled)))[np.arange(5), given.classes.numpy()].mean()
    smooth = (p * (np.log(p) - np.log(swayed))).sum(axis=1).mean()
    unsure = -(p * np.log(p)).sum(axis=1).mean()
    assert losses.total.item() == pytest.approx(labeled + 0.7 * smooth + 0.4 * unsure, rel=1e-4)
    assert losses.figures["pool loss"].item() == pytest.approx(smooth, rel=1e-4)
    assert losses.figures["entropy"].item() == pytest.approx(unsure, rel=1e-4)


def test_the_answer_of_before_is_held_fixed() -> None:
    """θ̂ carries no gradient: with α alone, the gradient is that of D in its second argument."""
    networks, given = linear(), batch(views=1)
    method = Vat(eps=1.5, certainty=0)
    losses, _ = method.loss(networks, None, given, moment())
    (rows,) = given.pool
    r_adv = 1.5 * method.direction(networks.model, rows, moment().generator)
    p = networks.model(rows).softmax(dim=1).detach()
    logs = networks.model(rows + r_adv).log_softmax(dim=1)
    supervised, _ = Supervised().loss(networks, None, given, moment())
    expected = supervised.total - (p * logs).sum(dim=1).mean()
    for found, wanted in zip(gradients(networks, losses.total), gradients(networks, expected), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("method", [Vat(alpha=0, certainty=0), Vat(eps=0, certainty=0)])
def test_without_its_terms_it_is_supervised(method: Vat) -> None:
    """Where the weights are 0, or nothing is changed and indecision is free, the gradient is the supervised one."""
    networks, given = linear(), batch(views=1)
    ours, _ = method.loss(networks, None, given, moment())
    theirs, _ = Supervised().loss(networks, None, given, moment())
    for found, expected in zip(gradients(networks, ours.total), gradients(networks, theirs.total), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_bfloat16_finds_the_same_direction() -> None:
    """Under mixed precision the direction is the one of single precision, as it is sought there."""
    model, rows = network().train(), lesson().labeled.take(torch.arange(12))
    with autocast(rows.device, torch.bfloat16):
        mixed = Vat().direction(model, rows, torch.Generator().manual_seed(0))
    assert torch.equal(mixed, Vat().direction(model, rows, torch.Generator().manual_seed(0)))


def test_a_network_that_nothing_sways_is_finite() -> None:
    """Where answers are certain beyond precision there is no direction, and all stays finite."""
    networks, given = linear(scale=1e6), batch(views=1)
    losses, _ = Vat().loss(networks, None, given, moment())
    assert all(gradient.isfinite().all() for gradient in gradients(networks, losses.total))
    assert all(bool(figure.isfinite()) for figure in losses.figures.values())


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One row is not in the way."""
    losses, _ = Vat().loss(linear(), None, batch(pool=1, views=1), moment())
    assert losses.total.isfinite()
