"""FixMatch against its paper's equations, in an independent float64 form, and beside SoftMatch."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import fields

import numpy as np
import pytest
import torch

from labelsvc.losses import cross_entropy
from labelsvc.methods.fixmatch import FixMatch
from labelsvc.methods.softmatch import Running, SoftMatch

from .flat import CLASSES, batch, gradients, linear, moment, softmax

UNIFORM = torch.full((CLASSES,), 1 / CLASSES)


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.95])
def test_the_loss_is_the_papers(threshold: float) -> None:
    """L = H(y, f(x)) + λ_u · mean over all pool rows of 1(max q ≥ τ) · H(argmax q, f(Ω(u)))."""
    networks, given = linear(scale=4), batch(pool=20)
    losses, memory = FixMatch(threshold=threshold, weight=0.6).loss(networks, None, given, moment())
    q = softmax(networks.model(given.pool[0]))
    surprise = -np.log(softmax(networks.model(given.pool[1])))[np.arange(20), q.argmax(axis=1)]
    pool = sum(one for one, top in zip(surprise, q.max(axis=1), strict=True) if top >= threshold) / 20
    labeled = -np.log(softmax(networks.model(given.labeled)))[np.arange(5), given.classes.numpy()].mean()
    assert 0 < (q.max(axis=1) >= threshold).sum() < 20
    assert losses.total.item() == pytest.approx(labeled + 0.6 * pool, rel=1e-5)
    assert losses.figures["labeled loss"].item() == pytest.approx(labeled, rel=1e-5)
    assert losses.figures["pool loss"].item() == pytest.approx(pool, rel=1e-5)
    assert losses.figures["used"].item() == pytest.approx((q.max(axis=1) >= threshold).mean())
    assert memory is None


def test_a_row_counts_from_the_threshold() -> None:
    """At τ a row counts wholly, just below it not at all."""
    weights = FixMatch(threshold=0.5).weigh(torch.tensor([0.25, 0.499999, 0.5, 0.500001, 1.0]))
    assert weights.tolist() == [0, 0, 1, 1, 1]


def test_without_a_threshold_every_guess_is_learnt() -> None:
    """With τ = 0 the pool's loss is the cross-entropy of the strong view with the weak view's classes."""
    networks, given = linear(), batch()
    losses, _ = FixMatch(threshold=0).loss(networks, None, given, moment())
    guess = networks.model(given.pool[0]).argmax(dim=1)
    torch.testing.assert_close(
        losses.figures["pool loss"], cross_entropy(networks.model(given.pool[1]), guess).detach()
    )
    assert losses.figures["used"] == 1


def test_the_weak_view_only_teaches() -> None:
    """Targets and mask carry no gradient back to the weak view; the strong view does learn."""
    given = batch()
    for view in given.pool:
        view.requires_grad_()
    losses, _ = FixMatch(threshold=0.3).loss(linear(scale=3), None, given, moment())
    losses.total.backward()
    assert given.pool[0].grad is None
    assert given.pool[1].grad is not None
    assert given.pool[1].grad.abs().sum() > 0


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.7, 0.95, 1.0])
def test_softmatch_narrowed_to_a_step_is_fixmatch(threshold: float) -> None:
    """SoftMatch of a mean that stays at τ, no variance and no alignment has FixMatch's loss and gradient."""
    networks, given = linear(scale=4), batch(pool=30)
    still = Running(UNIFORM, UNIFORM, mean=torch.tensor(threshold), variance=torch.tensor(0.0))
    soft, _ = SoftMatch(momentum_stat=1).loss(networks, still, given, moment())
    hard, _ = FixMatch(threshold=threshold).loss(networks, None, given, moment())
    torch.testing.assert_close(soft.total, hard.total)
    torch.testing.assert_close(dict(soft.figures), dict(hard.figures))
    for found, expected in zip(gradients(networks, soft.total), gradients(networks, hard.total), strict=True):
        torch.testing.assert_close(found, expected)


def test_softmatch_differs_in_plain_sight() -> None:
    """Laid side by side the two losses differ in nothing but memory, alignment, weights and their words."""
    hard, soft = (inspect.getsource(method.loss) for method in (FixMatch, SoftMatch))
    without_symbols = [[line.split("  #")[0] for line in source.splitlines()] for source in (hard, soft)]
    changed = [line for line in difflib.ndiff(*without_symbols) if line[0] in "+-"]
    topics = ("memory", "tuple[Losses", '"""Return', "weigh", "confidence, guess")
    assert all(any(topic in line for topic in topics) for line in changed), changed
    assert FixMatch().recipe == SoftMatch().recipe
    assert {field.name for field in fields(FixMatch)} - {field.name for field in fields(SoftMatch)} == {"threshold"}


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One pool row is enough."""
    losses, _ = FixMatch().loss(linear(), None, batch(pool=1), moment())
    assert losses.total.isfinite()
