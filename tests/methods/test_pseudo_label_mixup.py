"""Pseudo-label with mixup against its paper's equations, and its table of soft labels against two tables by epochs."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from training.bars import lesson, network, small

from labelsvc.errors import UsageError
from labelsvc.losses import entropy, mean_divergence
from labelsvc.methods import make
from labelsvc.methods.contract import Course, Networks, Problem
from labelsvc.methods.pseudo_label_mixup import PseudoLabelMixup, SoftLabels
from labelsvc.training.lesson import Sampler
from labelsvc.views.mixup import beta

from .flat import CLASSES, Array, batch, linear, moment, softmax

PRIOR = torch.tensor([0.4, 0.3, 0.2, 0.1])
UNIFORM = torch.full((CLASSES,), 1 / CLASSES)
NO_PRIOR = Problem(UNIFORM, pool=8)
MNIST = Course(labeled=1000, pool=59_000, steps=3000)


def learnt(rows: int = 8) -> SoftLabels:
    """Return soft labels of all rows but the first two, which have none yet."""
    labels = torch.randn(rows, CLASSES, generator=torch.Generator().manual_seed(5)).softmax(dim=1)
    labels[:2] = 0
    return SoftLabels(labels, PRIOR)


def mixed(rows: Array, delta: float, order: Array) -> Array:
    """Return δ x_p + (1 − δ) x_q."""
    return delta * rows + (1 - delta) * rows[order]


def drawn(rows: int, alpha: float) -> tuple[Array, float]:
    """Return the order and the δ that a moment's generator gives."""
    generator = moment(seed=3).generator
    order = torch.randperm(rows, generator=generator).numpy()
    return order, beta(1, alpha, generator).item()


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("pool", [0, 1, 8])
def test_the_loss_is_the_papers(alpha: float, pool: int) -> None:
    """L = l* + λ_A R_A + λ_H R_H over mixed rows; in the warm-up, without a pool, it is the same of labeled rows."""
    networks, given = linear(scale=2), batch(pool=pool, views=1)
    method, memory = PseudoLabelMixup(alpha=alpha, lambda_a=0.7, lambda_h=0.3), learnt()
    pictures = torch.cat([given.labeled, *given.pool]).numpy().astype(np.float64)
    soft = memory.labels[:pool].numpy().astype(np.float64)
    soft[:2] = softmax(networks.model(given.pool[0]))[:2] if pool else soft[:2]  # the rows without a label
    targets = np.concatenate([np.eye(CLASSES)[given.classes], soft])
    order, delta = drawn(5 + pool, alpha)
    h = softmax(networks.model(torch.from_numpy(mixed(pictures, delta, order)).float()))
    losses, _ = method.loss(networks, memory, given, moment(seed=3))
    expected = {
        "mixed loss": -(mixed(targets, delta, order) * np.log(h)).sum(axis=1).mean(),
        "spread": (PRIOR.numpy() * np.log(PRIOR.numpy() / h.mean(axis=0))).sum(),
        "doubt": -(h * np.log(h)).sum(axis=1).mean(),
    }
    assert {name: losses.figures[name].item() for name in expected} == pytest.approx(expected, rel=1e-4)
    total = expected["mixed loss"] + 0.7 * expected["spread"] + 0.3 * expected["doubt"]
    assert losses.total.item() == pytest.approx(total, rel=1e-5)


def test_the_spread_of_the_classes_has_its_closed_forms() -> None:
    """R_A is 0 where the mean is the prior, however sure the rows are; log C / k where k of C classes are all said."""
    sure = 50 * torch.eye(CLASSES)
    assert mean_divergence(sure, UNIFORM).item() == pytest.approx(0, abs=1e-6)
    assert mean_divergence(torch.zeros(3, CLASSES), UNIFORM).item() == pytest.approx(0, abs=1e-6)
    assert mean_divergence(torch.log(PRIOR)[None], PRIOR).item() == pytest.approx(0, abs=1e-6)
    only = torch.tensor([0.5, 0.5, 0, 0])
    assert mean_divergence(torch.zeros(3, CLASSES), only).item() == pytest.approx(math.log(2))
    assert mean_divergence(1e4 * sure[:1], UNIFORM).isfinite()  # all in one class


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_of_the_classes_is_the_divergence_of_the_mean(seed: int) -> None:
    """R_A = Σ p log(p / h̄), in float64."""
    logits = 3 * torch.randn(9, CLASSES, generator=torch.Generator().manual_seed(seed))
    expected = (PRIOR.numpy() * np.log(PRIOR.numpy() / softmax(logits).mean(axis=0))).sum()
    assert mean_divergence(logits, PRIOR).item() == pytest.approx(expected, rel=1e-4)


def test_doubt_has_its_closed_forms() -> None:
    """R_H is 0 of one-hot rows and log C of uniform ones."""
    assert entropy(1000 * torch.eye(CLASSES)).item() == 0
    assert entropy(torch.zeros(3, CLASSES)).item() == pytest.approx(math.log(CLASSES))


