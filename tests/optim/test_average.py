"""The moving average of the weights, and mixed precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from labelsvc.optim.average import Average
from labelsvc.optim.precision import autocast, find_dtype


def moved(network: nn.Module, generator: torch.Generator) -> None:
    """Change weights, batch statistics and the counter as a training step would."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator))
    network.train()(torch.randn(6, 4, generator=generator))


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.999])
def test_the_average_follows_by_its_formula(decay: float) -> None:
    """After each step t: w̄ ← d·w̄ + (1 − d)·w with d = min(decay, (1 + t) / (10 + t)); counters are copied."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    average = Average(network, decay)
    expected = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    for step in range(5):
        moved(network, generator)
        average.update(step)
        d = min(decay, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            whole = not tensor.is_floating_point()
            expected[name] = tensor.clone() if whole else d * expected[name] + (1 - d) * tensor.detach()
    found = average.network.state_dict()
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} <= set(found)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name])
    assert int(found["1.num_batches_tracked"]) == 5


def test_the_average_is_nobody_elses() -> None:
    """The average shares no memory with the network, evaluates, and wants no gradient."""
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    average = Average(network, 0.5).network
    theirs = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert not theirs & {tensor.data_ptr() for tensor in average.state_dict().values()}
    assert not average.training
    assert not any(weight.requires_grad for weight in average.parameters())
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())


def test_an_average_of_equals_is_equal() -> None:
    """While the network stands still, so does its average, bit for bit."""
    network = nn.Linear(4, 3)
    average = Average(network, 0.99)
    for step in range(3):
        average.update(step)
    assert torch.equal(average.network.weight, network.weight)


def test_precision_is_mixed_only_where_asked() -> None:
    """Under bfloat16 matrix products are; under float32 nothing changes; the CPU has one of the two."""
    cpu, matrix = torch.device("cpu"), torch.eye(2)
    for dtype in (torch.bfloat16, torch.float32):
        with autocast(cpu, dtype):
            assert (matrix @ matrix).dtype == dtype
    assert find_dtype(cpu) in (torch.bfloat16, torch.float32)
