"""Supervised learning: cross-entropy on labeled rows alone.

    L = mean over labeled rows of −Σ_c q_c log p_c(x),   q = (1 − ε) one-hot(y) + ε / C

It is the baseline that every other method has to beat, and, with strong views, how a student is distilled.
Label smoothing ε: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labelsvc.errors import UsageError
from labelsvc.losses import cross_entropy
from labelsvc.methods.contract import Batch, Course, Losses, Networks, Problem, Turn, both_at_once
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class Supervised:
    """Learn from the labeled rows and nothing else."""

    smoothing: float = 0.0  # ε
    labeled_view: str = "weak"
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.06, ema_decay=0.996))

    needs_pool = False
    needs_strong = False

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"smoothing={self.smoothing} must lie in [0, 1)")
        if self.labeled_view not in ("weak", "strong"):
            raise UsageError(f"labeled_view={self.labeled_view!r} must be weak or strong")

    def turn(self, step: int, course: Course) -> Turn:  # noqa: ARG002
        """Take a labeled batch at every step."""
        return both_at_once(self.recipe, step)

    def published_steps(self, course: Course) -> None:
        """Name no length: its schedule is one of shares."""

    def init(self, problem: Problem) -> None:
        """Remember nothing."""

    def loss(self, networks: Networks, memory: None, batch: Batch, progress: float) -> tuple[Losses, None]:  # noqa: ARG002
        """Return the cross-entropy, a mean over the labeled rows."""
        loss = cross_entropy(networks.model(batch.labeled), batch.classes, smoothing=self.smoothing)
        return Losses(loss, {"labeled loss": loss.detach()}), memory
