"""Meta Pseudo Labels against the enumeration of all labelings, against autograd, and its laws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from training.bars import CPU, lesson

from labelsvc.methods import feedback, make
from labelsvc.methods.contract import Course, Problem
from labelsvc.methods.feedback import (
    central_difference,
    directional_derivative,
    kept_weights,
    labeled_direction,
    labeled_loss,
    sample,
    sampled_feedback,
)
from labelsvc.methods.meta_pseudo_labels import MetaPseudoLabels
from labelsvc.training.lesson import Sampler, hold_out

from .enumerable import (
    CLASSES,
    DROPOUT,
    RATE,
    apart,
    averaged,
    enumerated,
    flat,
    given,
    gradient,
    judges,
    learnt_from_feedback,
    log_q,
    loss_after,
    noisy,
    simple,
    smooth,
    stepped,
)
from .flat import moment

UNBOUND = {form: MetaPseudoLabels(form=form, bound=1000) for form in ("2021", "v1")}
STUDENTS = pytest.mark.parametrize("make_student", [simple, noisy])
FORMS = pytest.mark.parametrize("form", ["2021", "v1"])
EXACT = pytest.mark.seconds  # the first derivative of a process in forward mode reads torch's rules for it
FEEDBACKS = pytest.mark.parametrize("feedback", ["sampled", pytest.param("exact", marks=EXACT)])


@pytest.mark.seconds
@FORMS
@pytest.mark.parametrize("fall", [0.0, 0.7, -0.2])
def test_the_sampled_feedback_is_right_on_average(form: str, fall: float) -> None:
    """Over all labelings, each as often as it is drawn, the step descends E[L(θ')], whatever the baseline."""
    method, teacher, student, batch = UNBOUND[form], simple(1), simple(2), given()
    expected = enumerated(method, teacher, student, batch)
    found = averaged(
        teacher,
        batch,
        lambda seed: learnt_from_feedback(method, teacher, student, batch, seed=seed, fall=fall),
    )
    assert apart(found, expected) < 1e-5
    assert apart(-found, expected) > 1.9, "the sign reversed must not pass"


def test_the_student_learns_from_the_labels_that_are_credited() -> None:
    """A single step descends (L(θ') − L(θ) + b) · Σ log q(ŷ) with the ŷ that the student was stepped on."""
    method, teacher, student, batch = UNBOUND["2021"], simple(1), simple(2), given()
    said = log_q(teacher, batch)
    drawn = sample(said, moment(seed=5).generator)
    one_hot = functional.one_hot(drawn, CLASSES).double()
    before = labeled_loss(student, batch.labeled, batch.classes).detach()
    after = loss_after(method, student, batch, one_hot).detach()
    expected = gradient((after - before + 0.3) * (one_hot * said).sum(), teacher)
    found = learnt_from_feedback(method, teacher, student, batch, seed=5, fall=0.3)
    assert apart(found, expected) < 1e-9
    _, moved, losses, _ = stepped(method, teacher, student, batch, seed=5)
    assert losses.figures["feedback"].item() == pytest.approx((before - after).item())
    assert labeled_loss(moved, batch.labeled, batch.classes).item() == pytest.approx(after.item())


@pytest.mark.parametrize(("fall", "sign"), [(-9.0, 1), (9.0, -1)])
def test_no_step_is_credited_with_more_than_the_bound(fall: float, sign: int) -> None:
    """Beyond ``bound`` the credit is the bound, in either direction; within it nothing is cut."""
    teacher, student, batch = simple(1), simple(2), given()
    said = log_q(teacher, batch)
    drawn = sample(said, moment(seed=5).generator)
    found = learnt_from_feedback(MetaPseudoLabels(bound=0.02), teacher, student, batch, seed=5, fall=fall)
    assert apart(found, gradient(-sign * 0.02 * said.gather(1, drawn[:, None]).sum(), teacher)) < 1e-9
    wide, wider = (
        learnt_from_feedback(MetaPseudoLabels(bound=bound), teacher, student, batch, fall=fall) for bound in (20, 40)
    )
    assert torch.equal(wide, wider)


@EXACT
@FORMS
@STUDENTS
def test_the_exact_feedback_is_the_derivative_through_the_students_step(
    form: str, make_student: Callable[[int], nn.Module]
) -> None:
    """With soft labels the step descends L(θ') itself, through batch statistics and the very dropout of the step."""
    method, batch = MetaPseudoLabels(form=form, feedback="exact"), given(pool=4)
    teacher, student = simple(1), make_student(2)
    torch.manual_seed(DROPOUT)
    after = loss_after(method, student, batch, log_q(teacher, batch).exp())
    expected = gradient(after, teacher)
    whole, moved, losses, _ = stepped(method, teacher, student, batch)
    without, *_ = stepped(replace(method, meta_weight=0), teacher, student, batch)
    assert apart((flat(without) - flat(whole)) / RATE, expected) < 1e-6
    assert labeled_loss(moved, *judges(method, batch)).item() == pytest.approx(after.item(), rel=1e-12)
    assert (losses.figures["labeled loss"] - losses.figures["feedback"]).item() == pytest.approx(after.item())


@EXACT
@STUDENTS
def test_the_derivatives_forms_agree(make_student: Callable[[int], nn.Module]) -> None:
    """The directional derivative is that of central differences; neither moves a statistic."""
    student, batch = make_student(2), given(pool=6)
    _, direction = labeled_direction(student, batch.labeled, batch.classes)
    before = copy.deepcopy(student.state_dict())
    found = []
    for form in (directional_derivative, central_difference):
        calm = student.eval() if make_student is noisy else student
        found.append(form(calm, kept_weights(calm), direction, batch.pool[1]))
    assert apart(found[1], found[0]) < 1e-4
    student.train()
    with feedback.to_be_repeated(CPU):
        one = directional_derivative(student, kept_weights(student), direction, batch.pool[1])
    sides = []
    for sign in (1, -1):
        with feedback.to_be_repeated(CPU):
            weights = {name: weight + sign * 1e-5 * direction[name] for name, weight in kept_weights(student).items()}
            sides.append(functional_call(copy.deepcopy(student), weights, (batch.pool[1],)).log_softmax(dim=1))
    assert apart((sides[0] - sides[1]).detach() / 2e-5, one) < 1e-4
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.state_dict().items())


def test_argmax_for_samples_must_fail() -> None:
    """Crediting the likeliest labels instead of drawn ones does not descend E[L(θ')]."""
    method, teacher, student, batch = MetaPseudoLabels(), simple(1), simple(2), given()
    said = log_q(teacher, batch)
    likeliest = said.argmax(dim=1)
    before = labeled_loss(student, batch.labeled, batch.classes)
    after = loss_after(method, student, batch, functional.one_hot(likeliest, CLASSES).double())
    found = gradient(sampled_feedback(said, likeliest, before - after), teacher)
    assert apart(found, enumerated(method, teacher, student, batch)) > 0.5


def test_the_released_form_must_fail() -> None:
    """With the teacher's own soft labels in the likelihood, as in the authors' code, the gradient is zero."""
    method, teacher, student, batch = MetaPseudoLabels(), simple(1), simple(2), given()
    said = log_q(teacher, batch)
    before = labeled_loss(student, batch.labeled, batch.classes)
    after = loss_after(method, student, batch, said.exp())
    coefficient = (after - before).detach()
    found = gradient(coefficient * -(said.exp().detach() * said).sum(), teacher)
    assert coefficient.abs() > 1e-3
    assert found.abs().max() < 1e-15
    assert apart(found, enumerated(method, teacher, student, batch)) > 0.99


@FORMS
@FEEDBACKS
@STUDENTS
def test_a_student_that_stands_still_has_nothing_to_tell(
    form: str, feedback: str, make_student: Callable[[int], nn.Module]
) -> None:
    """At a student's learning rate of 0 the feedback is exactly 0, though its batch statistics move."""
    method, batch = MetaPseudoLabels(form=form, feedback=feedback), given()
    teacher, student = simple(1), make_student(2)
    whole, moved, losses, memory = stepped(method, teacher, student, batch, student_rate=0)
    without, *_ = stepped(replace(method, meta_weight=0), teacher, student, batch, student_rate=0)
    assert torch.equal(flat(moved), flat(student))
    assert torch.equal(flat(whole), flat(without))
    assert losses.figures["feedback"] == 0
    assert memory.fall == 0


def test_labeled_losses_know_no_chance_and_no_other_row() -> None:
    """L is the mean of the rows' own losses, whatever the seed; mode, statistics and generators stay as they were."""
    network, batch = noisy(2), given(labeled=6)
    network(batch.pool[0])  # statistics that are not those of the start
    before, drawn = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    whole = labeled_loss(network, batch.labeled, batch.classes)
    assert torch.equal(torch.get_rng_state(), drawn)
    for seed in range(3):
        torch.manual_seed(seed)
        assert torch.equal(labeled_loss(network, batch.labeled, batch.classes), whole)
    alone = [labeled_loss(network, batch.labeled[row : row + 1], batch.classes[row : row + 1]) for row in range(6)]
    torch.testing.assert_close(torch.stack(alone).mean(), whole, rtol=1e-12, atol=0)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_labeled_losses_are_of_full_precision() -> None:
    """Under bfloat16 a small fall is not lost to rounding: L is what it is without."""
    network, batch = simple(2), given()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = labeled_loss(network, batch.labeled, batch.classes)
    assert torch.equal(mixed, labeled_loss(network, batch.labeled, batch.classes))


def descended(teacher: nn.Module, total: Tensor) -> Tensor:
    """Return the teacher's weights after one plain step down ``total``."""
    return flat(teacher) - RATE * gradient(total, teacher)


@FEEDBACKS
@pytest.mark.parametrize("progress", [0.1, 0.5])
def test_without_the_meta_term_the_teacher_learns_by_uda(feedback: str, progress: float) -> None:
    """At w = 0 it descends H(y, T(x)) + λ · mean of 1(max p ≥ β) · H(p, T(Ω(u))), λ risen by then, labels smoothed."""
    method = MetaPseudoLabels(feedback=feedback, meta_weight=0, uda_weight=3, threshold=0.5, ramp=0.2)
    teacher, batch = simple(1), given(pool=8)
    with torch.no_grad():
        for weight in teacher.parameters():
            weight.mul_(2)  # so that some rows are confident
    p = (teacher(batch.pool[0]).detach() / 0.7).softmax(dim=1)
    sure = p.amax(dim=1) >= 0.5
    assert 0 < sure.sum() < 8
    heard = teacher(batch.pool[1]).log_softmax(dim=1)
    uda = -(p * heard).sum(dim=1)[sure].sum() / 8
    targets = smooth(functional.one_hot(batch.classes, CLASSES).double())
    labeled = -(targets * teacher(batch.labeled).log_softmax(dim=1)).sum(dim=1).mean()
    expected = labeled + 3 * min(1, progress / 0.2) * uda
    found, _, losses, _ = stepped(method, teacher, simple(2), batch, progress=progress)
    torch.testing.assert_close(flat(found), descended(teacher, expected))
    assert losses.figures["teacher loss"].item() == pytest.approx(expected.item())
    assert losses.figures["used"].item() == pytest.approx(sure.double().mean().item())


@FEEDBACKS
def test_in_the_first_version_the_teachers_own_gradient_is_the_supervised_one(feedback: str) -> None:
    """At w = 0 the teacher of form v1 learns from labels alone, and the pool is nothing to it."""
    method, teacher, batch = MetaPseudoLabels(form="v1", feedback=feedback, meta_weight=0), simple(1), given()
    targets = smooth(functional.one_hot(batch.classes, CLASSES).double())
    labeled = -(targets * teacher(batch.labeled).log_softmax(dim=1)).sum(dim=1).mean()
    found, *_ = stepped(method, teacher, simple(2), batch)
    torch.testing.assert_close(flat(found), descended(teacher, labeled))


@FEEDBACKS
def test_the_student_sees_no_label_but_the_teachers(feedback: str) -> None:
    """Before fine-tuning the student's step depends on the pool alone, in neither form on a given class."""
    for form in ("2021", "v1"):
        method, batch = MetaPseudoLabels(form=form, feedback=feedback), given()
        other = replace(batch, classes=(batch.classes + 1) % CLASSES, labeled=batch.labeled + 1)
        students = [stepped(method, simple(1), simple(2), rows)[1] for rows in (batch, other)]
        assert torch.equal(flat(students[0]), flat(students[1]))


@FEEDBACKS
def test_held_out_rows_only_judge(feedback: str) -> None:
    """Other held-out rows change nothing at w = 0; with the feedback they change the teacher, never the student."""
    method, batch = MetaPseudoLabels(form="v1", feedback=feedback), given()
    assert batch.held_out is not None
    pictures, classes = batch.held_out
    other = replace(batch, held_out=(pictures * 2 + 1, (classes + 1) % CLASSES))
    for weight, same in ((0.0, True), (1.0, False)):
        found = [stepped(replace(method, meta_weight=weight), simple(1), noisy(2), rows)[:2] for rows in (batch, other)]
        (teacher, student), (another, likewise) = found
        assert torch.equal(flat(teacher), flat(another)) is same
        assert all(torch.equal(one, two) for one, two in zip(student.buffers(), likewise.buffers(), strict=True))
        assert torch.equal(flat(student), flat(likewise))


def test_only_the_first_version_holds_rows_out() -> None:
    """Form v1 is judged by a share of each class, other rows than those that it learns from; 2021 holds out none."""
    assert make("meta-pseudo-labels").held_out_share == 0
    method = make("mpl", {"form": "v1", "holdout": "0.25", "labeled_batch": "9", "pool_batch": "4"})
    assert method.held_out_share == 0.25
    task = lesson()
    kept, held = hold_out(task.classes, 0.25)
    assert (len(kept), len(held)) == (9, 3)
    task = replace(task, views=make_plain())
    sampler = Sampler(task, method, steps=100, seed=0)
    rows = task.labeled.take(torch.arange(12))
    for step in range(5):
        batch = sampler.draw(step, torch.Generator().manual_seed(0))
        assert batch.held_out is not None
        assert places(batch.labeled, rows) == set(kept.tolist())
        assert places(batch.held_out[0], rows) == set(held.tolist())


def make_plain() -> object:
    """Return views that leave pictures alone."""
    from labelsvc import views

    return views.find("none")


def places(pictures: Tensor, rows: Tensor) -> set[int]:
    """Return which of ``rows`` the pictures are."""
    return {int((rows == picture).flatten(1).all(dim=1).nonzero()) for picture in pictures}


@FORMS
def test_at_last_the_student_is_fine_tuned(form: str) -> None:
    """The last share of the steps takes labeled rows alone; the teacher stands still and memory stays."""
    method = MetaPseudoLabels(form=form, finetune=0.1, finetune_rate=0.01)
    course = Course(labeled=100, pool=1000, steps=200, held_out=25 if form == "v1" else 0)
    turns = [method.turn(step, course) for step in range(200)]
    assert all(len(turn.pool) == 192 for turn in turns[:180])
    assert all(len(turn.pool) == 0 and len(turn.held_out) == 0 for turn in turns[180:])
    assert all(turn.labeled == range(64 * step, 64 * step + 64) for step, turn in enumerate(turns))
    assert all(len(turn.held_out) == (64 if form == "v1" else 0) for turn in turns[:180])
    teacher, student, batch = simple(1), simple(2), replace(given(), pool=(), held_out=None)
    stood, tuned, losses, memory = stepped(method, teacher, student, batch, progress=0.95, fall=0.5)
    targets = smooth(functional.one_hot(batch.classes, CLASSES).double())
    loss = -(targets * student(batch.labeled).log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(flat(tuned), flat(student) - 0.01 * gradient(loss, student))
    assert torch.equal(flat(stood), flat(teacher))
    assert losses.total.item() == pytest.approx(loss.item())
    assert memory.fall == 0.5


def test_no_fine_tuning_is_none() -> None:
    """With finetune=0 the last step is as any other."""
    assert len(MetaPseudoLabels(finetune=0).turn(9, Course(labeled=10, pool=10, steps=10)).pool) == 192


def test_at_first_the_student_waits() -> None:
    """Until ``wait`` is over the teacher learns by itself, as at w = 0, and the student stands still."""
    method, teacher, student, batch = MetaPseudoLabels(wait=0.2), simple(1), noisy(2), given()
    alone, stood, *_ = stepped(method, teacher, student, batch, progress=0.19)
    without, _, _, _ = stepped(replace(method, meta_weight=0, wait=0), teacher, student, batch, progress=0.19)
    assert torch.equal(flat(alone), flat(without))
    assert all(torch.equal(one, two) for one, two in zip(stood.buffers(), student.buffers(), strict=True))
    assert torch.equal(flat(stood), flat(student))
    assert not torch.equal(flat(stepped(method, teacher, student, batch, progress=0.2)[1]), flat(student))


def test_the_baseline_follows_the_falls() -> None:
    """It starts at 0 and moves to L(θ) − L(θ') by one minus its momentum, after the step that it is used in."""
    method = MetaPseudoLabels(baseline=0.9)
    start = method.init(Problem(torch.full((CLASSES,), 1 / 3, dtype=torch.float64)))
    assert start.fall == 0
    _, _, losses, memory = stepped(method, simple(1), simple(2), given(), fall=0.5)
    assert memory.fall.item() == pytest.approx(0.45 + 0.1 * losses.figures["feedback"].item())


def test_labels_are_drawn_as_the_teacher_says() -> None:
    """Each class comes as often as its probability, to four standard deviations, and by the generator alone."""
    wanted = torch.tensor([0.7, 0.2, 0.0999, 0.0001])
    drawn = sample(wanted.log().expand(20_000, 4), moment(seed=1).generator)
    shares = drawn.bincount(minlength=4) / 20_000
    assert ((shares - wanted).abs() <= 4 * (wanted * (1 - wanted) / 20_000).sqrt()).all()
    assert torch.equal(drawn, sample(wanted.log().expand(20_000, 4), moment(seed=1).generator))
    assert not torch.equal(drawn, sample(wanted.log().expand(20_000, 4), moment(seed=2).generator))


@FORMS
@FEEDBACKS
def test_a_pool_batch_of_one_row_is_finite(form: str, feedback: str) -> None:
    """One pool row and one labeled row are enough."""
    method = MetaPseudoLabels(form=form, feedback=feedback)
    teacher, student, losses, memory = stepped(method, simple(1), simple(2), given(labeled=1, pool=1))
    assert all(tensor.isfinite().all() for tensor in (flat(teacher), flat(student), memory.fall, losses.total))
    assert all(figure.isfinite() and not figure.requires_grad for figure in losses.figures.values())
    assert 1 / CLASSES <= losses.figures["largest class"] <= 1
    assert 0 <= losses.figures["teacher accuracy"] <= 1


def test_its_alias() -> None:
    """``mpl`` is the same method."""
    assert make("mpl", {"meta_weight": "0"}) == make("meta-pseudo-labels", {"meta_weight": "0"})
