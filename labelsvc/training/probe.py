"""Turn a budget of seconds into a number of steps, by timing a few on this machine before the first one counts.

The number is stored with the run and nothing later reads the clock.
"""

from __future__ import annotations

import time

import torch
from jaxtyping import Float
from torch import Tensor

from labelsvc.errors import UsageError
from labelsvc.networks import Classifier
from labelsvc.training.lesson import Lesson
from labelsvc.training.loop import MakeNetwork, Plan, begin, run

WARM_UP = 5  # steps that are slower than the rest
SHARE = 0.03  # of the budget that timing may take
SECONDS = (0.5, 10.0)  # and its bounds


def steps_for(budget: float, make_network: MakeNetwork, lesson: Lesson, plan: Plan) -> int:
    """Return how many steps of ``plan`` fit into ``budget`` seconds, the timing included.

    The timed steps are taken by a network of their own, which is thrown away.

    Raises:
        UsageError: not even one step fits.
    """
    started = time.perf_counter()
    each = seconds_per_step(min(max(SHARE * budget, SECONDS[0]), SECONDS[1]), make_network, lesson, plan)
    affordable = int((budget - (time.perf_counter() - started)) / each)
    if affordable < 1:
        raise UsageError(f"{budget:.3g} seconds have no room for a single step of {each:.2g} s: give a larger --budget")
    return affordable


def seconds_per_step(timing: float, make_network: MakeNetwork, lesson: Lesson, plan: Plan) -> float:
    """Return how long a step of ``plan`` takes, measured for about ``timing`` seconds on a network of its own."""
    endless = Plan(plan.method, 10**9, plan.seed, plan.device, pauses=_Every())
    state = begin(make_network, lesson, endless)
    state.step = half_way = endless.steps // 2  # where a method neither warms up nor ends on labels alone
    steps = 0
    for interval in run(state, lesson, endless):
        steps = interval.step - half_way - WARM_UP
        if steps == 0:
            first = _clock(plan.device)
        elif steps > 0 and _clock(plan.device) - first >= timing:
            break
    return (_clock(plan.device) - first) / steps


def kept_bytes(network: Classifier, pictures: Float[Tensor, "rows channels height width"]) -> int:
    """Return how much a forward pass over ``pictures`` keeps for its backward pass, beside the weights."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network.train()(pictures)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    assert logits.requires_grad  # what was kept is alive up to here, so that no address was taken twice
    return sum(size for place, size in kept.items() if place not in weights)


class _Every(frozenset[int]):
    """Pauses after every step."""

    def __contains__(self, step: object) -> bool:
        return True


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
