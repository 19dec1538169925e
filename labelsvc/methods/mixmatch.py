"""MixMatch: guess labels from several views, sharpen them, and learn from mixtures of all rows.

Berthelot et al., "MixMatch: A Holistic Approach to Semi-Supervised Learning", NeurIPS 2019. With K weak views û_k of a
pool row, L classes, X the labeled rows and U the K views of all pool rows (algorithm 1):

    q̄ = 1/K · Σ_k p(û_k),   q = q̄^(1/T) / Σ q̄^(1/T)             the guess, the same for all K views    (eq. 6, 7)
    λ ~ Beta(α, α),   λ' = max(λ, 1 − λ)                         for each row                           (eq. 8, 9)
    x' = λ' x₁ + (1 − λ') x₂,   p' = λ' p₁ + (1 − λ') p₂         x₂ from all of X and U, shuffled       (eq. 10, 11)
    L_X = 1/|X'| · Σ H(p', f(x')),   L_U = 1/(L|U'|) · Σ ‖q' − f(u')‖²                                  (eq. 3, 4)
    L = L_X + λ_U · ramp(t) · L_U                                ramp(t) rises on a line from 0 to 1    (eq. 5)

λ_U is 75 for CIFAR-10 (the default), 250 for SVHN; the ramp takes 1/64 of the training: 16,000 of 2^20 steps. As in
the authors' code the guessing passes leave the running statistics alone.

Deviations: one forward pass guesses on all views and one learns from all mixed rows, where the authors pass batches
of 64, interleaved so that each holds labeled and pool rows, and take running statistics of the first alone; SGD with
momentum under a cosine instead of Adam, at η = 0.02, as the large λ_U makes large steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from labelsvc.losses import largest_share, soft_cross_entropy, squared_distance
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks
from labelsvc.methods.hyperparameters import number
from labelsvc.networks.modes import resting_statistics
from labelsvc.optim.recipe import Recipe
from labelsvc.views.mixup import at_least_half, beta, mixup


@dataclass(frozen=True)
class MixMatch(Method):
    """Learn from mixtures of labeled rows and of guessed ones."""

    k: int = number(2, 1, 16, "views of a pool row that its guess is the mean of", symbol="K")
    temperature: float = number(0.5, 0.01, 10, "of the guess; 1 leaves it, towards 0 it is one class", symbol="T")
    alpha: float = number(0.75, 1e-4, 100, "how evenly rows are mixed", symbol="α")
    lambda_u: float = number(75.0, 0, 10_000, "the highest weight of the pool's loss", symbol="λ_U")
    ramp: float = number(1 / 64, 0, 1, "the share of the training in which the weight rises")
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.02, pool_batch=64))

    citation = "Berthelot et al., NeurIPS 2019"
    advice = (
        "For ten labels a class and more. Mixed rows keep it from being sure, so its thresholds want calibration; λ_U "
        "differs by data. In a short training, or with a handful of labels, its full weight comes too early: ramp=0.3."
    )

    @property
    def pool_views(self) -> tuple[str, ...]:  # type: ignore[override]
        """K weak views."""
        return ("weak",) * self.k

    def weigh(self, progress: float) -> float:
        """Return λ_U · ramp(t).

        >>> [MixMatch(ramp=0.5).weigh(t) for t in (0.0, 0.25, 0.5, 1.0)]
        [0.0, 37.5, 75.0, 75.0]
        """
        return self.lambda_u * (min(progress / self.ramp, 1.0) if self.ramp else 1.0)

    def loss(self, networks: Networks, memory: None, batch: Batch, moment: Moment) -> tuple[Losses, None]:
        """Return cross-entropy on the mixed labeled rows plus the weighted squared distance on the mixed pool."""
        guess = self.guess(networks.model, batch.pool)  # q
        given = functional.one_hot(batch.classes, guess.shape[1]).to(guess.dtype)
        rows = torch.cat([batch.labeled, *batch.pool])  # X and U
        targets = torch.cat([given, guess.repeat(self.k, 1)])
        order = torch.randperm(len(rows), generator=moment.generator, device=rows.device)
        weights = at_least_half(beta(len(rows), self.alpha, moment.generator))  # λ'
        logits = networks.model(mixup(rows, weights, order))
        targets = mixup(targets, weights, order)  # p', q'
        count = len(batch.labeled)
        labeled = soft_cross_entropy(logits[:count], targets[:count])  # L_X
        pool = squared_distance(logits[count:].softmax(dim=1), targets[count:])  # L_U
        figures = {
            "labeled loss": labeled.detach(),
            "pool loss": pool.detach(),
            "largest class": largest_share(guess.argmax(dim=1), guess.shape[1]),
        }
        return Losses(labeled + self.weigh(moment.progress) * pool, figures), memory

    @torch.no_grad()
    def guess(self, model: nn.Module, views: tuple[Float[Tensor, "pool ..."], ...]) -> Float[Tensor, "pool classes"]:
        """Return q, the sharpened mean of what ``model`` says of the views."""
        with resting_statistics(model):
            logits: Tensor = model(torch.cat(views))
        mean = logits.softmax(dim=1).view(len(views), -1, logits.shape[1]).mean(dim=0)
        return sharpen(mean, self.temperature)


def sharpen(probabilities: Float[Tensor, "rows classes"], temperature: float) -> Float[Tensor, "rows classes"]:
    """Return p^(1/T), normalised to sum to one in each row.

    >>> sharpen(torch.tensor([[0.75, 0.25]]), 0.5)
    tensor([[0.9000, 0.1000]])
    """
    logs = probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()
    return (logs / temperature).softmax(dim=1)
