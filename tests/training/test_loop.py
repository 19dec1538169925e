"""The loop: what it is given, that it repeats itself, and where it ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelsvc.errors import UsageError
from labelsvc.methods import METHODS
from labelsvc.training.loop import State, begin, run
from labelsvc.training.predict import logit_blocks, logits_of

from .bars import bars, lesson, network, plan, rows_of, small, trained

EVERY = pytest.mark.parametrize("name", METHODS)


def same(first: State, second: State) -> bool:
    """Say whether two trainings left the same weights and averages, bit for bit."""
    pairs = [
        (mine, theirs)
        for one, other in (
            (first.student.network, second.student.network),
            (first.average.network, second.average.network),
        )
        for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    ]
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@EVERY
def test_the_same_plan_gives_the_same_weights(name: str) -> None:
    """On one CPU a plan's weights repeat bit for bit; another seed's differ; global generators are not used."""
    before = torch.get_rng_state()
    first, again, other = (trained(lesson(), plan(small(name), 4, seed=seed))[0] for seed in (5, 5, 6))
    assert same(first, again)
    assert not same(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@EVERY
def test_pauses_change_nothing(name: str) -> None:
    """Whoever looks on, and how often, the weights are the same, and so is the mean of the losses."""
    quiet, once = trained(lesson(), plan(small(name), 6))
    watched, often = trained(lesson(), plan(small(name), 6), *range(7))
    assert same(quiet, watched)
    assert (len(once), len(often)) == (1, 6)
    assert np.mean(often) == pytest.approx(once[0], rel=1e-5)


@EVERY
def test_where_rows_lie_changes_nothing(name: str) -> None:
    """Resident and fetched rows train the same network."""
    here = lesson()
    assert here.pool is not None
    fetched = replace(here, labeled=replace(here.labeled, resident=None), pool=replace(here.pool, resident=None))
    assert same(trained(here, plan(small(name), 3))[0], trained(fetched, plan(small(name), 3))[0])


def test_it_pauses_where_it_is_asked_and_at_the_end() -> None:
    """Intervals end at the pauses within the plan, and at its last step."""
    asked = replace(plan(small("supervised"), 7), pauses=frozenset({2, 5, 11}))
    state = begin(network, lesson(), asked)
    assert [interval.step for interval in run(state, lesson(), asked)] == [2, 5, 7]
    assert state.step == 7
    assert list(run(state, lesson(), asked)) == [], "what is done is done"


def test_no_steps_yield_nothing() -> None:
    """A plan of no steps leaves the network as it was."""
    state, losses = trained(lesson(), plan(small("softmatch"), 0))
    assert losses == []
    fresh = network().state_dict()
    assert all(torch.equal(tensor, fresh[key]) for key, tensor in state.average.network.state_dict().items())


def test_a_training_can_be_stopped_and_taken_up() -> None:
    """Steps taken in two goes are the steps taken in one."""
    task, whole = lesson(), plan(small("softmatch"), 6)
    paused = replace(whole, pauses=frozenset({2}))
    state = begin(network, task, paused)
    assert next(run(state, task, paused)).step == 2
    assert [interval.step for interval in run(state, task, whole)] == [6]
    assert same(state, trained(task, whole)[0])


def test_batches_may_be_larger_than_what_is_there() -> None:
    """A batch of more rows than there are labels or pool goes round again."""
    _, losses = trained(lesson(labeled=3, pool=2), plan(small("softmatch"), 2))
    assert np.isfinite(losses).all()


def test_a_method_without_need_leaves_the_pool_alone() -> None:
    """Supervised learning is the same with a pool and without."""
    with_pool, without = (trained(lesson(pool=rows), plan(small("supervised"), 3))[0] for rows in (30, 0))
    assert same(with_pool, without)


def test_the_strong_view_is_taken_where_asked() -> None:
    """A method that wants its labeled rows in strong views does not get weak ones."""
    weak, strong = (
        trained(lesson(), plan(small("supervised", labeled_view=view), 2))[0] for view in ("weak", "strong")
    )
    assert not same(weak, strong)


def test_nothing_labeled_is_refused() -> None:
    """Training without a label is a wrong call that says what to do."""
    with pytest.raises(UsageError, match=r"no labeled rows.*label column"):
        begin(network, lesson(labeled=0), plan(small("supervised"), 1))


def test_a_missing_pool_is_refused() -> None:
    """A method that learns from a pool does not start without one."""
    with pytest.raises(UsageError, match="learns from a pool"):
        begin(network, lesson(pool=0), plan(small("softmatch"), 1))
    empty = replace(lesson(), pool=replace(rows_of(bars(1)[0]), numbers=np.empty(0, np.int64)))
    with pytest.raises(UsageError, match="learns from a pool"):
        begin(network, empty, plan(small("softmatch"), 1))


def test_the_network_learns_what_the_bars_say() -> None:
    """After forty steps the average tells nearly all new pictures apart."""
    state, _ = trained(lesson(), plan(small("softmatch"), 40))
    pixels, classes = bars(60, seed=2)
    assert (logits_of(state.average.network, rows_of(pixels)).argmax(axis=1) == classes).mean() > 0.9


def test_logits_do_not_depend_on_the_blocks() -> None:
    """Whatever the block, logits are float64 and the same to rounding."""
    model, rows = trained(lesson(), plan(small("supervised"), 2))[0].student.network, rows_of(bars(11)[0])
    whole = logits_of(model, rows)
    assert whole.dtype == np.float64
    for block in (1, 4, 11):
        pieces = np.concatenate(list(logit_blocks(model, rows, block=block)))
        np.testing.assert_allclose(pieces, whole, atol=1e-5)
