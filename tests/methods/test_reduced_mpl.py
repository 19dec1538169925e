"""Reduced Meta Pseudo Labels: a calibrator that starts as the identity and learns from the student's step."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from training.bars import lesson, plan, small, trained

from labelsvc.losses import log_probabilities, soft_cross_entropy
from labelsvc.methods import make
from labelsvc.methods.contract import Batch, Course, Learner, Problem
from labelsvc.methods.reduced_mpl import Calibrator, ReducedMPL
from labelsvc.optim.optimiser import Optimiser
from labelsvc.optim.recipe import Recipe

from .flat import CLASSES, batch, linear, moment

PLAIN = Recipe(learning_rate=0.3, momentum=0.0, weight_decay=0.0, schedule="constant")
FORMS = pytest.mark.parametrize("feedback", ["exact", "sampled"])


def given(*, held_out: int = 6, dtype: torch.dtype = torch.float64) -> Batch:
    """Return a batch of one view of the pool, with sure and unsure words of a teacher, and rows held out."""
    one, other = batch(views=1), batch(1, labeled=held_out or 1)
    generator = torch.Generator().manual_seed(2)
    said = (3 * torch.randn(8, CLASSES, generator=generator)).softmax(dim=1).to(dtype)
    return replace(
        one,
        labeled=one.labeled.to(dtype),
        pool=(one.pool[0].to(dtype),),
        targets=said,
        held_out=(other.labeled.to(dtype), other.classes) if held_out else None,
    )


def calibrator(*, scale: float = 0.0, width: int = 5) -> Calibrator:
    """Return a calibrator in float64; ``scale`` moves it away from the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = Calibrator(CLASSES, width)
        nn.init.normal_(made.last.weight, std=scale)
        nn.init.normal_(made.last.bias, std=scale)
    return made.double()


def learner(network: nn.Module, recipe: Recipe) -> Learner:
    """Return a network with its optimiser."""
    return Learner(network, Optimiser(network, recipe))


def stepped(method: ReducedMPL, seen: Batch, partner: Calibrator, *, steps: int = 1) -> tuple[nn.Module, Calibrator]:
    """Return a linear student and the calibrator after some steps on one batch."""
    student = learner(linear().model.double(), method.recipe)
    calibrating = learner(copy.deepcopy(partner), method.partner_recipe)
    memory = method.init(Problem(torch.full((CLASSES,), 0.25, dtype=torch.float64)))
    for step in range(steps):
        _, memory = method.step(student, calibrating, memory, seen, moment(seed=step))
    assert isinstance(calibrating.network, Calibrator)
    return student.network, calibrating.network


def weights(network: nn.Module) -> list[Tensor]:
    """Return what was learnt."""
    return [weight.detach() for weight in network.parameters()]


