"""Π-model: two noisy looks at the same row are to give the same answer.

Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning", ICLR 2017. With two stochastic views of a row,
each under dropout of its own, and z, z̃ = softmax f of them (algorithm 1):

    L = −1/|B| · Σ over labeled rows of log z_y + w(t) · 1/(C|B|) · Σ over rows of ‖z − z̃‖²
    w(t) = w_max · M/N · exp(−5 (1 − T)²), T from 0 to 1 over the first 80 of 300 epochs, then w_max · M/N

Both looks carry a gradient. The first sum is M/N times the mean over the labeled rows, M of all N rows, and so the
whole is M/N · (mean −log z_y + w_max · exp(...) · mean ‖z − z̃‖² / C). What is minimised here is the bracket: Adam steps
alike on both, and w_max needs no scaling by M/N.

Deviations: rows of the pool alone are looked at twice (the paper's batch is drawn from all rows, of which a few in a
hundred are labeled), and all looks share a forward pass and its batch statistics; the noise is the weak view's and the
network's dropout, without the Gaussian noise on inputs; SGD with momentum under a cosine instead of Adam with ramps at
both ends, at η = 0.03, as the large w_max makes large steps; a batch of 64 + 192 instead of 100, and averaged weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from labelsvc.losses import cross_entropy, largest_share, squared_distance
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks
from labelsvc.methods.hyperparameters import number
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class PiModel(Method):
    """Agree with oneself on two views of a row."""

    w_max: float = number(100.0, 0, 10_000, "the highest weight of the pool's loss", symbol="w_max")
    ramp: float = number(80 / 300, 0, 1, "the share of the training in which the weight rises")
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.03, ema_decay=0.998, pool_batch=192))

    pool_views = ("weak", "weak")
    citation = "Laine and Aila, ICLR 2017"
    advice = (
        "The plainest consistency there is, to compare others with. It needs hundreds of labels, as it only ever asks "
        "for the same answer, not for the right one."
    )

    def weigh(self, progress: float) -> float:
        """Return w(t), without M/N.

        >>> [round(PiModel(ramp=0.5).weigh(t), 2) for t in (0, 0.25, 0.5, 1)]
        [0.67, 28.65, 100.0, 100.0]
        """
        if progress >= self.ramp:
            return self.w_max
        return self.w_max * math.exp(-5 * (1 - progress / self.ramp) ** 2)

    def loss(self, networks: Networks, memory: None, batch: Batch, moment: Moment) -> tuple[Losses, None]:
        """Return labeled cross-entropy plus the weighted squared distance of the pool's two answers."""
        logits = networks.model(torch.cat([batch.labeled, *batch.pool]))
        given, first, second = logits.split([len(batch.labeled), *map(len, batch.pool)])
        labeled = cross_entropy(given, batch.classes)
        pool = squared_distance(first.softmax(dim=1), second.softmax(dim=1))  # z, z̃
        figures = {
            "labeled loss": labeled.detach(),
            "pool loss": pool.detach(),
            "largest class": largest_share(first.argmax(dim=1), first.shape[1]),
        }
        return Losses(labeled + self.weigh(moment.progress) * pool, figures), memory
