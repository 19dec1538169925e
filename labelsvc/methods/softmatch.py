"""SoftMatch: every pool row counts, by a weight that falls off smoothly below the mean confidence.

Chen et al., "SoftMatch: Addressing the Quantity-Quality Trade-off in Semi-supervised Learning", ICLR 2023, on the
two-view skeleton of FixMatch (Sohn et al. 2020). With weak view ω, strong view Ω, p = softmax f(ω(u)):

    p̃ = Normalize(p · π / p̄)                        alignment: p̄ runs after E[p], π is the class marginal
    μ, σ² ← running mean and variance of max p̃        momentum m                                       (eq. 5, 6)
    λ = λ_max · exp(−n² (max p̃ − μ)² / 2σ²)          where max p̃ < μ, else λ_max                        (eq. 7)
    L = H(y, f(ω(x))) + w · mean over all pool rows of λ · H(argmax p̃, f(Ω(u)))

Deviations: alignment goes to the marginal of the labeled rows, to the uniform one only when the user says that classes
are balanced; the label is the argmax of the aligned p̃ and n is 2, as in the authors' own code (the paper has the
argmax of p, and n = 1); the batch is 64 + 192 at η = 0.06 instead of 64 + 448 at 0.03, for trainings of thousands of
steps, not of a million. The weak pass is a training pass without gradients, so batch statistics move twice a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from labelsvc.losses import cross_entropy, largest_share, weighted_cross_entropy
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks, Problem
from labelsvc.methods.hyperparameters import number
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class Running:
    """What SoftMatch remembers of the pool: three moving averages, and the marginal to align to."""

    prior: Float[Tensor, " classes"]  # π
    marginal: Float[Tensor, " classes"]  # p̄
    mean: Float[Tensor, ""]  # μ
    variance: Float[Tensor, ""]  # σ²


@dataclass(frozen=True)
class SoftMatch(Method):
    """Weigh each pool row by how confident it is beside the pool's running confidence."""

    lambda_max: float = number(1.0, 0, 10, "the weight of a confident row", symbol="λ_max")
    sigmas: float = number(2.0, 0.1, 10, "how many times narrower than σ the bell is", symbol="n")
    momentum_stat: float = number(0.999, 0, 1, "of the running mean, variance and marginal", symbol="m")
    weight: float = number(1.0, 0, 100, "of the pool's loss", symbol="w")
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.06, ema_decay=0.998, pool_batch=192))

    citation = "Chen et al., ICLR 2023"
    advice = "The default for pictures: of the methods here that take few labels well, the one that needs least care."

    def init(self, problem: Problem) -> Running:
        """Start as if every class were as likely and confidence were that of a guess."""
        classes = len(problem.prior)
        uniform = torch.full_like(problem.prior, 1 / classes)
        return Running(problem.prior, uniform, mean=uniform.mean(), variance=torch.ones_like(uniform.mean()))

    def loss(
        self,
        networks: Networks,
        memory: Running,
        batch: Batch,
        moment: Moment,  # noqa: ARG002
    ) -> tuple[Losses, Running]:
        """Return labeled cross-entropy plus the weighted one of the pool, each a mean over all its rows."""
        weak, strong = batch.pool
        with torch.no_grad():
            probabilities = networks.model(weak).softmax(dim=1)  # p
            memory = self._follow_marginal(memory, probabilities)
            confidence, guess = align(probabilities, memory).max(dim=1)  # max p̃
            memory = self._follow_confidence(memory, confidence)
            weights = self.weigh(confidence, memory)  # λ
        logits = networks.model(torch.cat([batch.labeled, strong]))
        labeled = cross_entropy(logits[: len(batch.labeled)], batch.classes)
        pool = weighted_cross_entropy(logits[len(batch.labeled) :], guess, weights)
        figures = {
            "labeled loss": labeled.detach(),
            "pool loss": pool.detach(),
            "used": weights.mean() / max(self.lambda_max, 1e-12),
            "largest class": largest_share(guess, logits.shape[1]),
        }
        return Losses(labeled + self.weight * pool, figures), memory

    def weigh(self, confidence: Float[Tensor, " pool"], memory: Running) -> Float[Tensor, " pool"]:
        """Return λ: λ_max from the running mean upwards, a truncated Gaussian below it (eq. 7)."""
        below = (confidence - memory.mean).clamp(max=0)
        return self.lambda_max * torch.exp(-(below**2) * self.sigmas**2 / (2 * memory.variance.clamp(min=1e-12)))

    def _follow_marginal(self, memory: Running, probabilities: Tensor) -> Running:
        return replace(memory, marginal=self._follow(memory.marginal, probabilities.mean(dim=0)))

    def _follow_confidence(self, memory: Running, confidence: Tensor) -> Running:
        return replace(
            memory,
            mean=self._follow(memory.mean, confidence.mean()),
            variance=self._follow(memory.variance, confidence.var() if len(confidence) > 1 else memory.variance),
        )

    def _follow(self, running: Tensor, now: Tensor) -> Tensor:
        return self.momentum_stat * running + (1 - self.momentum_stat) * now


def align(probabilities: Float[Tensor, "pool classes"], memory: Running) -> Float[Tensor, "pool classes"]:
    """Return p · π / p̄, normalised to sum to one in each row."""
    aligned = probabilities * memory.prior / memory.marginal.clamp(min=1e-6)
    return aligned / aligned.sum(dim=1, keepdim=True)
