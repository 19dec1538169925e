"""UDA: the strong view learns the sharpened word of the weak one, and what is labeled is not learnt too soon.

Xie et al., "Unsupervised Data Augmentation for Consistency Training", NeurIPS 2020. With weak view ω, strong view Ω,
z = f(ω(u)) and p = softmax z, of C classes, at a share t of the training:

    L_u = mean over all pool rows of 1(max p > β) · H(softmax(z / τ), f(Ω(u)))                 mask and sharpening
    η_t = α_t · (1 − 1/C) + 1/C,   α_t = t (linear), 1 − exp(−5t) (log), exp(5(t − 1)) (exp)
    L_s = mean over the labeled rows with p_y ≤ η_t of H(y, f(ω(x))), 0 where there are none         annealing (TSA)
    L = L_s + λ · L_u

Without annealing, the default as in the authors' code, η_t is 1 and no row is left out. α_t is the paper's: log ends at
0.993 and exp begins at 0.007. As in the code, L_u counts the rows that are masked out in its mean, and L_s does not
count those that are left out.

Deviations: the divergence of the authors' code is H here, which has the same gradient; pool rows of other domains are
not filtered out; the strong view is that of the kind of picture at hand instead of RandAugment; the batch is 64 + 192
at a learning rate of 0.06 instead of 64 + 320 and more at 0.03 with a warm-up, and weights are averaged, for trainings
of thousands of steps. The weak pass is a training pass without gradients, so batch statistics move twice a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from labelsvc.losses import largest_share, soft_cross_entropy, weighted_cross_entropy
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks
from labelsvc.methods.hyperparameters import choice, number
from labelsvc.optim.recipe import Recipe

ALPHA: Mapping[str, Callable[[float], float]] = {  # α_t
    "none": lambda _: 1.0,
    "linear": lambda t: t,
    "log": lambda t: 1 - math.exp(-5 * t),
    "exp": lambda t: math.exp(5 * (t - 1)),
}


@dataclass(frozen=True)
class UDA(Method):
    """Teach the strong view what the weak one says, sharpened, where it is confident."""

    temperature: float = number(0.4, 1e-6, 10, "of the targets; the lower, the harder they are", symbol="τ")
    threshold: float = number(0.8, 0, 1, "the confidence above which a row counts", symbol="β")
    annealing: str = choice("none", tuple(ALPHA), "how the labeled rows are let in by their likelihood (TSA)")
    weight: float = number(1.0, 0, 100, "of the pool's loss", symbol="λ")
    recipe: Recipe = field(
        default_factory=lambda: Recipe(learning_rate=0.06, schedule="annealed", ema_decay=0.998, pool_batch=192)
    )

    citation = "Xie et al., NeurIPS 2020"
    advice = (
        "What fixmatch is with softer targets and a lower threshold. Annealing holds labels back, and is for a handful "
        "of them, known by heart long before the training ends; in a training of hundreds of steps it costs points."
    )

    def loss(self, networks: Networks, memory: None, batch: Batch, moment: Moment) -> tuple[Losses, None]:
        """Return the annealed labeled cross-entropy plus the masked one of the pool, a mean over all its rows."""
        weak, strong = batch.pool
        with torch.no_grad():
            taught = networks.model(weak)  # z
            confidence, guess = taught.softmax(dim=1).max(dim=1)  # max p
            mask = (confidence > self.threshold).to(taught.dtype)
            targets = (taught / self.temperature).softmax(dim=1)
        logits = networks.model(torch.cat([batch.labeled, strong]))
        eta = self.eta(moment.progress, logits.shape[1])
        labeled, kept = annealed_cross_entropy(logits[: len(batch.labeled)], batch.classes, eta)
        pool = soft_cross_entropy(logits[len(batch.labeled) :], mask[:, None] * targets)
        figures = {
            "labeled loss": labeled.detach(),
            "pool loss": pool.detach(),
            "used": mask.mean(),
            "labels used": kept,
            "largest class": largest_share(guess, logits.shape[1]),
        }
        return Losses(labeled + self.weight * pool, figures), memory

    def eta(self, progress: float, classes: int) -> float:
        """Return η_t: the likelihood of their class above which labeled rows are left out.

        >>> [round(UDA(annealing="linear").eta(t, 10), 3) for t in (0, 0.5, 1)], UDA().eta(0, 10)
        ([0.1, 0.55, 1.0], 1.0)
        """
        return 1 - (1 - ALPHA[self.annealing](progress)) * (1 - 1 / classes)  # in this form exactly 1 where α_t is


def annealed_cross_entropy(
    logits: Float[Tensor, "rows classes"], classes: Int[Tensor, " rows"], eta: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return −log p(class), the mean over the rows where p(class) ≤ ``eta``, 0 without any; and these rows' share.

    >>> logits = torch.tensor([[0.9, 0.1], [0.4, 0.6]]).log()
    >>> loss, kept = annealed_cross_entropy(logits, torch.tensor([0, 0]), eta=0.5)
    >>> round(loss.exp().item(), 3), kept.item()
    (2.5, 0.5)
    """
    likelihood = logits.detach().softmax(dim=1).gather(1, classes[:, None])[:, 0]
    kept = (likelihood <= eta).to(logits.dtype)
    share = kept.mean()
    return weighted_cross_entropy(logits, classes, kept) / share.clamp(min=0.5 / len(classes)), share
