"""What every method in the table keeps to. A new method is one line in the table."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training.bars import CLASSES, CPU, lesson, network, plan, small, trained

from labelsvc.errors import UsageError
from labelsvc.losses import cross_entropy
from labelsvc.methods import METHODS, hyperparameters, make
from labelsvc.methods.contract import Batch, Losses, Memory, Method, Networks, PairedMethod, Problem
from labelsvc.methods.hyperparameters import Hyperparameter
from labelsvc.optim.average import Average
from labelsvc.optim.precision import autocast
from labelsvc.optim.recipe import Recipe
from labelsvc.training.checkpoint import load, save
from labelsvc.training.lesson import Sampler
from labelsvc.training.loop import State, begin, run

from . import flat
from .flat import moment

EVERY = pytest.mark.parametrize("name", METHODS)

SINGLE = pytest.mark.parametrize("name", [name for name in METHODS if not issubclass(METHODS[name], PairedMethod)])


def out_of_bounds(about: Hyperparameter) -> tuple[str, ...]:
    """Return texts that a hyper-parameter refuses: both sides of its bounds, and what is no value at all."""
    if isinstance(about.default, bool):
        return ("perhaps", "1")
    if about.choices:
        return ("sideways", "")
    least = 1 if isinstance(about.default, int) else 1e-6 * max(abs(about.low), abs(about.high), 1)
    outside = [about.low - least, about.high + least] + ([about.low, about.high] if about.is_open else [])
    texts = tuple(repr(type(about.default)(value)) for value in outside)
    return texts if isinstance(about.default, int) else (*texts, "nan")


BAD_SETTINGS = [
    pytest.param(name, field, text, id=f"{name}-{field}={text}")
    for name, method in METHODS.items()
    for field, about in hyperparameters.of(method)
    for text in out_of_bounds(about)
]


def batch(method: Method, *, step: int = 50) -> Batch:
    """Return a batch as the loop would give it to ``method`` at a step of a hundred, by when it takes of the pool."""
    sampler = Sampler(lesson(), method, steps=100, seed=0)
    return sampler.draw(step, torch.Generator().manual_seed(0))


def networks_of(seed: int = 0) -> Networks:
    """Return a fresh network and its average."""
    model = network(seed=seed).train()
    return Networks(model, Average(model, 0.9).network)


def start(method: Method) -> Memory:
    """Return the memory before the first step."""
    return method.init(Problem(torch.tensor([0.5, 0.3, 0.2]), pool=30))


def gradients(networks: Networks, losses: Losses) -> list[Tensor]:
    """Return the gradient of the total in every weight."""
    return list(torch.autograd.grad(losses.total, list(networks.model.parameters())))


@SINGLE
def test_a_loss_is_a_number_with_gradients(name: str) -> None:
    """The total is a finite scalar with finite gradients in every weight; figures are detached scalars."""
    method, networks = make(name), networks_of()
    losses, _ = method.loss(networks, start(method), batch(method), moment(0.5))
    assert losses.total.shape == ()
    assert losses.total.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients(networks, losses))
    assert losses.figures
    for figure in losses.figures.values():
        assert figure.shape == ()
        assert figure.isfinite()
        assert not figure.requires_grad


@SINGLE
def test_the_largest_class_is_told(name: str) -> None:
    """A method with a pool says which share of a step's pseudo-labels one class has, between even and all."""
    method = make(name)
    losses, _ = method.loss(networks_of(), start(method), batch(method), moment(0.5))
    assert ("largest class" in losses.figures) is (method.needs_pool and not method.needs_teacher)
    assert 1 / 3 <= float(losses.figures.get("largest class", 1)) <= 1


@SINGLE
def test_the_average_is_not_trained(name: str) -> None:
    """A loss changes no weight by itself, and asks nothing of the average's."""
    method, networks = make(name), networks_of()
    losses, _ = method.loss(networks, start(method), batch(method), moment())
    losses.total.backward()
    assert all(weight.grad is None for weight in networks.average.parameters())
    fresh = dict(network().named_parameters())
    assert all(torch.equal(weight, fresh[key]) for key, weight in networks.model.named_parameters())


