"""Supervised learning: cross-entropy on labeled rows alone.

    L = mean over labeled rows of −Σ_c q_c log p_c(x),   q = (1 − ε) one-hot(y) + ε / C

It is the baseline that every other method has to beat, and, with strong views, how a student is distilled.
Label smoothing ε: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labelsvc.losses import cross_entropy
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks
from labelsvc.methods.hyperparameters import choice, number
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class Supervised(Method):
    """Learn from the labeled rows and nothing else."""

    smoothing: float = number(0.0, 0, 0.999, "label smoothing", symbol="ε")
    labeled_view: str = choice("weak", ("weak", "strong"), "the view of labeled rows")
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.06, ema_decay=0.996))

    pool_views = ()
    citation = "the baseline; label smoothing: Szegedy et al., 2015"
    advice = "Where there is no pool, or to see what the pool is worth: every other method has to beat it."

    def loss(
        self,
        networks: Networks,
        memory: None,
        batch: Batch,
        moment: Moment,  # noqa: ARG002
    ) -> tuple[Losses, None]:
        """Return the cross-entropy, a mean over the labeled rows."""
        loss = cross_entropy(networks.model(batch.labeled), batch.classes, smoothing=self.smoothing)
        return Losses(loss, {"labeled loss": loss.detach()}), memory
