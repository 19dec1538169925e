"""Training and predicting on a CUDA device, where there is one."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from labelsvc.methods import METHODS
from labelsvc.optim.precision import find_dtype
from labelsvc.training.predict import logits_of
from labelsvc.training.rows import Rows
from labelsvc.views import PICTURE_VIEWS

from .bars import bars, lesson, plan, rows_of, small, trained

pytestmark = [pytest.mark.gpu, pytest.mark.seconds]

CUDA = torch.device("cuda", 0)


def test_recent_devices_compute_in_bfloat16() -> None:
    """A device with bfloat16 in hardware trains in it."""
    expected = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    assert find_dtype(CUDA) is expected


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns(name: str) -> None:
    """On the device, in its precision, losses stay finite and at least halve."""
    _, losses = trained(lesson(device=CUDA), plan(small(name), 40, device=CUDA), *range(5, 41, 5))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] / 2


def test_everything_stays_on_the_device() -> None:
    """Network, average, memory and generator are on the device, in float32."""
    state, _ = trained(lesson(device=CUDA), plan(small("softmatch"), 2, device=CUDA))
    for network in (state.model, state.average.network):
        assert all(weight.device == CUDA and weight.dtype == torch.float32 for weight in network.parameters())
    assert all(tensor.device == CUDA for tensor in vars(state.memory).values())
    assert state.generator.device.type == "cuda"


def test_rows_lie_on_the_device() -> None:
    """Small inputs are resident, and give what fetching them gives."""
    pixels = bars(20)[0]
    resident = rows_of(pixels, CUDA)
    assert resident.resident is not None
    assert resident.resident.device == CUDA
    fetched = Rows(resident.numbers, resident.source, CUDA, None)
    index = torch.tensor([3, 0, 3, 19])
    assert torch.equal(resident.take(index), fetched.take(index))
    assert resident.take(index).device == CUDA


def test_both_devices_say_the_same() -> None:
    """A trained network's predictions agree on CPU and GPU to rounding, and in every class."""
    model = trained(lesson(device=CUDA), plan(small("softmatch"), 40, device=CUDA))[0].average.network
    pixels = bars(60, seed=2)[0]
    there = logits_of(model, rows_of(pixels, CUDA))
    here = logits_of(copy.deepcopy(model).cpu(), rows_of(pixels))
    np.testing.assert_allclose(there, here, atol=2e-2, rtol=1e-2)  # convolutions may use TF32
    np.testing.assert_array_equal(there.argmax(axis=1), here.argmax(axis=1))


@pytest.mark.parametrize("name", PICTURE_VIEWS)
def test_views_are_drawn_on_the_device(name: str) -> None:
    """Views take pictures and generator from the device and stay there, repeatably."""
    pictures = torch.rand(6, 3, 16, 16, device=CUDA)
    for view in (PICTURE_VIEWS[name].weak, PICTURE_VIEWS[name].strong):
        first, again = (view(pictures, torch.Generator(CUDA).manual_seed(1)) for _ in range(2))
        assert first.device == CUDA
        assert torch.equal(first, again)
