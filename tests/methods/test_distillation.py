"""Distillation's table of target distributions, and its loss, against independent float64 forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from labelsvc.losses import cross_entropy
from labelsvc.methods.contract import Batch
from labelsvc.methods.distillation import Distillation
from labelsvc.methods.supervised import Supervised

from .flat import CLASSES, batch, gradients, linear, moment

TARGETS = ("hard", "soft", "smoothed", "temperature")


def words(rows: int = 40, *, seed: int = 0) -> Tensor:
    """Return what a teacher may say: sure rows and unsure ones."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.linspace(0.5, 8, rows)[:, None] * torch.randn(rows, CLASSES, generator=generator)).softmax(dim=1)


def given(pool: int = 8) -> Batch:
    """Return a batch of one strong view of each pool row, with the teacher's words on it."""
    return replace(batch(pool=pool, views=1), targets=words(pool))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_every_row_of_the_table_is_a_distribution(target: str, temperature: float) -> None:
    """Targets are finite, not negative and sum to one in each row, also where the teacher was certain."""
    certain = torch.eye(CLASSES)
    made = Distillation(target=target, temperature=temperature).distributions(torch.cat([words(), certain]))
    assert (made >= 0).all()
    torch.testing.assert_close(made.sum(dim=1), torch.ones(len(made)))


def test_the_table_by_hand() -> None:
    """Of (.5, .3, .2): one-hot, itself, (1 − ε) one-hot + ε / C, and powers 1/τ, normalised."""
    q = torch.tensor([[0.5, 0.3, 0.2]])
    powers = np.array([0.5, 0.3, 0.2]) ** (1 / 3.0)
    expected = {
        "hard": [1.0, 0.0, 0.0],
        "soft": [0.5, 0.3, 0.2],
        "smoothed": [0.6 + 0.4 / 3, 0.4 / 3, 0.4 / 3],
        "temperature": list(powers / powers.sum()),
    }
    for target, row in expected.items():
        made = Distillation(target=target, smoothing=0.4, temperature=3.0).distributions(q)
        torch.testing.assert_close(made, torch.tensor([row], dtype=torch.float32))


def test_a_temperature_of_one_is_soft() -> None:
    """softmax(log q / 1) is q."""
    found = Distillation(target="temperature", temperature=1.0).distributions(words())
    torch.testing.assert_close(found, words())


def test_the_lowest_temperature_is_hard() -> None:
    """As τ falls to nothing, softmax(log q / τ) becomes the argmax's one-hot."""
    apart = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0]])
    found = Distillation(target="temperature", temperature=0.01).distributions(apart)
    torch.testing.assert_close(found, Distillation(target="hard").distributions(apart))


def test_no_smoothing_is_hard() -> None:
    """ε = 0 leaves the argmax's one-hot."""
    found = Distillation(target="smoothed", smoothing=0.0).distributions(words())
    assert torch.equal(found, Distillation(target="hard").distributions(words()))


def test_temperature_sharpens_below_one_and_dampens_above() -> None:
    """The entropy of the targets grows with τ, and no class overtakes another."""
    made = [Distillation(target="temperature", temperature=t).distributions(words()) for t in (0.5, 1.0, 2.0)]
    entropies = [float(-(rows * rows.log()).sum(dim=1).mean()) for rows in made]
    assert entropies == sorted(entropies)
    assert all(torch.equal(rows.argsort(dim=1), words().argsort(dim=1)) for rows in made)


def test_hard_is_cross_entropy_on_the_argmax() -> None:
    """With hard targets the pool's loss and its gradient are those of the likeliest classes."""
    networks, seen = linear(), given()
    assert seen.targets is not None
    losses, _ = Distillation(target="hard").loss(networks, None, seen, moment())
    logits = [networks.model(rows) for rows in (seen.labeled, seen.pool[0])]
    expected = cross_entropy(logits[0], seen.classes) + cross_entropy(logits[1], seen.targets.argmax(dim=1))
    torch.testing.assert_close(losses.total, expected)
    for one, other in zip(gradients(networks, losses.total), gradients(networks, expected), strict=True):
        torch.testing.assert_close(one, other)


def test_the_loss_is_the_papers() -> None:
    """L = mean H(y, f(x)) + w · mean over all pool rows of −Σ q* log f(u), in float64."""
    networks, seen = linear(scale=3), given()
    assert seen.targets is not None
    method = Distillation(target="temperature", temperature=0.5, weight=0.7)
    losses, _ = method.loss(networks, None, seen, moment())
    logs = [networks.model(rows).detach().double().log_softmax(dim=1).numpy() for rows in (seen.labeled, seen.pool[0])]
    squared = seen.targets.double().numpy() ** 2
    q = squared / squared.sum(axis=1, keepdims=True)
    labeled = -logs[0][np.arange(5), seen.classes.numpy()].mean()
    pool = -(q * logs[1]).sum(axis=1).mean()
    assert losses.total.item() == pytest.approx(labeled + 0.7 * pool, rel=1e-5)
    assert losses.figures["labeled loss"].item() == pytest.approx(labeled, rel=1e-5)
    assert losses.figures["pool loss"].item() == pytest.approx(pool, rel=1e-5)


def test_no_weight_no_teacher() -> None:
    """With w = 0 the gradient is the supervised one."""
    networks, seen = linear(), given()
    losses, _ = Distillation(weight=0).loss(networks, None, seen, moment())
    alone, _ = Supervised().loss(networks, None, seen, moment())
    for one, other in zip(gradients(networks, losses.total), gradients(networks, alone.total), strict=True):
        torch.testing.assert_close(one, other)


def test_a_network_that_says_what_its_teacher_says_learns_nothing_from_the_pool() -> None:
    """At f = q the pool's gradient is zero, and its loss the entropy of q: there is none lower."""
    networks, seen = linear(), given()
    agreed = replace(seen, targets=networks.model(seen.pool[0]).softmax(dim=1).detach())
    assert agreed.targets is not None
    method = Distillation()
    losses, _ = method.loss(networks, None, agreed, moment())
    alone, _ = Supervised().loss(networks, None, agreed, moment())
    for one, other in zip(gradients(networks, losses.total), gradients(networks, alone.total), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    entropy = -(agreed.targets * agreed.targets.log()).sum(dim=1).mean()
    torch.testing.assert_close(losses.figures["pool loss"], entropy)


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One row of the pool, of which the teacher is certain, is learnt from under every target."""
    certain = replace(given(pool=1), targets=torch.eye(CLASSES)[:1])
    for target in TARGETS:
        losses, _ = Distillation(target=target).loss(linear(), None, certain, moment())
        assert losses.total.isfinite()
