"""SimCLR's contrast against the paper's sum, written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training.bars import lesson, plan, trained

from labelsvc.losses import contrast
from labelsvc.methods.contract import Course
from labelsvc.methods.simclr import SimCLR

from .flat import batch, linear, moment


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_contrast_is_the_papers(temperature: float) -> None:
    """The mean over both views of −log exp(s_ij / τ) / Σ_{k ≠ i} exp(s_ik / τ), s the cosine (eq. 1)."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(5, 4, generator=generator) for _ in range(2))
    unit = torch.cat([first, second]).double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    likeness = np.exp(unit @ unit.T / temperature)
    terms = [-np.log(likeness[i, (i + 5) % 10] / (likeness[i].sum() - likeness[i, i])) for i in range(10)]
    assert float(contrast(first, second, temperature)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_the_same_views_far_apart_cost_nothing() -> None:
    """Where both views are one and rows are orthogonal, a low temperature leaves no loss."""
    rows = torch.eye(6)
    assert float(contrast(rows, rows, 0.01)) < 1e-6


def test_it_looks_at_the_pool_alone() -> None:
    """No labeled row is drawn, and none counts."""
    turn = SimCLR().turn(3, Course(labeled=10, pool=1000, steps=10))
    assert (len(turn.labeled), turn.pool) == (0, range(768, 1024))
    networks, given = linear(), batch()
    losses, memory = SimCLR().loss(networks, None, given, moment())
    assert memory is None
    expected = contrast(networks.model(given.pool[0]), networks.model(given.pool[1]), 0.2)
    torch.testing.assert_close(losses.total, expected)


def test_the_contrast_falls() -> None:
    """On bars the loss falls below that of chance, log(2N − 1)."""
    method = replace(SimCLR(), recipe=replace(SimCLR().recipe, pool_batch=16))
    _, losses = trained(lesson(), plan(method, 40), 5)
    assert losses[-1] < losses[0]
    assert losses[-1] < np.log(2 * method.recipe.pool_batch - 1)