def alike(one: nn.Module, other: nn.Module) -> bool:
    """Return whether two networks have the same weights, bit for bit."""
    return all(torch.equal(*pair) for pair in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_starts_as_the_identity(dtype: torch.dtype) -> None:
    """Before the first step log q comes out as it went in, bit for bit, also where the teacher was certain."""
    said = torch.cat([torch.rand(20, CLASSES).softmax(dim=1), torch.eye(CLASSES)]).to(dtype)
    partner = ReducedMPL().partner(nn.Identity, Problem(torch.full((CLASSES,), 0.25))).to(dtype)
    log_q = log_probabilities(said)
    assert torch.equal(partner(log_q), log_q)
    torch.testing.assert_close(partner(log_q).softmax(dim=1), said)


@FORMS
def test_a_student_that_stands_still_teaches_nothing(feedback: str) -> None:
    """At a student's learning rate of 0 the feedback is exactly 0: no calibrator moves, with momentum or without."""
    for momentum in (0.0, 0.9):
        method = ReducedMPL(feedback=feedback, recipe=replace(PLAIN, learning_rate=0.0, momentum=momentum))
        for scale in (0.0, 0.5):
            before = calibrator(scale=scale)
            _, after = stepped(method, given(), before, steps=3)
            assert alike(before, after)


@FORMS
def test_a_student_that_moves_does_teach(feedback: str) -> None:
    """The control: at another rate the calibrator leaves the identity."""
    before = calibrator()
    _, after = stepped(ReducedMPL(feedback=feedback, recipe=PLAIN), given(), before, steps=3)
    assert not alike(before, after)


@FORMS
def test_without_its_weight_nothing_is_calibrated(feedback: str) -> None:
    """With w = 0, the ablation, the calibrator stays the identity, while the student learns all the same."""
    method = ReducedMPL(feedback=feedback, recipe=PLAIN, meta_weight=0.0)
    student, after = stepped(method, given(), calibrator(), steps=3)
    assert alike(calibrator(), after)
    assert not alike(student, linear().model.double())


def meta_gradient(seen: Batch, partner: Calibrator, rate: float) -> list[Tensor]:
    """Return ∇ L(θ'(ψ)) in ψ by automatic differentiation through the student's step."""
    student = linear().model.double()
    theta = dict(student.named_parameters())
    assert seen.targets is not None
    targets = partner(log_probabilities(seen.targets)).softmax(dim=1)
    loss = soft_cross_entropy(functional_call(student, theta, (seen.pool[0],)), targets)
    slopes = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    moved = {name: weight - rate * slope for (name, weight), slope in zip(theta.items(), slopes, strict=True)}
    pictures, classes = seen.held_out or (seen.labeled, seen.classes)
    after = nn.functional.cross_entropy(functional_call(student, moved, (pictures,)), classes)
    return list(torch.autograd.grad(after, list(partner.parameters())))


@pytest.mark.parametrize("held_out", [6, 0])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_exact_feedback_is_the_gradient_through_the_students_step(held_out: int, scale: float) -> None:
    """What the calibrator is stepped on is w · ∇ L(θ'(ψ)), on held-out rows or on the labeled ones, to 1e-10."""
    seen, partner = given(held_out=held_out), calibrator(scale=scale)
    _, after = stepped(ReducedMPL(recipe=PLAIN, meta_weight=2.0), seen, partner)
    expected = meta_gradient(seen, partner, PLAIN.learning_rate)
    assert any(part.abs().sum() > 0 for part in expected)
    for weight, part in zip(after.parameters(), expected, strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, 2.0 * part, rtol=1e-8, atol=1e-10)


def test_the_sign_matters() -> None:
    """A step along the feedback lowers the labeled loss that the student will have, one against it raises it."""
    seen, partner = given(), calibrator(scale=0.3)
    _, after = stepped(ReducedMPL(recipe=PLAIN, calibrator_rate=0.5), seen, partner)
    towards = {name: (weight - dict(partner.named_parameters())[name]) for name, weight in after.named_parameters()}

    def ahead(share: float) -> float:
        moved = copy.deepcopy(partner)
        with torch.no_grad():
            for name, weight in moved.named_parameters():
                weight.add_(share * towards[name])
        student, _ = stepped(ReducedMPL(recipe=PLAIN), seen, moved)
        assert seen.held_out is not None
        return nn.functional.cross_entropy(student(seen.held_out[0]), seen.held_out[1]).item()

    assert ahead(1.0) < ahead(0.0) < ahead(-1.0)


@FORMS
def test_held_out_rows_teach_the_calibrator_alone(feedback: str) -> None:
    """Other labels of the held-out rows leave the student's step as it is, and change the calibrator's."""
    seen = given()
    assert seen.held_out is not None
    other = replace(seen, held_out=(seen.held_out[0], (seen.held_out[1] + 1) % CLASSES))
    method = ReducedMPL(feedback=feedback, recipe=PLAIN)
    (student, calibrated), (same, different) = (stepped(method, one, calibrator()) for one in (seen, other))
    assert alike(student, same)
    assert not alike(calibrated, different)


def test_labeled_rows_are_not_seen_while_the_pool_is() -> None:
    """The student steps on the calibrated words alone: other labels of the batch change nothing."""
    seen = given()
    other = replace(seen, classes=(seen.classes + 1) % CLASSES)
    one, another = (stepped(ReducedMPL(recipe=PLAIN), rows, calibrator()) for rows in (seen, other))
    assert alike(one[0], another[0])
    assert alike(one[1], another[1])


@FORMS
def test_calibrated_words_stay_distributions(feedback: str) -> None:
    """After many large steps each row of targets is finite, not negative, and sums to one; it has moved by then."""
    method = make(
        "reduced-mpl", {"feedback": feedback, "calibrator_rate": "30", "labeled_batch": "8", "pool_batch": "16"}
    )
    task = lesson()
    state, _ = trained(task, plan(method, 60))
    assert state.partner is not None
    assert task.targets is not None
    log_q = log_probabilities(task.targets)
    made = state.partner.network(log_q).softmax(dim=1)
    assert made.isfinite().all()
    assert (made >= 0).all()
    torch.testing.assert_close(made.sum(dim=1), torch.ones(len(made)))
    assert not torch.equal(state.partner.network(log_q), log_q)


def test_nothing_is_held_out_where_nobody_asks() -> None:
    """With holdout=0 every labeled row is learnt from at last, and the feedback is on them."""
    task = lesson()
    for share, kept in (("0", 12), ("0.2", 9)):
        method = small("reduced-mpl", holdout=share)
        course = task.course(method, 20)
        assert (course.labeled, course.held_out) == (kept, 12 - kept)
        assert len(method.turn(0, course).held_out) == (8 if course.held_out else 0)
        trained(task, plan(method, 20))


def test_the_last_steps_are_on_labels() -> None:
    """The last ``finetune`` of the steps take labeled rows alone, at a rate of their own; the calibrator rests."""
    method, course = ReducedMPL(finetune=0.1), Course(40, 100, steps=50, held_out=10)
    turns = [method.turn(step, course) for step in range(50)]
    assert [len(turn.pool) for turn in turns] == [192] * 45 + [0] * 5
    assert all(len(turn.held_out) == (64 if turn.pool else 0) for turn in turns)
    alone = replace(given(), pool=(), targets=None, held_out=None)
    student, after = stepped(replace(method, recipe=PLAIN, finetune_rate=0.0), alone, calibrator())
    assert alike(student, linear().model.double())
    assert alike(after, calibrator())


def test_a_pool_batch_of_one_row_is_finite() -> None:
    """One row of which the teacher was certain moves nothing to infinity, in either form."""
    seen = given()
    certain = torch.eye(CLASSES, dtype=torch.float64)[:1]
    alone = replace(seen, pool=(seen.pool[0][:1],), rows=torch.zeros(1, dtype=torch.int64), targets=certain)
    for feedback in ("exact", "sampled"):
        networks = stepped(ReducedMPL(feedback=feedback, recipe=PLAIN), alone, calibrator(), steps=3)
        assert all(weight.isfinite().all() for network in networks for weight in weights(network))
