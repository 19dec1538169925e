"""Meta Pseudo Labels: a teacher labels the pool for a student, and learns from how well the student then does.

Pham et al., "Meta Pseudo Labels", CVPR 2021; its first version is arXiv 2003.10580v1, 2020. With teacher T, student S
of weights θ, weak view ω, strong view Ω, q = T(ω(u)), and L the student's labeled loss:

    θ' = θ − η_S · ∇ mean over the pool rows of H(ŷ, S(Ω(u)))            the student sees no label but the teacher's
    sampled:  M = (L(θ) − L(θ') − b) · Σ over the pool rows of −log q(ŷ)      ŷ ~ q, the same ŷ in both
    exact:    M with ∂M/∂q = ∂L(θ')/∂q, where ŷ = q is soft                   see `feedback.py`
    L_UDA = mean over the pool rows of 1(max p ≥ β) · H(p, T(Ω(u)))           p = softmax(z(ω(u)) / τ), z T's logits
    T descends H(y, T(ω(x))) + λ · L_UDA + w · M

and at last S alone is fine-tuned on the labels. b is a moving average of L(θ) − L(θ') that starts at 0; H takes targets
smoothed by ε, but not in L_UDA and L. In form ``2021`` L is of the labeled rows; in ``v1`` of rows that neither network
learns from, and λ = 0. Defaults are the paper's, or those of its authors' command for CIFAR-10 with 4,000 labels.

Deviations from the authors' code. It puts softmax z for ŷ in both places, which makes the gradient of M exactly 0,
credits L(θ') − L(θ), and takes the mean where the estimator is the sum; its b knows ŷ already; its L is of passes in
training mode; its T labels Ω(u). Here L(θ), too, is measured after the running statistics moved, in evaluation mode.
``exact`` counts no momentum but what reaches θ'. The credit of ``sampled`` is cut at ± ``bound``: while L moves by
tenths in a step, the sum throws the teacher off (theirs would have been cut at 0.1). Those of the recipe: 64 + 192 rows
at η = 0.06 for both networks; fine-tuning takes a share of the steps at a rate that is felt there, not 1,000 at 1e-5;
the student waits for a twentieth of the steps, not a hundredth; λ rises over a sixtieth, as theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from labelsvc.losses import cross_entropy, largest_share, soft_cross_entropy
from labelsvc.methods import trial
from labelsvc.methods.contract import Batch, Course, Learner, Losses, Moment, PairedMethod, Problem, Turn
from labelsvc.methods.hyperparameters import choice, number
from labelsvc.methods.trial import Baseline
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class MetaPseudoLabels(PairedMethod):
    """Let the teacher learn what the student learns best from."""

    form: str = choice("2021", ("2021", "v1"), "feedback on labeled rows and a UDA loss, or feedback on held-out rows")
    feedback: str = choice("sampled", ("sampled", "exact"), "labels drawn from the teacher, or all that it says")
    holdout: float = number(0.2, 0.01, 0.9, "the share of labeled rows that form=v1 keeps for the feedback")
    meta_weight: float = number(1.0, 0, 1000, "of the feedback; 0 is the ablation", symbol="w")
    baseline: float = number(0.99, 0, 1, "momentum of the moving average b")
    bound: float = number(0.01, 0, 1000, "the most that a step is credited with, either way, when sampled")
    smoothing: float = number(0.15, 0, 0.999, "label smoothing", symbol="ε")
    uda_weight: float = number(8.0, 0, 100, "of the teacher's UDA loss", symbol="λ")
    temperature: float = number(0.7, 1e-6, 10, "of its targets; the lower, the harder they are", symbol="τ")
    threshold: float = number(0.6, 0, 1, "the confidence from which a row counts there", symbol="β")
    ramp: float = number(1 / 60, 1e-6, 1, "the share of the training in which λ rises")
    wait: float = number(0.05, 0, 1, "the share of the training before which the student stands still")
    finetune: float = number(0.05, 0, 0.9, "the share of the training at whose end the student sees labels alone")
    finetune_rate: float = number(0.003, 0, 1, "the learning rate there")
    recipe: Recipe = field(
        default_factory=lambda: Recipe(learning_rate=0.06, schedule="annealed", ema_decay=0.995, pool_batch=192)
    )

    citation = "Pham et al., CVPR 2021"
    advice = (
        "To repeat the paper, or to see what a teacher gains from its student's marks: meta_weight=0 is the ablation. "
        "A step costs twice softmatch's, and in trainings of minutes softmatch labels better."
    )

    @property
    def held_out_share(self) -> float:
        """What ``holdout`` says in form v1, none in the other."""
        return self.holdout if self.form == "v1" else 0.0

    def turn(self, step: int, course: Course) -> Turn:
        """Return both kinds of rows, and the held-out ones of form v1; in the end labeled rows alone."""
        return trial.turn(self.recipe, step, course, finetune=self.finetune)

    def init(self, problem: Problem) -> Baseline:
        """Start at zero."""
        return Baseline.zero(problem)

    def partner(self, alike: Callable[[], nn.Module], problem: Problem) -> nn.Module:  # noqa: ARG002
        """Return the teacher: the student's like, of other weights."""
        return alike()

    def step(
        self, student: Learner, partner: Learner, memory: Baseline, batch: Batch, moment: Moment
    ) -> tuple[Losses, Baseline]:
        """Step the student on the teacher's labels, then the teacher on its own loss and on the feedback."""
        if not batch.pool:
            loss = trial.finetune(student, batch, moment, rate=self.finetune_rate, smoothing=self.smoothing)
            return Losses(loss, {"fine-tuning loss": loss}), memory
        own, log_q, figures = self._taught(partner.network, batch, moment)
        if moment.progress < self.wait:
            partner.optimiser.step(own, moment.progress)
            return Losses(own.detach(), figures), memory
        said = trial.told(log_q, self.feedback, moment, smoothing=self.smoothing)  # ŷ
        judges = batch.held_out or (batch.labeled, batch.classes)
        tried = trial.tried(student, batch.pool[1], said, judges=judges, progress=moment.progress)  # θ'
        feedback = trial.credited(said, tried, memory, bound=self.bound)  # M
        partner.optimiser.step(own + self.meta_weight * feedback, moment.progress)
        figures |= {"labeled loss": tried.before, "pool loss": tried.loss, "feedback": tried.fall}
        return Losses(tried.loss, figures), memory.moved(tried, self.baseline)

    def _taught(self, teacher: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the teacher's own loss, what it says of the pool, log q, and its figures."""
        views = batch.pool if self.form == "2021" else batch.pool[:1]
        logits = teacher(torch.cat([batch.labeled, *views]))
        labeled, weak, *strong = logits.split([len(batch.labeled), *map(len, views)])
        loss = cross_entropy(labeled, batch.classes, smoothing=self.smoothing)
        figures = {
            "teacher accuracy": (labeled.argmax(dim=1) == batch.classes).to(logits.dtype).mean(),
            "largest class": largest_share(weak.argmax(dim=1), logits.shape[1]),
        }
        for view in strong:
            p = (weak.detach() / self.temperature).softmax(dim=1)
            mask = (p.amax(dim=1) >= self.threshold).to(p.dtype)
            share = min(1.0, moment.progress / self.ramp)
            loss = loss + share * self.uda_weight * soft_cross_entropy(view, mask[:, None] * p)  # λ · L_UDA
            figures["used"] = mask.mean()
        return loss, weak.log_softmax(dim=1), figures | {"teacher loss": loss.detach()}
