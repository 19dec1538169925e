"""One optimiser's step, and the recipe it follows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from labelsvc.errors import UsageError
from labelsvc.optim.optimiser import Optimiser
from labelsvc.optim.recipe import Recipe


def tiny() -> nn.Sequential:
    """Return a network with weights, biases and normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def copies(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters as they are now."""
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def test_only_weights_are_decayed() -> None:
    """Without a gradient, matrices shrink by η·decay; biases and normalisation stay."""
    network = tiny()
    nn.init.constant_(network[0].bias, 0.7)
    before = copies(network)
    recipe = Recipe(learning_rate=0.5, weight_decay=0.1, momentum=0, schedule="constant")
    Optimiser(network, recipe).step(sum(weight.sum() for weight in network.parameters()) * 0.0, 0.0)
    for name, weight in network.named_parameters():
        factor = 1 - 0.5 * 0.1 if weight.ndim > 1 else 1.0
        torch.testing.assert_close(weight.detach(), before[name] * factor)


def test_a_learning_rate_of_zero_leaves_the_weights() -> None:
    """Nothing moves at η = 0, whatever the gradient and the decay."""
    network = tiny()
    before = copies(network)
    optimiser = Optimiser(network, Recipe(learning_rate=0.0))
    for step in range(3):
        optimiser.step(network(torch.ones(5, 4)).square().sum(), step / 3)
    assert all(torch.equal(weight, before[name]) for name, weight in network.named_parameters())


@pytest.mark.parametrize("nesterov", [True, False])
def test_steps_follow_the_textbook(nesterov: bool) -> None:
    """Three steps down x² are momentum's (Sutskever et al. 2013), at the schedule's rates."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 2.0)
    recipe = Recipe(learning_rate=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01, schedule="annealed")
    optimiser = Optimiser(network, recipe)
    x, velocity = 2.0, 0.0
    for progress, rate in ((0.0, 0.1), (0.5, 0.05), (1.0, 0.0)):
        optimiser.step(network.weight.square().sum(), progress)
        gradient = 2 * x + 0.01 * x
        velocity = 0.9 * velocity + gradient
        x -= rate * (gradient + 0.9 * velocity if nesterov else velocity)
        assert network.weight.item() == pytest.approx(x)


def test_gradients_do_not_pile_up() -> None:
    """A step follows its own loss alone."""
    network = nn.Linear(1, 1, bias=False)
    recipe = Recipe(learning_rate=1.0, momentum=0, weight_decay=0, schedule="constant")
    optimiser, start = Optimiser(network, recipe), network.weight.item()
    for _ in range(2):
        optimiser.step(network.weight.sum(), 0.0)
    assert network.weight.item() == pytest.approx(start - 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", -0.1),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("weight_decay", -1e-9),
        ("ema_decay", 1.0),
        ("ema_decay", -0.1),
        ("labeled_batch", 0),
        ("pool_batch", 0),
        ("schedule", "triangular"),
    ],
)
def test_bounds(name: str, value: object) -> None:
    """A value out of its bounds is a wrong call that names itself."""
    with pytest.raises(UsageError, match=f"{name}="):
        Recipe(**{name: value})  # type: ignore[arg-type]


def test_bounds_are_inclusive_where_they_make_sense() -> None:
    """Zero rates, no momentum, no decay, no averaging and batches of one are all allowed."""
    Recipe(learning_rate=0, momentum=0, weight_decay=0, ema_decay=0, labeled_batch=1, pool_batch=1)


@pytest.mark.parametrize("nesterov", [True, False])
def test_its_reach_is_how_far_a_step_goes_along_its_gradient(nesterov: bool) -> None:
    """A gradient longer by δ, after steps that left momentum, moves the weight by reach · δ further."""
    recipe = Recipe(learning_rate=0.1, momentum=0.9, nesterov=nesterov, schedule="annealed")
    ends = []
    for slope in (1.0, 1.5):
        network = nn.Linear(1, 1, bias=False)
        nn.init.constant_(network.weight, 2.0)
        optimiser = Optimiser(network, recipe)
        for step, factor in enumerate((3.0, -2.0, slope)):
            optimiser.step(factor * network.weight.sum(), step / 4)
        ends.append(network.weight.item())
    assert ends[0] - ends[1] == pytest.approx(0.5 * optimiser.reach(0.5), rel=1e-5)
    assert optimiser.reach(0.5) == pytest.approx(0.05 * (1.9 if nesterov else 1))


def test_a_rate_of_its_own_takes_the_schedules_place() -> None:
    """A step that names its rate is taken at that one."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 2.0)
    recipe = Recipe(learning_rate=0.5, momentum=0, weight_decay=0)
    Optimiser(network, recipe).step(network.weight.sum(), 0.0, rate=0.25)
    assert network.weight.item() == 1.75
