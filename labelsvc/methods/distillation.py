"""Distillation: what a stored teacher says of the pool, or a distribution made of it, is what the pool is taught as.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", NIPS workshop 2014, arXiv 1503.02531, 2015; the
table of target distributions is the one that Pham, Xie, Dai, Le, "Meta Pseudo Labels", arXiv 2003.10580v1, 2020, sets
out to replace. With q(u) the teacher's probabilities of the pool row u, written down once, and C classes:

    L = H(y, f(ω(x))) + w · mean over all pool rows of H(q*(u), f(Ω(u)))

    q* = one-hot(argmax q)                          hard
         q                                          soft
         (1 − ε) · one-hot(argmax q) + ε / C        smoothed
         softmax(log q / τ)                         temperature: τ < 1 sharpens, τ > 1 dampens

Deviations: log q stands for the teacher's logits, from which it differs by a constant in each row, so that any model's
words will do; τ is the target's alone, as in the table, where Hinton et al. raise both sides to τ and the loss by τ²;
the teacher saw the row as it is and the network sees its strong view, as in noisy students; ω(x) is the weak view of
labeled rows. Neither paper has a recipe for small trainings: this one is SoftMatch's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from labelsvc.losses import cross_entropy, log_probabilities, soft_cross_entropy
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks
from labelsvc.methods.hyperparameters import choice, number
from labelsvc.optim.recipe import Recipe

Distributions = Float[Tensor, "pool classes"]


@dataclass(frozen=True)
class Distillation(Method):
    """Learn from labeled rows, and from what a teacher that is gone by now said of the pool."""

    target: str = choice("soft", ("hard", "soft", "smoothed", "temperature"), "what is made of the teacher's words")
    smoothing: float = number(0.1, 0, 0.999, "how much target=smoothed gives to all classes alike", symbol="ε")
    temperature: float = number(2.0, 0.01, 100, "of target=temperature; under 1 it sharpens", symbol="τ")
    weight: float = number(1.0, 0, 100, "of the pool's loss", symbol="w")
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.06, ema_decay=0.998, pool_batch=192))

    pool_views = ("strong",)
    needs_teacher = True
    citation = "Hinton et al., NIPS workshop 2014 (arXiv 2015)"
    advice = (
        "To put a large model, or another program's predictions, into a small network: it keeps what the teacher was "
        "unsure of, which accepted labels do not. It inherits the teacher's mistakes; for better labels take softmatch."
    )

    def loss(
        self,
        networks: Networks,
        memory: None,
        batch: Batch,
        moment: Moment,  # noqa: ARG002
    ) -> tuple[Losses, None]:
        """Return labeled cross-entropy plus the pool's against q*, each a mean over all its rows."""
        assert batch.targets is not None, "the loop refuses a lesson without a teacher's words"
        (strong,) = batch.pool
        logits = networks.model(torch.cat([batch.labeled, strong]))
        labeled = cross_entropy(logits[: len(batch.labeled)], batch.classes)
        pool = soft_cross_entropy(logits[len(batch.labeled) :], self.distributions(batch.targets))  # H(q*, f)
        figures = {"labeled loss": labeled.detach(), "pool loss": pool.detach()}
        return Losses(labeled + self.weight * pool, figures), memory

    def distributions(self, words: Distributions) -> Distributions:
        """Return q*, what the pool is taught as, of the teacher's probabilities q."""
        match self.target:
            case "hard":
                return hard(words)
            case "smoothed":
                return smoothed(words, self.smoothing)
            case "temperature":
                return tempered(words, self.temperature)
        return words


def hard(words: Distributions) -> Distributions:
    """Return each row's likeliest class alone, the first of equals.

    >>> hard(torch.tensor([[0.2, 0.5, 0.3]]))
    tensor([[0., 1., 0.]])
    """
    return functional.one_hot(words.argmax(dim=1), words.shape[1]).to(words.dtype)


def smoothed(words: Distributions, smoothing: float) -> Distributions:
    """Return the likeliest class, a share of it given to all classes alike.

    >>> smoothed(torch.tensor([[0.2, 0.8]]), 0.1)
    tensor([[0.0500, 0.9500]])
    """
    return (1 - smoothing) * hard(words) + smoothing / words.shape[1]


def tempered(words: Distributions, temperature: float) -> Distributions:
    """Return softmax(log q / τ).

    >>> tempered(torch.tensor([[0.2, 0.8]]), 0.5)
    tensor([[0.0588, 0.9412]])
    """
    return (log_probabilities(words) / temperature).softmax(dim=1)
