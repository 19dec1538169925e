"""The modes in which a network is passed through beside its training: each ends with the block that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
    """Pass in evaluation mode: no dropout, and rows that know nothing of each other; then as it was before."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@contextmanager
def resting_statistics(network: nn.Module) -> Iterator[None]:
    """Leave the running statistics where they are; a training pass still normalises by those of its own batch."""
    norms = [module for module in network.modules() if isinstance(module, NORMS) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
