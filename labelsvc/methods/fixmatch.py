"""FixMatch: where the weak view is confident enough, its class is the target of the strong view.

Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020. With weak
view ω, strong view Ω, q = softmax f(ω(u)):

    l_s = mean over labeled rows of H(y, f(ω(x)))                                                      (eq. 3)
    l_u = mean over all pool rows of 1(max q ≥ τ) · H(argmax q, f(Ω(u)))                               (eq. 4)
    L = l_s + λ_u · l_u

Deviations: the batch is 64 + 192 at η = 0.06 instead of 64 + 448 at 0.03, and weights are averaged over hundreds of
steps, for trainings of thousands of steps, not of a million. The weak pass is a training pass without gradients, so
batch statistics move twice a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from labelsvc.losses import cross_entropy, largest_share, weighted_cross_entropy
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks
from labelsvc.methods.hyperparameters import number
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class FixMatch(Method):
    """Learn from the pool rows of which the network is sure."""

    threshold: float = number(0.95, 0, 1, "the confidence from which a row counts", symbol="τ")
    weight: float = number(1.0, 0, 100, "of the pool's loss", symbol="λ_u")
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.06, ema_decay=0.998, pool_batch=192))

    citation = "Sohn et al., NeurIPS 2020"
    advice = (
        "The plain one among the methods with two views, to compare the others with. What is never confident is never "
        "learnt from: with few labels or hard classes softmatch makes more of the pool."
    )

    def loss(
        self,
        networks: Networks,
        memory: None,
        batch: Batch,
        moment: Moment,  # noqa: ARG002
    ) -> tuple[Losses, None]:
        """Return labeled cross-entropy plus the masked one of the pool, each a mean over all its rows."""
        weak, strong = batch.pool
        with torch.no_grad():
            probabilities = networks.model(weak).softmax(dim=1)  # q
            confidence, guess = probabilities.max(dim=1)  # max q
            weights = self.weigh(confidence)  # 1(max q ≥ τ)
        logits = networks.model(torch.cat([batch.labeled, strong]))
        labeled = cross_entropy(logits[: len(batch.labeled)], batch.classes)
        pool = weighted_cross_entropy(logits[len(batch.labeled) :], guess, weights)
        figures = {
            "labeled loss": labeled.detach(),
            "pool loss": pool.detach(),
            "used": weights.mean(),
            "largest class": largest_share(guess, logits.shape[1]),
        }
        return Losses(labeled + self.weight * pool, figures), memory

    def weigh(self, confidence: Float[Tensor, " pool"]) -> Float[Tensor, " pool"]:
        """Return 1 from τ upwards, 0 below it (eq. 4).

        >>> FixMatch().weigh(torch.tensor([0.9, 0.96, 1.0])).tolist()
        [0.0, 1.0, 1.0]
        """
        return (confidence >= self.threshold).to(confidence.dtype)
