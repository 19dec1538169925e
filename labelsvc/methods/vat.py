"""VAT: the small change of a picture that would sway the network most shall not, and it shall make up its mind.

Miyato et al., "Virtual Adversarial Training: A Regularization Method for Supervised and Semi-Supervised Learning",
TPAMI 2018. With D the Kullback-Leibler divergence and θ̂ the weights as they are, held fixed:

    r_adv = argmax over ‖r‖₂ ≤ ε of D[p(·|u, θ̂), p(·|u + r, θ̂)]                                     (eq. 6)
    d ← ∇_r D[p(·|u, θ̂), p(·|u + r, θ̂)] at r = ξd, brought to length 1, K times from noise; r_adv ≈ ε d
    LDS = D[p(·|u, θ̂), p(·|u + r_adv, θ)]                                                           (eq. 5)
    L = mean H(y, f(x)) + α · mean LDS + mean H(p(·|u, θ))               the last: VAT+EntMin

Pictures are between 0 and 1, and ε is the Euclidean length of the change over all of a picture's values. The paper's
figures in this unit are 2.5 and 3.5, for SVHN; its 8 and 10 for CIFAR-10 are of whitened pictures.

Deviations: LDS and H are means over pool rows alone, as the pool holds nearly all rows; d is sought in evaluation mode
and single precision, so that neither dropout nor a row's neighbours pass for its curvature, and at ξ = 0.1: float32
rounds the paper's 1e-6 away (on a trained network, the mean cosine with the exact Hessian times d was 0.01, here 0.92);
SGD with momentum instead of Adam, 64 + 192 rows instead of 32 + 128. As in the authors' code, the adversarial pass
leaves the running statistics alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from labelsvc.losses import cross_entropy, divergence, entropy, largest_share
from labelsvc.methods.contract import Batch, Losses, Method, Moment, Networks
from labelsvc.methods.hyperparameters import number
from labelsvc.networks.modes import evaluated, resting_statistics
from labelsvc.optim.recipe import Recipe


@dataclass(frozen=True)
class Vat(Method):
    """Stay of the same mind in the worst direction."""

    eps: float = number(2.0, 0, 1000, "the length of the change, in values between 0 and 1", symbol="ε")
    xi: float = number(0.1, 1e-9, 100, "the length at which the gradient is taken", symbol="ξ")
    iterations: int = number(1, 1, 100, "steps of the power iteration", symbol="K")
    alpha: float = number(1.0, 0, 100, "the weight of LDS", symbol="α")
    certainty: float = number(1.0, 0, 100, "the weight of the entropy; 0 is VAT without its minimisation")
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.06, ema_decay=0.998, pool_batch=192))

    pool_views = ("weak",)
    citation = "Miyato et al., TPAMI 2018"
    advice = (
        "Where no view of an input is known to keep its class, as it makes its own. ε wants care: it grows with the "
        "size of the pictures."
    )

    def loss(self, networks: Networks, memory: None, batch: Batch, moment: Moment) -> tuple[Losses, None]:
        """Return labeled cross-entropy plus what the pool's worst neighbours and indecision cost."""
        model, (pictures,) = networks.model, batch.pool
        labeled = cross_entropy(model(batch.labeled), batch.classes)
        logits = model(pictures)
        r_adv = self.eps * self.direction(model, pictures, moment.generator)
        with resting_statistics(model):
            swayed = model(pictures + r_adv)
        smooth = divergence(swayed, logits.detach().softmax(dim=1))  # LDS
        unsure = entropy(logits)  # H
        figures = {
            "labeled loss": labeled.detach(),
            "pool loss": smooth.detach(),
            "entropy": unsure.detach(),
            "largest class": largest_share(logits.argmax(dim=1), logits.shape[1]),
        }
        return Losses(labeled + self.alpha * smooth + self.certainty * unsure, figures), memory

    def direction(
        self, model: nn.Module, pictures: Float[Tensor, "pool ..."], generator: torch.Generator
    ) -> Float[Tensor, "pool ..."]:
        """Return d of each row, of length 1, by K power iterations from noise; a row that nothing sways gets none."""
        noise = torch.randn(pictures.shape, generator=generator, device=pictures.device, dtype=pictures.dtype)
        d = unit(noise)
        with evaluated(model), torch.autocast(pictures.device.type, enabled=False):
            with torch.no_grad():
                answers = model(pictures).softmax(dim=1)
            for _ in range(self.iterations):
                d.requires_grad_()
                sway = divergence(model(pictures + self.xi * d), answers)
                (gradient,) = torch.autograd.grad(sway, d)
                d = unit(gradient)
        return d


def unit(rows: Float[Tensor, "rows ..."]) -> Float[Tensor, "rows ..."]:
    """Return each row at Euclidean length 1 over all its values, however small they are; zeros stay.

    >>> unit(torch.tensor([[3e-30, 4e-30], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    flat = rows.flatten(1)
    largest = flat.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)  # squares underflow
    return functional.normalize(flat / largest, dim=1).view_as(rows)