@SINGLE
def test_memory_is_a_frozen_record_of_plain_tensors(name: str) -> None:
    """Memory is None or a frozen record; its tensors carry no gradient and keep their shapes and types."""
    method = make(name)
    before = start(method)
    _, after = method.loss(networks_of(), before, batch(method), moment())
    if before is None:
        assert after is None
        return
    for memory in (before, after):
        assert dataclasses.is_dataclass(memory)
        assert type(memory).__dataclass_params__.frozen  # type: ignore[attr-defined]
    for field in dataclasses.fields(before):
        first, second = getattr(before, field.name), getattr(after, field.name)
        assert not first.requires_grad
        assert not second.requires_grad
        assert (first.shape, first.dtype, first.device) == (second.shape, second.dtype, second.device)


@SINGLE
def test_a_loss_is_a_pure_function(name: str) -> None:
    """The same network, memory and batch give the same loss, gradients and memory; no generator is touched."""
    method, before = make(name), torch.get_rng_state()
    found = []
    for _ in range(2):
        networks = networks_of(seed=1)
        losses, memory = method.loss(networks, start(method), batch(method), moment(0.25))
        found.append((losses.total, *gradients(networks, losses), *vars(memory or method).values()))
    assert all(
        torch.equal(first, second) if isinstance(first, Tensor) else first == second
        for first, second in zip(*found, strict=True)
    )
    assert torch.equal(torch.get_rng_state(), before)


@SINGLE
def test_mixed_precision_stays_finite(name: str) -> None:
    """Under bfloat16 losses stay finite float32, and so do gradients and memory, over several steps."""
    method, networks = make(name), networks_of()
    memory = start(method)
    for step in range(3):
        with autocast(CPU, torch.bfloat16):
            losses, memory = method.loss(networks, memory, batch(method), moment(step / 3))
        assert losses.total.dtype == torch.float32
        assert all(gradient.isfinite().all() for gradient in gradients(networks, losses))
    for tensor in vars(memory or Losses(losses.total, {})).values():
        assert not isinstance(tensor, Tensor) or tensor.isfinite().all()


@pytest.mark.parametrize("name", ["fixmatch", "uda"])
def test_nothing_confident_leaves_the_supervised_gradient(name: str) -> None:
    """A masking method learns from the labels alone where every class is about as likely to its network.

    SoftMatch has no fixed mask: its own test has every row far below the running mean.
    """
    method, networks, given = make(name), flat.linear(scale=0.01), flat.batch()
    losses, _ = method.loss(networks, None, given, moment())
    found, expected = flat.gradients(networks, losses.total), flat.supervised_gradients(networks, given)
    assert losses.figures["used"] == 0
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@EVERY
def test_the_loss_falls(name: str) -> None:
    """On a problem that can be learnt thirty steps at least halve the cross-entropy of the labeled rows.

    A stored teacher is right and sure there. The total is no measure: a weight that rises raises it.
    """
    task = dataclasses.replace(lesson(), targets=torch.eye(CLASSES)[torch.arange(30) % CLASSES])
    state, _ = trained(task, plan(small(name), 30))
    pictures = task.labeled.take(torch.arange(len(task.labeled)))
    models = network(), state.student.network
    before, after = (cross_entropy(model.eval()(pictures), task.classes) for model in models)
    assert after < before / 2


@EVERY
def test_a_training_taken_up_goes_on_as_it_would(name: str, tmp_path: Path) -> None:
    """Saved and restored mid-way, it ends in the same weights, average and partner, bit for bit."""
    task, whole = lesson(), plan(small(name), 6)
    expected, _ = trained(task, whole)
    first = begin(network, task, whole)
    next(run(first, task, dataclasses.replace(whole, pauses=frozenset({3}))))
    save(first, [], tmp_path / "state")
    second = begin(network, task, whole)
    load(second, tmp_path / "state")
    assert [interval.step for interval in run(second, task, whole)] == [6]
    assert all(torch.equal(one, other) for one, other in zip(weights(second), weights(expected), strict=True))


