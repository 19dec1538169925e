"""A student's step on the labels of a teacher that is judged by it: what the step did to the student's labeled loss.

Meta Pseudo Labels and its reduced form take it alike. Knows a student, its targets and who judges it; nothing of where
the targets come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labelsvc.losses import soft_cross_entropy
from labelsvc.methods import feedback as judged
from labelsvc.methods.contract import Learner

Judges = tuple[Float[Tensor, "labeled ..."], Int[Tensor, " labeled"]]  # rows with labels


@dataclass(frozen=True)
class Baseline:
    """What sampled feedback is measured against: how much the labeled loss lately fell in a step."""

    fall: Float[Tensor, ""]  # b


@dataclass(frozen=True)
class Trial:
    """What came of a student's step."""

    loss: Float[Tensor, ""]  # that was stepped on
    before: Float[Tensor, ""]  # L(θ)
    fall: Float[Tensor, ""]  # L(θ) − L(θ')
    slope: Float[Tensor, "pool classes"] | None = None  # ⟨∇L(θ'), ∇ log S(θ)⟩, where it was asked for


def tried(
    student: Learner,
    pool: Float[Tensor, "pool ..."],
    *,
    targets: Float[Tensor, "pool classes"],
    judges: Judges,
    progress: float,
    with_slope: bool,
) -> Trial:
    """Step the student on ``targets`` of the pool rows, the mean over all of them, and judge it before and after.

    Both times the running statistics are those that the step's own pass left behind.
    """
    network = student.network
    with judged.to_be_repeated(pool.device):
        loss = soft_cross_entropy(network(pool), targets)
    with torch.no_grad():
        before = judged.labeled_loss(network, *judges)
    if not with_slope:
        student.optimiser.step(loss, progress)
        with torch.no_grad():
            after = judged.labeled_loss(network, *judges)
        return Trial(loss.detach(), before, before - after)
    weights = judged.kept_weights(network)  # θ
    student.optimiser.step(loss, progress)
    after, direction = judged.labeled_direction(network, *judges)  # L(θ'), ∇L(θ')
    slope = judged.directional_derivative(network, weights, direction, pool)
    return Trial(loss.detach(), before, before - after, slope)
