"""Pseudo-label: the class that the network itself finds likeliest is taken for the truth, by a weight that grows.

Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks", ICML workshop
2013. With y' = argmax f(u), recomputed at every step (eq. 14):

    L = mean H(y, f(x)) + α(t) · mean H(y', f(u))                                                     (eq. 15)
    α(t) = 0 before T1, α_f · (t − T1) / (T2 − T1) up to T2, then α_f                                 (eq. 16)

Two forms. In ``lee`` both terms are of one step, t counts epochs of the labeled rows, T1 = 100, T2 = 600, α_f = 3.
In ``alternating``, after a tutorial that reached 98.46% on MNIST with 1,000 labels, the network first sees T1 epochs
of labeled rows; then each step is on pool rows alone with the loss α · H(y', f(u)), and at batches 0, 50, 100, ... of
every pass over the pool come an epoch of labeled rows and one more count of t, from T1 = 100 to T2 = 700.

Deviations: y' is of an evaluation-mode pass in both forms, as in the tutorial (Lee takes the pass with dropout); Lee's
momentum schedule and his denoising auto-encoder are not here. A training of other than the published length (T2 and
``rest`` counts more) keeps α's shape over its steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from labelsvc.errors import UsageError
from labelsvc.losses import cross_entropy, largest_share
from labelsvc.methods.contract import Batch, Course, Losses, Method, Moment, Networks, Turn, both_at_once
from labelsvc.methods.hyperparameters import choice, number
from labelsvc.methods.pace import Pace
from labelsvc.networks.modes import evaluated
from labelsvc.optim.recipe import Recipe

T2 = {"lee": 600.0, "alternating": 700.0}


@dataclass(frozen=True)
class PseudoLabel(Method):
    """Learn from one's own best guesses, more and more."""

    form: str = choice("lee", tuple(T2), "both terms in each step, or a labeled epoch now and then")
    alpha_f: float = number(3.0, 0, 100, "the pool's weight in the end", symbol="α_f")
    t1: float = number(100.0, 0, 1e6, "count of labeled epochs at which the pool's weight leaves 0", symbol="T1")
    t2: float = number(0.0, 0, 1e6, "count at which it is α_f; 0 is the form's own, 600 or 700", symbol="T2")
    rest: float = number(50.0, 0, 1e6, "counts at α_f")
    every: int = number(50, 1, 1_000_000, "pool batches from one labeled epoch to the next, alternating")
    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            learning_rate=0.1,
            momentum=0.0,
            weight_decay=0.0,
            schedule="constant",
            ema_decay=0.0,
            labeled_batch=32,
            pool_batch=256,
        )
    )

    pool_views = ("weak",)
    citation = "Lee, ICML workshop 2013"
    advice = (
        "To repeat the paper or its tutorial: form=alternating holds up with a hundred labels for each class. With a "
        "handful it believes its own first mistakes."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.t1 < self.end_of_rise:
            raise UsageError(f"t1={self.t1:g} and t2={self.end_of_rise:g} must be 0 < t1 < t2")

    @property
    def end_of_rise(self) -> float:
        """T2."""
        return self.t2 or T2[self.form]

    def alpha(self, t: float) -> float:
        """Return α(t) (eq. 16).

        >>> [PseudoLabel().alpha(t) for t in (0, 100, 350, 600, 900)]
        [0.0, 0.0, 1.5, 3.0, 3.0]
        """
        risen = (t - self.t1) / (self.end_of_rise - self.t1)
        return self.alpha_f * min(max(risen, 0.0), 1.0)

    def published_steps(self, course: Course) -> int:
        """Return how many steps this many rows take at the published length."""
        pace = Pace.of(self.recipe, self.every, course)
        counts = self.end_of_rise + self.rest
        if self.form == "lee":
            return round(counts * pace.labeled_batches)
        return round(self.t1 * pace.labeled_batches + (counts - self.t1) / pace.counts * pace.steps)

    def turn(self, step: int, course: Course) -> Turn:
        """Return a step's rows and α."""
        if self.form == "alternating":
            return self._alternating(step, course)
        both = both_at_once(self.recipe, step)
        t = step / course.steps * (self.end_of_rise + self.rest)
        return Turn(both.labeled, both.pool, self.alpha(t))

    def _alternating(self, step: int, course: Course) -> Turn:
        pace, scale = Pace.of(self.recipe, self.every, course), course.steps / self.published_steps(course)
        alone = round(scale * self.t1 * pace.labeled_batches)  # steps on labeled rows, to begin with
        if step < alone:
            return Turn(pace.labeled(*divmod(step, pace.labeled_batches)), range(0), pool_weight=0.0)
        epoch, place = divmod(step - alone, pace.steps)
        block, place = divmod(place, self.every + pace.labeled_batches)  # a pool batch, a labeled epoch, the rest
        done = epoch * pace.counts + block  # labeled epochs so far in this phase
        if 1 <= place <= pace.labeled_batches:
            earlier = -(-alone // pace.labeled_batches)
            return Turn(pace.labeled(earlier + done, place - 1), range(0), pool_weight=0.0)
        after = place > 0
        batch = block * self.every + (place - pace.labeled_batches if after else 0)
        return Turn(range(0), pace.pool(epoch, batch), self.alpha(self.t1 + (done + after) / scale))

    def loss(
        self,
        networks: Networks,
        memory: None,
        batch: Batch,
        moment: Moment,  # noqa: ARG002
    ) -> tuple[Losses, None]:
        """Return the labeled loss plus α times the pool's (eq. 15), whichever of them the turn has."""
        model, alpha = networks.model, batch.pool_weight
        figures, total = {}, torch.zeros((), device=batch.labeled.device)
        if len(batch.labeled):
            labeled = cross_entropy(model(batch.labeled), batch.classes)
            figures["labeled loss"] = labeled.detach()
            total = total + labeled
        if batch.pool:
            (weak,) = batch.pool
            logits, guess = model(weak), guesses(model, weak)
            pool = cross_entropy(logits, guess)  # H(y', f(u))
            figures |= {"pool loss": pool.detach(), "alpha": torch.full_like(total.detach(), alpha)}
            figures["largest class"] = largest_share(guess, logits.shape[1])
            total = total + alpha * pool
        return Losses(total, figures), memory


@torch.no_grad()
def guesses(model: nn.Module, pictures: Float[Tensor, "pool ..."]) -> Int[Tensor, " pool"]:
    """Return y', the likeliest classes by an evaluation-mode pass."""
    with evaluated(model):
        labels: Tensor = model(pictures).argmax(dim=1)
    return labels
