"""The exponential moving average of a network's weights, batch statistics included."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Average:
    """A copy of a network that follows it slowly: w̄ ← d·w̄ + (1 − d)·w.

    The decay warms up as (1 + t) / (10 + t), so that the first random weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._decay = decay
        self._floats, self._whole = _state_tensors(self.network)
        self._source_floats, self._source_whole = _state_tensors(network)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the network after its step number ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._floats, self._source_floats, 1 - decay)
        for mine, source in zip(self._whole, self._source_whole, strict=True):
            mine.copy_(source)


def _state_tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return a network's tensors: those of floating point, and the counters."""
    tensors = [*network.parameters(), *network.buffers()]
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    return [tensor.data for tensor in floats], [tensor for tensor in tensors if not tensor.is_floating_point()]
