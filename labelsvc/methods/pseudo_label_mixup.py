"""Pseudo-label with mixup: mixtures of all rows are taught the soft labels that the network gave the pool an epoch ago.

Arazo, Ortego, Albert, O'Connor, McGuinness, "Pseudo-Labeling and Confirmation Bias in Deep Semi-Supervised Learning",
IJCNN 2020 (arXiv 2019). With labels ỹ, one-hot where they are given, and h = softmax f of the N mixed rows of a batch:

    δ ~ Beta(α, α), one for the batch,   x = δ x_p + (1 − δ) x_q,   q: all rows of the batch, shuffled
    l* = −mean over all mixed rows of Σ_c (δ ỹ_p + (1 − δ) ỹ_q)_c log h_c
    R_A = Σ_c p_c log(p_c / h̄_c),   h̄ = mean h                       against all rows in one class
    R_H = −mean over all mixed rows of Σ_c h_c log h_c                against labels that never become sure
    L = l* + λ_A · R_A + λ_H · R_H

At least 16 of 100 rows of a batch are labeled, and the training warms up on labeled rows alone, with the same loss.

An epoch's soft labels are what the network said of each row unmixed in the epoch before. A row comes once in an epoch,
so that one table does, each row of it read, then written, in place. In the first epoch, where the table says nothing
of a row yet, its label is what the network says now: no row is ever without, and none has one from before the warm-up.

Deviations: α = 1 is from the authors' scripts; the pass for soft labels is in evaluation mode on the weak view (theirs:
batch statistics without dropout, the picture as it is); p is the labels' (theirs: uniform, as their labels are); the
warm-up is 10 of 410 epochs of the pool's length (theirs: of the labeled rows, a step or two of a short training); the
learning rate falls along a half-cosine from 0.03, as 0.1 is too much for networks without weight normalisation in a
short training (theirs: 0.1, cut at epochs 250 and 350), and late weights are not averaged; dropout, 0.1 in the paper,
is as the network has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from labelsvc.errors import UsageError
from labelsvc.losses import entropy, largest_share, mean_divergence, soft_cross_entropy
from labelsvc.methods.contract import Batch, Course, Losses, Method, Moment, Networks, Problem, Turn
from labelsvc.methods.hyperparameters import number
from labelsvc.networks.modes import evaluated
from labelsvc.optim.recipe import Recipe
from labelsvc.views.mixup import beta, mixup

LEAST_LABELED = 16  # of 100 rows of a batch: the paper's k


@dataclass(frozen=True)
class SoftLabels:
    """What the network last said of each pool row, and how often each class should be said."""

    labels: Float[Tensor, "pool classes"]  # ỹ; all zeros of a row before its first
    prior: Float[Tensor, " classes"]  # p


@dataclass(frozen=True)
class PseudoLabelMixup(Method):
    """Learn from mixtures of labeled rows and of what was thought of the pool an epoch ago."""

    alpha: float = number(1.0, 0.01, 100, "how evenly rows are mixed", symbol="α")
    lambda_a: float = number(0.8, 0, 100, "weight of keeping to the share of the classes", symbol="λ_A")
    lambda_h: float = number(0.4, 0, 100, "weight of becoming sure", symbol="λ_H")
    warmup: float = number(10.0, 0, 1e6, "epochs on labeled rows alone, to begin with")
    epochs: float = number(400.0, 1, 1e6, "epochs on all rows, after them")
    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            learning_rate=0.03,
            nesterov=False,
            weight_decay=1e-4,
            schedule="annealed",
            ema_decay=0.0,
            labeled_batch=16,
            pool_batch=84,
        )
    )

    pool_views = ("weak",)
    citation = "Arazo et al., IJCNN 2020"
    advice = (
        "Where no strong view is at hand: it needs none, and every pool row counts. It wants many epochs of the pool, "
        "and mixed rows keep it from being sure, so its thresholds want calibration."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        labeled, pool = self.recipe.labeled_batch, self.recipe.pool_batch
        least = math.ceil(pool * LEAST_LABELED / (100 - LEAST_LABELED))
        if labeled < least:
            raise UsageError(
                f"labeled_batch={labeled} beside pool_batch={pool}: at least {LEAST_LABELED} of 100 rows must be "
                f"labeled, or the network confirms itself; set labeled_batch to {least} or more"
            )

    def published_steps(self, course: Course) -> int:
        """Return how many steps the published epochs take on so large a pool."""
        return round((self.warmup + self.epochs) * self._batches(course))

    def turn(self, step: int, course: Course) -> Turn:
        """Return a whole batch of labeled rows in the warm-up; then both kinds, each pool row once in an epoch."""
        labeled, pool = self.recipe.labeled_batch, self.recipe.pool_batch
        alone = round(course.steps * self.warmup / (self.warmup + self.epochs))  # steps of the warm-up
        if step < alone:
            return Turn(range(step * (labeled + pool), (step + 1) * (labeled + pool)), range(0))
        first = alone * (labeled + pool) + (step - alone) * labeled
        epoch, batch = divmod(step - alone, self._batches(course))
        start, end = epoch * course.pool, (epoch + 1) * course.pool
        return Turn(range(first, first + labeled), range(start + batch * pool, min(start + (batch + 1) * pool, end)))

    def _batches(self, course: Course) -> int:
        """Return how many batches an epoch of the pool has, the last one smaller."""
        return -(-course.pool // self.recipe.pool_batch)

    def init(self, problem: Problem) -> SoftLabels:
        """Start without soft labels."""
        return SoftLabels(problem.prior.new_zeros(problem.pool, len(problem.prior)), problem.prior)

    def loss(self, networks: Networks, memory: SoftLabels, batch: Batch, moment: Moment) -> tuple[Losses, SoftLabels]:
        """Return cross-entropy with the mixed labels and the two regularisers, all means over all mixed rows."""
        rows, figures = torch.cat([batch.labeled, *batch.pool]), {}
        targets = functional.one_hot(batch.classes, len(memory.prior)).to(rows.dtype)
        if batch.rows is not None:
            with torch.no_grad(), evaluated(networks.model):
                now = networks.model(*batch.pool).softmax(dim=1)
            targets = torch.cat([targets, exchange(memory.labels, batch.rows, now)])  # ỹ
            figures["largest class"] = largest_share(now.argmax(dim=1), now.shape[1])
        order = torch.randperm(len(rows), generator=moment.generator, device=rows.device)
        delta = beta(1, self.alpha, moment.generator).expand(len(rows))
        logits = networks.model(mixup(rows, delta, order))
        mixed = soft_cross_entropy(logits, mixup(targets, delta, order))  # l*
        spread = mean_divergence(logits, memory.prior)  # R_A
        doubt = entropy(logits)  # R_H
        figures |= {"mixed loss": mixed.detach(), "spread": spread.detach(), "doubt": doubt.detach()}
        return Losses(mixed + self.lambda_a * spread + self.lambda_h * doubt, figures), memory


def exchange(
    labels: Float[Tensor, "rows classes"], places: Int[Tensor, " pool"], now: Float[Tensor, "pool classes"]
) -> Float[Tensor, "pool classes"]:
    """Write ``now`` into ``labels``, in place, and return what was there; where nothing was, ``now`` itself.

    >>> labels = torch.tensor([[0.0, 0.0], [0.25, 0.75]])
    >>> exchange(labels, torch.tensor([1, 0]), torch.tensor([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [[0.25, 0.75], [1.0, 0.0]]
    >>> labels.tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    before = labels[places]
    labels[places] = now
    return torch.where(before.sum(dim=1, keepdim=True) > 0, before, now)
