"""Reduced Meta Pseudo Labels: the teacher's words are stored once, and only a small calibrator of them learns on.

Pham, Xie, Dai, Le, "Meta Pseudo Labels", arXiv 2003.10580v1, 2020, the form for teachers too large to be kept beside a
student. A large teacher is trained to convergence, q(u) written down for each row u of the pool, and its network
dropped. What stays is a small MLP g of weights ψ, which starts as the identity. With student S of weights θ, strong
view Ω, and L the student's loss on held-out labeled rows:

    log q_ψ(u) = log q(u) + g(log q(u)), normalised                      g = 0 before the first step
    θ' = θ − η ∇ mean over the pool rows of H(q_ψ(u), S(Ω(u)))           the student sees no label but these
    ψ' = ψ − η_ψ · w · ∇ L(θ'(ψ))                                        feedback, see `feedback.py`

    exact:    through ∂L(θ')/∂q_ψ, as the targets are soft
    sampled:  with ŷ ~ q_ψ for the student's targets, down (L(θ) − L(θ') − b) · Σ over the pool rows of −log q_ψ(ŷ)

and at last S alone is fine-tuned on the labeled rows that were not held out. b is a moving average of L(θ) − L(θ') that
starts at 0, and ``bound`` cuts the credit as there; w = 0 leaves g at 0 and is distillation without labels.

Deviations: the paper gives neither the size of g nor a recipe: g is one hidden layer over log q, cut off at e^−10, and
the rest is as for `meta-pseudo-labels`. The teacher saw the row as it is, the student sees its strong view. The stored
teacher was not kept from the rows that are held out here. With ``holdout=0`` L is of the labeled rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from jaxtyping import Float
from torch import Tensor, nn

from labelsvc.losses import log_probabilities
from labelsvc.methods import trial
from labelsvc.methods.contract import Batch, Course, Learner, Losses, Moment, PairedMethod, Problem, Turn
from labelsvc.methods.hyperparameters import choice, number
from labelsvc.methods.trial import Baseline
from labelsvc.optim.recipe import Recipe

FAINTEST = 10.0  # −log q beyond which g is told no difference


class Calibrator(nn.Module):
    """log q + g(log q), the second layer of g zero to begin with."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(classes, width)
        self.last = nn.Linear(width, classes)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, log_q: Float[Tensor, "rows classes"]) -> Float[Tensor, "rows classes"]:
        """Return log q_ψ, not normalised, in the precision of log q."""
        told = log_q.clamp(min=-FAINTEST) / FAINTEST
        correction: Tensor = self.last(self.hidden(told).relu())
        return log_q + correction.to(log_q.dtype)


@dataclass(frozen=True)
class ReducedMPL(PairedMethod):
    """Let what a stored teacher says be bent to what the student learns best from."""

    feedback: str = choice("exact", ("exact", "sampled"), "through soft targets, or by labels drawn from them")
    holdout: float = number(0.2, 0, 0.9, "the share of labeled rows kept for the feedback; 0 gives it on all of them")
    width: int = number(64, 1, 4096, "hidden units of the calibrator g")
    calibrator_rate: float = number(0.1, 0, 100, "its learning rate", symbol="η_ψ")
    meta_weight: float = number(1.0, 0, 1000, "of the feedback; 0 is the ablation", symbol="w")
    baseline: float = number(0.99, 0, 1, "momentum of the moving average b, for feedback=sampled")
    bound: float = number(0.01, 0, 1000, "the most that a step is credited with, either way, when sampled")
    finetune: float = number(0.05, 0, 0.9, "the share of the training at whose end the student sees labels alone")
    finetune_rate: float = number(0.003, 0, 1, "the learning rate there")
    recipe: Recipe = field(
        default_factory=lambda: Recipe(learning_rate=0.06, schedule="annealed", ema_decay=0.995, pool_batch=192)
    )

    pool_views = ("strong",)
    needs_teacher = True
    citation = "Pham et al., arXiv 2003.10580v1, 2020"
    advice = (
        "For a teacher too large to train beside the student, with labels to spare for the feedback. Where both fit, "
        "take meta-pseudo-labels; where labels are few, distillation."
    )

    @property
    def held_out_share(self) -> float:
        """What ``holdout`` says."""
        return self.holdout

    @property
    def partner_recipe(self) -> Recipe:
        """The calibrator's own rate, all along; nothing pulls it back to the identity."""
        return replace(self.recipe, learning_rate=self.calibrator_rate, schedule="constant", weight_decay=0.0)

    def turn(self, step: int, course: Course) -> Turn:
        """Return both kinds of rows and the held-out ones; in the end labeled rows alone."""
        return trial.turn(self.recipe, step, course, finetune=self.finetune)

    def init(self, problem: Problem) -> Baseline:
        """Start at zero."""
        return Baseline.zero(problem)

    def partner(self, alike: Callable[[], nn.Module], problem: Problem) -> nn.Module:  # noqa: ARG002
        """Return the calibrator, which is the identity."""
        return Calibrator(len(problem.prior), self.width)

    def step(
        self, student: Learner, partner: Learner, memory: Baseline, batch: Batch, moment: Moment
    ) -> tuple[Losses, Baseline]:
        """Step the student on the calibrated words, then the calibrator on the feedback."""
        if not batch.pool:
            loss = trial.finetune(student, batch, moment, rate=self.finetune_rate)
            return Losses(loss, {"fine-tuning loss": loss}), memory
        assert batch.targets is not None, "the loop refuses a lesson without a teacher's words"
        log_q = partner.network(log_probabilities(batch.targets)).log_softmax(dim=1)  # log q_ψ
        said = trial.told(log_q, self.feedback, moment)
        judges = batch.held_out or (batch.labeled, batch.classes)
        tried = trial.tried(student, batch.pool[0], said, judges=judges, progress=moment.progress)  # θ'
        feedback = trial.credited(said, tried, memory, bound=self.bound)
        partner.optimiser.step(self.meta_weight * feedback, moment.progress)  # ψ'
        figures = {
            "labeled loss": tried.before,
            "pool loss": tried.loss,
            "feedback": tried.fall,
            "calibrated": (log_q.detach().exp() - batch.targets).abs().sum(dim=1).mean() / 2,  # moved, of 1
        }
        return Losses(tried.loss, figures), memory.moved(tried, self.baseline)
