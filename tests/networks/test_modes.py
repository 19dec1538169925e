"""Passes beside the training leave a network as it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor, nn

from labelsvc.networks.modes import evaluated, resting_statistics

MODES = pytest.mark.parametrize("mode", [evaluated, resting_statistics])
Mode = Callable[[nn.Module], AbstractContextManager[None]]


def network() -> nn.Sequential:
    """Return a network with batch statistics and dropout, in training mode."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).train()


def rows() -> Tensor:
    """Return a batch whose statistics are not those that a network starts from."""
    return 5 + 3 * torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def state(net: nn.Module) -> list[Tensor]:
    """Return a copy of all that a network holds."""
    return [tensor.clone() for tensor in net.state_dict().values()]


@MODES
def test_a_pass_beside_the_training_leaves_no_trace(mode: Mode) -> None:
    """No running statistic and no counter moves within, and afterwards a training pass moves them again."""
    net = network()
    before = state(net)
    with mode(net):
        net(rows())
    assert all(torch.equal(one, other) for one, other in zip(state(net), before, strict=True))
    assert net.training
    net(rows())
    assert not torch.equal(net[1].running_mean, before[2])


@MODES
def test_a_mode_ends_with_an_error(mode: Mode) -> None:
    """What fails within leaves the network in its own mode."""
    net = network()
    with pytest.raises(ZeroDivisionError), mode(net):
        raise ZeroDivisionError
    assert net.training
    assert net[1].track_running_stats


def test_a_resting_pass_normalises_by_its_batch() -> None:
    """Where statistics rest, a training pass answers as it always does."""
    net = network()
    net[2].p = 0.0
    with resting_statistics(net):
        resting = net(rows())
    assert torch.equal(resting, net(rows()))


def test_an_evaluated_network_stays_so() -> None:
    """A network that was in evaluation mode before is so afterwards, and knows its running statistics throughout."""
    net = network().eval()
    expected = net(rows())
    for mode in (evaluated, resting_statistics):
        with mode(net):
            assert torch.equal(net(rows()), expected)
        assert not net.training
