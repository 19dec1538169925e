"""Lee's pseudo-label against its paper's equations, and the alternating form against the tutorial's loop."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch.nn import functional
from training.bars import lesson, plan, small, trained

from labelsvc.methods import make
from labelsvc.methods.contract import Batch, Course, Turn
from labelsvc.methods.pseudo_label import PseudoLabel, guesses
from labelsvc.methods.supervised import Supervised

from .flat import batch, gradients, linear, moment

ALTERNATING = PseudoLabel(form="alternating")
MNIST = Course(labeled=1000, pool=59_000, steps=ALTERNATING.published_steps(Course(1000, 59_000, 1)))


def noise(*, labeled: int = 5, pool: int = 8, alpha: float = 0.7) -> Batch:
    """Return a batch of noise, the pool in the one view that the method takes."""
    return batch(labeled=labeled, pool=pool, views=1, pool_weight=alpha)


def tutorials_loop(course: Course) -> Iterator[tuple[str, int, float]]:
    """Yield (kind, rows, α) of every step as the tutorial's two nested loops take them, written out."""

    def labeled_epoch() -> Iterator[tuple[str, int, float]]:
        for start in range(0, course.labeled, 32):
            yield "labeled", min(32, course.labeled - start), 0.0

    for _ in range(100):
        yield from labeled_epoch()
    t = 100
    while True:
        for number, start in enumerate(range(0, course.pool, 256)):
            alpha = 0.0 if t < 100 else (t - 100) / (700 - 100) * 3.0 if t < 700 else 3.0
            yield "pool", min(256, course.pool - start), alpha
            if number % 50 == 0:
                yield from labeled_epoch()
                t += 1


def as_told(turn: Turn) -> tuple[str, int, float]:
    """Return a turn in the words of ``tutorials_loop``."""
    kind = "pool" if turn.pool else "labeled"
    return kind, len(turn.pool) + len(turn.labeled), turn.pool_weight


def test_alpha_is_the_papers() -> None:
    """α is 0 up to T1, α_f from T2 on, and the straight line between them (eq. 16)."""
    method = PseudoLabel()
    assert [method.alpha(t) for t in (0, 99, 100)] == [0, 0, 0]
    assert [method.alpha(t) for t in (600, 601, 1e9)] == [3, 3, 3]
    assert method.alpha(225) == pytest.approx(0.75)
    assert ALTERNATING.alpha(400) == pytest.approx(1.5)


def test_the_loss_is_the_papers() -> None:
    """L = mean −log p(y) + α · mean −log p(y'), with y' the class that the network itself finds likeliest (eq. 15)."""
    networks, given = linear(), noise()
    losses, _ = PseudoLabel().loss(networks, None, given, moment())
    logits = networks.model(given.pool[0])
    expected = functional.cross_entropy(networks.model(given.labeled), given.classes)
    expected = expected + 0.7 * -logits.log_softmax(dim=1).max(dim=1).values.mean()
    torch.testing.assert_close(losses.total, expected)
    assert float(losses.figures["alpha"]) == pytest.approx(0.7)


def test_at_alpha_zero_it_is_supervised() -> None:
    """Before T1 the pool moves nothing: the gradient is the supervised one."""
    networks, given = linear(), noise(alpha=0.0)
    ours, _ = PseudoLabel().loss(networks, None, given, moment())
    theirs, _ = Supervised().loss(networks, None, given, moment())
    torch.testing.assert_close(gradients(networks, ours.total)[0], gradients(networks, theirs.total)[0])


def test_guesses_are_made_without_dropout() -> None:
    """The guess y' is of an evaluation-mode pass, which leaves the network in the mode that it was in."""
    dropping, plain = linear(dropout=0.9), linear()
    (pictures,) = noise(pool=200).pool
    assert torch.equal(guesses(dropping.model.train(), pictures), plain.model(pictures).argmax(dim=1))
    assert dropping.model.training


def test_a_pool_turn_pushes_towards_the_guess() -> None:
    """A step on pool rows alone makes the guessed classes likelier."""
    networks, given = linear(), noise(labeled=0)
    before = PseudoLabel().loss(networks, None, given, moment())[0].figures["pool loss"]
    losses, _ = PseudoLabel().loss(networks, None, given, moment())
    with torch.no_grad():
        networks.model[2].weight -= 0.1 * gradients(networks, losses.total)[0]
    assert PseudoLabel().loss(networks, None, given, moment())[0].figures["pool loss"] < before


@pytest.mark.parametrize("course", [MNIST, Course(70, 1_000, 1), Course(7, 200, 1)], ids=str)
def test_the_alternating_turns_are_the_tutorials(course: Course) -> None:
    """At the published length, every step takes what the tutorial's loops take, at the tutorial's α."""
    course = Course(course.labeled, course.pool, ALTERNATING.published_steps(course))
    loop = tutorials_loop(course)
    for step in range(min(course.steps, 20_000)):
        kind, rows, alpha = as_told(ALTERNATING.turn(step, course))
        assert (kind, rows, pytest.approx(alpha)) == next(loop), f"step {step}"


def test_each_row_comes_once_an_epoch() -> None:
    """Pool places follow one another without a gap, and so do labeled ones."""
    turns = [ALTERNATING.turn(step, MNIST) for step in range(MNIST.steps)]
    for places in ([turn.pool for turn in turns if turn.pool], [turn.labeled for turn in turns if turn.labeled]):
        assert all(first.stop == second.start for first, second in pairwise(places))


@pytest.mark.parametrize("form", ["lee", "alternating"])
def test_a_shorter_training_keeps_the_shape_of_alpha(form: str) -> None:
    """At a tenth of the steps α starts, rises and rests at the same shares of the training, to a step's width."""
    method = PseudoLabel(form=form)
    whole, short = (Course(1000, 59_000, round(method.published_steps(MNIST) * share)) for share in (1, 0.1))
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999):
        found = []
        for course in (whole, short):
            steps = range(int(share * course.steps), course.steps)
            found.append(next(turn.pool_weight for step in steps if (turn := method.turn(step, course)).pool))
        assert found[1] == pytest.approx(found[0], abs=0.1)
    last = [method.turn(course.steps - 1, course).pool_weight for course in (whole, short)]
    assert last == [3.0, 3.0]


def test_lee_takes_both_kinds_at_every_step() -> None:
    """In Lee's form each step has 32 labeled and 256 pool rows."""
    course = Course(1000, 59_000, 600)
    turns = [PseudoLabel().turn(step, course) for step in (0, 300, 599)]
    assert {(len(turn.labeled), len(turn.pool)) for turn in turns} == {(32, 256)}


@pytest.mark.parametrize("form", ["lee", "alternating"])
def test_both_forms_train(form: str) -> None:
    """A training goes through the one loop; its curve has α, and its loss falls."""
    method = small("pseudo-label", form=form, t1="2", t2="6", rest="2")
    steps = PseudoLabel(form=form, t1=2, t2=6, rest=2, recipe=method.recipe).published_steps(Course(12, 30, 1))
    _, losses = trained(lesson(), plan(method, steps), 2)
    assert losses[-1] < losses[0]


def test_its_recipe_is_the_tutorials() -> None:
    """SGD at 0.1 without momentum, decay, schedule or averaging, in batches of 32 and 256."""
    recipe = make("pseudo-label").recipe
    found = (recipe.learning_rate, recipe.momentum, recipe.weight_decay, recipe.ema_decay)
    assert found == (0.1, 0, 0, 0)
    assert (recipe.schedule, recipe.labeled_batch, recipe.pool_batch) == ("constant", 32, 256)
