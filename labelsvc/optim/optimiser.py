"""One optimiser's step, the same for every method: backward, learning rate, descent."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from labelsvc.optim.recipe import Recipe
from labelsvc.optim.schedules import SCHEDULES


class Optimiser:
    """Stochastic gradient descent under a recipe. Biases and normalisation are not decayed."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self._recipe = recipe
        self._schedule = SCHEDULES[recipe.schedule]
        weights = [weight for weight in network.parameters() if weight.ndim > 1]
        others = [weight for weight in network.parameters() if weight.ndim <= 1]
        self.descent = torch.optim.SGD(
            [
                {"params": weights, "weight_decay": recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov and recipe.momentum > 0,
        )

    def step(self, loss: Tensor, progress: float, *, rate: float | None = None) -> None:
        """Take one step down ``loss``, at the rate that the schedule gives at ``progress`` (0 to 1), or at ``rate``."""
        for group in self.descent.param_groups:
            group["lr"] = self.rate(progress) if rate is None else rate
        self.descent.zero_grad(set_to_none=True)
        with torch.autocast(loss.device.type, enabled=False):
            loss.backward()  # type: ignore[no-untyped-call]
        self.descent.step()

    def rate(self, progress: float) -> float:
        """Return the learning rate at ``progress``."""
        return self._recipe.learning_rate * self._schedule(progress)

    def reach(self, progress: float) -> float:
        """Return how far a step goes along its own gradient: η, and under Nesterov η (1 + momentum)."""
        return self.rate(progress) * (1 + self._recipe.momentum * self._recipe.nesterov)
