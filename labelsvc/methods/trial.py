"""A student's step on the labels of a teacher that is judged by it: what the step did to the student's labeled loss.

Meta Pseudo Labels and its reduced form take it alike, and end alike. Knows a student, what it is told and who judges
it; nothing of where the words come from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from labelsvc.losses import cross_entropy, soft_cross_entropy
from labelsvc.methods import feedback as judged
from labelsvc.methods.contract import Batch, Course, Learner, Moment, Problem, Turn, both_at_once
from labelsvc.optim.recipe import Recipe

Judges = tuple[Float[Tensor, "labeled ..."], Int[Tensor, " labeled"]]  # rows with labels


@dataclass(frozen=True)
class Baseline:
    """What sampled feedback is measured against: how much the labeled loss lately fell in a step."""

    fall: Float[Tensor, ""]  # b

    @classmethod
    def zero(cls, problem: Problem) -> Baseline:
        """Return the baseline before the first step."""
        return cls(problem.prior.new_zeros(()))

    def moved(self, trial: Trial, momentum: float) -> Baseline:
        """Return the moving average after one more step."""
        return Baseline(self.fall.lerp(trial.fall, 1 - momentum))


@dataclass(frozen=True)
class Told:
    """What a teacher tells a student of the pool rows: labels drawn from q, or q itself."""

    log_q: Float[Tensor, "pool classes"]  # with its gradient
    targets: Float[Tensor, "pool classes"]
    drawn: Int[Tensor, " pool"] | None = None  # ŷ


@dataclass(frozen=True)
class Trial:
    """What came of a student's step."""

    loss: Float[Tensor, ""]  # that was stepped on
    before: Float[Tensor, ""]  # L(θ)
    fall: Float[Tensor, ""]  # L(θ) − L(θ')
    reach: float  # η
    slope: Float[Tensor, "pool classes"] | None = None  # ⟨∇L(θ'), ∇ log S(θ)⟩, where what was told is q itself


def told(log_q: Float[Tensor, "pool classes"], feedback: str, moment: Moment, *, smoothing: float = 0.0) -> Told:
    """Return q itself for ``exact`` feedback and labels drawn from it for ``sampled``, as smoothed targets."""
    drawn = None if feedback == "exact" else judged.sample(log_q, moment.generator)
    words = log_q.exp() if drawn is None else functional.one_hot(drawn, log_q.shape[1]).to(log_q.dtype)
    return Told(log_q, (1 - smoothing) * words + smoothing / log_q.shape[1], drawn)


def tried(student: Learner, pool: Float[Tensor, "pool ..."], said: Told, *, judges: Judges, progress: float) -> Trial:
    """Step the student on what it is told of the pool rows, the mean over all, and judge it before and after.

    Both times the running statistics are those that the step's own pass left behind.
    """
    network, reach = student.network, student.optimiser.reach(progress)
    with judged.to_be_repeated(pool.device):
        loss = soft_cross_entropy(network(pool), said.targets.detach())
    with torch.no_grad():
        before = judged.labeled_loss(network, *judges)
    if said.drawn is not None:
        student.optimiser.step(loss, progress)
        with torch.no_grad():
            after = judged.labeled_loss(network, *judges)
        return Trial(loss.detach(), before, before - after, reach)
    weights = judged.kept_weights(network)  # θ
    student.optimiser.step(loss, progress)
    after, direction = judged.labeled_direction(network, *judges)  # L(θ'), ∇L(θ')
    slope = judged.directional_derivative(network, weights, direction, pool)
    return Trial(loss.detach(), before, before - after, reach, slope)


def credited(said: Told, trial: Trial, memory: Baseline, *, bound: float) -> Float[Tensor, ""]:
    """Return what the teacher is to descend; the credit of drawn labels is cut at ± ``bound``."""
    if said.drawn is None:
        assert trial.slope is not None, "a student that was told q itself knows its slope"
        return judged.exact_feedback(said.targets, trial.slope, trial.reach)
    return judged.sampled_feedback(said.log_q, said.drawn, (trial.fall - memory.fall).clamp(-bound, bound))


def turn(recipe: Recipe, step: int, course: Course, *, finetune: float) -> Turn:
    """Return both kinds of rows and the held-out ones; in the last share of the steps labeled rows alone."""
    both = both_at_once(recipe, step)
    if step >= round((1 - finetune) * course.steps):
        return replace(both, pool=range(0))
    return replace(both, held_out=both.labeled if course.held_out else range(0))


def finetune(
    student: Learner, batch: Batch, moment: Moment, *, rate: float, smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Step the student on labels alone, at a rate of its own, and return the loss."""
    loss = cross_entropy(student.network(batch.labeled), batch.classes, smoothing=smoothing)
    student.optimiser.step(loss, moment.progress, rate=rate)
    return loss.detach()
