"""The knobs of optimisation that every method shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labelsvc.errors import UsageError
from labelsvc.optim.schedules import SCHEDULES


@dataclass(frozen=True)
class Recipe:
    """How a network is stepped: stochastic gradient descent with momentum, a schedule, and averaged weights."""

    learning_rate: float = 0.03  # η, the highest that the schedule reaches
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    ema_decay: float = 0.999  # of the averaged weights, which are the ones that label
    labeled_batch: int = 64  # B
    pool_batch: int = 448  # μ·B

    def __post_init__(self) -> None:
        checks = {
            "learning_rate": 0 <= self.learning_rate < math.inf,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "ema_decay": 0 <= self.ema_decay < 1,
            "labeled_batch": self.labeled_batch >= 1,
            "pool_batch": self.pool_batch >= 1,
            "schedule": self.schedule in SCHEDULES,
        }
        for name, holds in checks.items():
            if not holds:
                raise UsageError(f"{name}={getattr(self, name)!r} is out of bounds; schedules: {', '.join(SCHEDULES)}")
