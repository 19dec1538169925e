"""UDA against its paper's equations, in an independent float64 form, and FixMatch as its limit."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from labelsvc.losses import cross_entropy
from labelsvc.methods.fixmatch import FixMatch
from labelsvc.methods.uda import ALPHA, UDA, annealed_cross_entropy

from .flat import CLASSES, batch, gradients, linear, moment, softmax

SCHEDULES = pytest.mark.parametrize("annealing", ["linear", "log", "exp"])


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("annealing", ALPHA)
def test_the_loss_is_the_papers(annealing: str, progress: float) -> None:
    """L is H(y, f(x)) over the rows with p_y ≤ η_t plus λ · the masked, sharpened term over all pool rows."""
    networks, given = linear(scale=4), batch(labeled=12, pool=20)
    method = UDA(threshold=0.6, temperature=0.4, annealing=annealing, weight=0.7)
    losses, memory = method.loss(networks, None, given, moment(progress))
    z, said = networks.model(given.pool[0]), softmax(networks.model(given.pool[1]))
    counts, targets = softmax(z).max(axis=1) > 0.6, softmax(z.double() / 0.4)
    pool = (counts * -(targets * np.log(said)).sum(axis=1)).sum() / 20
    right = softmax(networks.model(given.labeled))[np.arange(12), given.classes.numpy()]
    alpha = {"linear": progress, "log": 1 - np.exp(-5 * progress), "exp": np.exp(5 * progress - 5), "none": 1}
    kept = right <= alpha[annealing] * (1 - 1 / CLASSES) + 1 / CLASSES
    labeled = -np.log(right[kept]).mean()
    assert 0 < counts.sum() < 20
    assert losses.total.item() == pytest.approx(labeled + 0.7 * pool, rel=1e-5)
    assert losses.figures["pool loss"].item() == pytest.approx(pool, rel=1e-5)
    assert losses.figures["labeled loss"].item() == pytest.approx(labeled, rel=1e-5)
    assert losses.figures["used"].item() == pytest.approx(counts.mean())
    assert losses.figures["labels used"].item() == pytest.approx(kept.mean())
    assert memory is None


@pytest.mark.parametrize("temperature", [1e-6, 1e-4])
@pytest.mark.parametrize("scale", [4.0, 4000.0])
def test_sharpened_to_a_point_it_is_fixmatch(temperature: float, scale: float) -> None:
    """With τ → 0, the same threshold and no annealing, loss and gradient are FixMatch's, however large the logits."""
    networks, given = linear(scale=scale), batch(pool=30)
    soft, _ = UDA(temperature=temperature, threshold=0.7, annealing="none").loss(networks, None, given, moment())
    hard, _ = FixMatch(threshold=0.7).loss(networks, None, given, moment())
    torch.testing.assert_close(soft.total, hard.total)
    torch.testing.assert_close({name: soft.figures[name] for name in hard.figures}, dict(hard.figures))
    for found, expected in zip(gradients(networks, soft.total), gradients(networks, hard.total), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("classes", [2, 10, 1000])
@SCHEDULES
def test_eta_runs_from_a_guess_to_certainty(annealing: str, classes: int) -> None:
    """η rises from 1/C to 1 and never falls; log misses its end, and exp its start, by e⁻⁵ of the way, as published."""
    method = UDA(annealing=annealing)
    eta = [method.eta(t, classes) for t in np.linspace(0, 1, 101)]
    missed = math.exp(-5) * (1 - 1 / classes)
    assert eta[0] == pytest.approx(1 / classes + (missed if annealing == "exp" else 0))
    assert eta[-1] == pytest.approx(1 - (missed if annealing == "log" else 0))
    assert all(first < second for first, second in pairwise(eta))


def test_the_schedules_are_ordered() -> None:
    """Half way, log has let in the most, then linear, then exp; without annealing all are in from the start."""
    halves = [UDA(annealing=annealing).eta(0.5, 10) for annealing in ("exp", "linear", "log")]
    assert halves == pytest.approx([0.1739, 0.55, 0.9261], abs=1e-4)
    assert [UDA(annealing="none").eta(t, 3) for t in (0.0, 0.5, 1.0)] == [1, 1, 1]


def test_annealing_leaves_out_the_likely() -> None:
    """Rows likelier than η are left out of the mean, and have no gradient; one just at η stays."""
    logits = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], dtype=torch.float64).log().requires_grad_()
    loss, kept = annealed_cross_entropy(logits, torch.zeros(3, dtype=torch.int64), 0.5)
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2)
    assert kept.item() == pytest.approx(2 / 3)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient.abs().sum(dim=1) > 0).tolist() == [False, True, True]


def test_with_everything_likely_there_is_no_labeled_loss() -> None:
    """Where every labeled row is left out the loss is 0, not 0 / 0, and so is its gradient."""
    logits = torch.tensor([[9.0, 0.0], [8.0, 0.0]], requires_grad=True)
    loss, kept = annealed_cross_entropy(logits, torch.tensor([0, 0]), 0.5)
    assert (loss.item(), kept.item()) == (0, 0)
    assert torch.autograd.grad(loss, logits)[0].abs().sum() == 0


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_with_all_let_in_it_is_cross_entropy(rows: int) -> None:
    """At η = 1 the annealed loss is cross-entropy, also of rows that are certain."""
    logits = 60 * torch.randn(rows, CLASSES, generator=torch.Generator().manual_seed(0))
    classes = logits.argmax(dim=1)
    classes[0] = (classes[0] + 1) % CLASSES
    loss, kept = annealed_cross_entropy(logits, classes, UDA().eta(1.0, CLASSES))
    torch.testing.assert_close(loss, cross_entropy(logits, classes))
    assert kept == 1


def test_the_weak_view_only_teaches() -> None:
    """Targets and mask carry no gradient back to the weak view; the strong view does learn."""
    given = batch()
    for view in given.pool:
        view.requires_grad_()
    losses, _ = UDA(threshold=0.3).loss(linear(scale=3), None, given, moment())
    losses.total.backward()
    assert given.pool[0].grad is None
    assert given.pool[1].grad is not None
    assert given.pool[1].grad.abs().sum() > 0


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One pool row is enough, and so is one labeled row."""
    losses, _ = UDA().loss(linear(), None, batch(labeled=1, pool=1), moment())
    assert losses.total.isfinite()
