"""SimCLR: a representation learnt from the pool alone, in which two views of one row lie close and all others apart.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020. With z the normalised
output for a view, and i and j the two views of one row among the 2N views of a batch:

    l(i, j) = −log exp(z_i · z_j / τ) / Σ_{k ≠ i} exp(z_i · z_k / τ)                                    (eq. 1)
    L = mean over all 2N views of l

It tells no classes, so it is not in the table of methods: a training with few labels begins with it, and spreads the
labels over the neighbour graph of what the network's last layer is shown.

Deviations: the projection head is the network's own last layer, linear instead of a perceptron; the views are those of
the kind of picture at hand instead of crops and colours; batches have 256 rows and SGD with one cycle of the learning
rate instead of 4,096 and LARS, for trainings of hundreds of steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from labelsvc.losses import contrast
from labelsvc.methods.contract import Batch, Course, Losses, Method, Moment, Networks, Turn
from labelsvc.methods.hyperparameters import number
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class SimCLR(Method):
    """Tell each row from all others, whatever the view."""

    temperature: float = number(0.2, 0.01, 10, "of the similarities", symbol="τ")
    recipe: Recipe = field(
        default_factory=lambda: Recipe(learning_rate=0.12, schedule="one-cycle", ema_decay=0.99, pool_batch=256)
    )

    pool_views = ("strong", "strong")
    citation = "Chen et al., ICML 2020"
    advice = "Not by itself: it learns no classes."

    def turn(self, step: int, course: Course) -> Turn:  # noqa: ARG002
        """Take pool rows alone."""
        rows = self.recipe.pool_batch
        return Turn(range(0), range(step * rows, (step + 1) * rows))

    def loss(
        self,
        networks: Networks,
        memory: None,
        batch: Batch,
        moment: Moment,  # noqa: ARG002
    ) -> tuple[Losses, None]:
        """Return the contrastive loss, a mean over both views of all rows."""
        first, second = batch.pool
        outputs = networks.model(torch.cat([first, second]))
        loss = contrast(outputs[: len(first)], outputs[len(first) :], self.temperature)
        return Losses(loss, {"contrast": loss.detach()}), memory