def test_soft_labels_are_exchanged_by_epochs() -> None:
    """What rows are taught changes only from epoch to epoch, and then is all that was gathered in the one before.

    The form beside it keeps two tables: one in force and one being gathered, exchanged when the pool has been seen.
    """
    method, task, model = small("pseudo-label-mixup", warmup="0"), lesson(), network().train()
    sampler = Sampler(task, method, steps=12, seed=0)
    memory = method.init(Problem(task.prior, pool=30))
    in_force, gathered, seen = torch.zeros(30, 3), torch.full((30, 3), torch.nan), 0
    descent = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(12):  # six epochs, of a batch of 16 and one of 14
        now = moment(seed=step)
        given = sampler.draw(step, now.generator)
        assert given.rows is not None
        assert torch.equal(memory.labels[given.rows], in_force[given.rows])
        gathered[given.rows] = model.eval()(given.pool[0]).softmax(dim=1).detach()
        model.train()
        losses, memory = method.loss(Networks(model, model), memory, given, now)
        descent.zero_grad()
        losses.total.backward()
        descent.step()
        seen += len(given.rows)
        if seen % 30 == 0:
            assert not torch.equal(gathered, in_force)
            in_force = gathered.clone()
            assert torch.equal(memory.labels, in_force)
            assert (memory.labels.sum(dim=1) > 0.999).all()  # no row was passed over
    assert seen == 180


def test_soft_labels_are_of_rows_as_they_are() -> None:
    """What is written down comes from the rows unmixed and without dropout, and the network stays in its mode."""
    dropping, plain, given = linear(dropout=0.9), linear(), batch(views=1)
    start = PseudoLabelMixup().init(NO_PRIOR)
    _, memory = PseudoLabelMixup().loss(replace(dropping, model=dropping.model.train()), start, given, moment())
    torch.testing.assert_close(memory.labels, plain.model(given.pool[0]).softmax(dim=1).detach())
    assert dropping.model.training


def test_an_epoch_ago_teaches() -> None:
    """The same rows taught other soft labels give another loss; the table in force says which."""
    networks, given, found = linear(), batch(views=1), []
    for row in torch.eye(CLASSES)[:2]:
        memory = SoftLabels(row.repeat(8, 1), UNIFORM)
        found.append(PseudoLabelMixup().loss(networks, memory, given, moment())[0].total)
    assert not torch.isclose(*found)


def labeled_then_both(course: Course, method: PseudoLabelMixup) -> tuple[list[range], list[range], int]:
    """Return the places of labeled rows and of pool rows, step by step, and how many steps go without a pool."""
    turns = [method.turn(step, course) for step in range(course.steps)]
    alone = next(step for step, turn in enumerate(turns) if turn.pool)
    assert all(turn.pool for turn in turns[alone:])
    return [turn.labeled for turn in turns], [turn.pool for turn in turns[alone:]], alone


@pytest.mark.parametrize("course", [MNIST, Course(7, 85, 400), Course(3, 5, 60)], ids=str)
def test_each_pool_row_comes_once_in_an_epoch(course: Course) -> None:
    """Places follow one another without a gap, and no batch reaches over the end of an epoch of the pool."""
    labeled, pool, _ = labeled_then_both(course, PseudoLabelMixup())
    for places in (labeled, pool):
        assert places[0].start == 0
        assert all(first.stop == second.start for first, second in pairwise(places))
    assert all(rows.start // course.pool == (rows.stop - 1) // course.pool for rows in pool)


@pytest.mark.parametrize("steps", [41, 410, 3000])
def test_the_warm_up_keeps_its_share(steps: int) -> None:
    """The first 10 of 410 steps are on a hundred labeled rows alone; after them 16 of 100, more at an epoch's end."""
    labeled, pool, alone = labeled_then_both(replace(MNIST, steps=steps), PseudoLabelMixup())
    assert alone == round(steps * 10 / 410)
    assert {len(rows) for rows in labeled[:alone]} == {100}
    assert {len(rows) for rows in labeled[alone:]} == {16}
    assert max(len(rows) for rows in pool) == 84


def test_its_length_is_of_the_pools_epochs() -> None:
    """At the published length there are 410 epochs of 703 batches, and 400 of them are of the pool."""
    method = PseudoLabelMixup()
    steps = method.published_steps(MNIST)
    assert steps == 410 * 703
    assert method.turn(steps - 1, replace(MNIST, steps=steps)).pool.stop == 400 * 59_000


@pytest.mark.parametrize(("labeled", "pool", "least"), [(15, 84, 16), (7, 84, 16), (16, 85, 17), (1, 6, 2)])
def test_too_few_labeled_rows_are_refused(labeled: int, pool: int, least: int) -> None:
    """Under 16 labeled rows of 100 is a wrong call, and the message says how many would do."""
    settings = {"labeled_batch": str(labeled), "pool_batch": str(pool)}
    with pytest.raises(UsageError, match=f"labeled_batch={labeled} .*pool_batch={pool}.* labeled_batch to {least} "):
        make("pseudo-label-mixup", settings)
    recipe = make("pseudo-label-mixup", {**settings, "labeled_batch": str(least)}).recipe
    assert recipe.labeled_batch / (recipe.labeled_batch + recipe.pool_batch) >= 0.16


def test_its_recipe_is_the_papers() -> None:
    """SGD with momentum 0.9 and decay 1e-4, in batches of 16 labeled and 84 pool rows, without averaging."""
    recipe = make("pseudo-label-mixup").recipe
    assert (recipe.momentum, recipe.nesterov, recipe.weight_decay, recipe.ema_decay) == (0.9, False, 1e-4, 0)
    assert (recipe.labeled_batch, recipe.pool_batch) == (16, 84)


def test_a_class_without_labels_is_finite() -> None:
    """A prior of zero asks nothing of its class."""
    memory = SoftLabels(torch.zeros(8, CLASSES), torch.tensor([0.5, 0.5, 0, 0]))
    losses, _ = PseudoLabelMixup().loss(linear(), memory, batch(views=1), moment())
    assert losses.total.isfinite()
    assert isinstance(losses.total, Tensor)