def weights(state: State) -> list[Tensor]:
    """Return all that was learnt."""
    networks = [state.student.network, state.average.network, *([state.partner.network] if state.partner else [])]
    return [tensor for network in networks for tensor in network.state_dict().values()]


@EVERY
def test_bfloat16_trains_to_finite_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps under mixed precision leave finite weights in every network."""
    monkeypatch.setattr("labelsvc.training.loop.find_dtype", lambda _: torch.bfloat16)
    state, _ = trained(lesson(), plan(small(name), 4))
    assert all(tensor.isfinite().all() for tensor in weights(state))


@EVERY
def test_a_method_is_a_frozen_record(name: str) -> None:
    """A method's hyper-parameters cannot be changed in place, and are validated when it is made."""
    method = make(name)
    assert method.labeled_view in ("weak", "strong")
    assert isinstance(method.recipe, Recipe)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.recipe = Recipe()  # type: ignore[misc]


@EVERY
def test_every_field_has_bounds(name: str) -> None:
    """Each of a method's own fields says what it means and what it may be, and its default may."""
    told = dict(hyperparameters.of(METHODS[name]))
    assert {field.name for field in dataclasses.fields(make(name))} == {*told, "recipe"}  # type: ignore[arg-type]
    for about in told.values():
        assert about.meaning
        assert about.admits(about.default)
        assert about.choices or isinstance(about.default, bool) or about.low < about.high < math.inf


@EVERY
def test_a_method_tells_of_itself(name: str) -> None:
    """Each names its paper and says when to use it."""
    method = make(name)
    assert re.search(r"(19|20)\d\d", method.citation)
    assert method.advice.endswith(".")


@pytest.mark.parametrize(("name", "field", "text"), BAD_SETTINGS)
def test_values_out_of_bounds_are_refused(name: str, field: str, text: str) -> None:
    """A value outside its bounds is a wrong call, and the message names the field."""
    with pytest.raises(UsageError, match=field):
        make(name, {field: text})


@EVERY
def test_settings_are_read_as_their_defaults_types(name: str) -> None:
    """Texts become floats, whole numbers, truths and names; what is not set keeps its default."""
    settings = {"learning_rate": "0.5", "labeled_batch": "70", "nesterov": "False", "schedule": "annealed"}
    recipe = make(name, settings).recipe
    assert recipe == dataclasses.replace(
        make(name).recipe, learning_rate=0.5, labeled_batch=70, nesterov=False, schedule="annealed"
    )
    assert {key: type(value) for key, value in vars(recipe).items()} == {
        key: type(value) for key, value in vars(Recipe()).items()
    }


@EVERY
@pytest.mark.parametrize(
    ("setting", "text", "reason"),
    [
        ("labeled_batch", "7.5", "whole number"),
        ("learning_rate", "fast", "a number"),
        ("nesterov", "1", "true or false"),
    ],
)
def test_texts_of_another_type_are_refused(name: str, setting: str, text: str, reason: str) -> None:
    """A text that does not read as its setting's type is a wrong call that quotes it."""
    with pytest.raises(UsageError, match=f"{setting}={text}.*{reason}"):
        make(name, {setting: text})


@EVERY
def test_unknown_settings_name_the_known(name: str) -> None:
    """A setting that a method does not have is refused, and the message lists those it has."""
    with pytest.raises(UsageError, match="lerning_rate") as refused:
        make(name, {"lerning_rate": "1"})
    assert all(field in str(refused.value) for field, _ in hyperparameters.of(METHODS[name]))
    assert "learning_rate" in str(refused.value)


def test_unknown_methods_name_the_known() -> None:
    """A method that is not in the table is refused, and the message lists the table."""
    with pytest.raises(UsageError, match=", ".join(METHODS)):
        make("wishful-thinking")
