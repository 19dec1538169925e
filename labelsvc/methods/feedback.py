"""What a student's step says of the labels that it was taken on: the feedback of Meta Pseudo Labels, as pure functions.

Pham et al., "Meta Pseudo Labels", CVPR 2021. A student S of weights θ steps on n pool rows u with targets q, and the
targets are judged by the labeled loss after it:

    θ' = θ − η ∇ (1/n) Σ_i Σ_c q_ic (−log S_ic(θ)),   S_i(θ) = softmax f(u_i; θ)
    sampled:  ∇ E[L(θ')] = E[(L(θ') − b) · ∇ Σ_i log q_i(ŷ_i)]    with ŷ_i ~ q_i, and any b that is not made of the ŷ
    exact:    ∂L(θ') / ∂q_ic = (η / n) ⟨∇L(θ'), ∇ log S_ic(θ)⟩    with soft targets

The sum over the batch is what makes ``sampled`` unbiased. Everything here is a value to be *descended*. Knows nothing
of a teacher, an optimiser or a step.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from labelsvc.losses import cross_entropy
from labelsvc.networks.modes import evaluated

Weights = Mapping[str, Tensor]  # a network's parameters, or a direction among them, by name


def labeled_loss(
    network: nn.Module, pictures: Float[Tensor, "labeled ..."], classes: Int[Tensor, " labeled"]
) -> Float[Tensor, ""]:
    """Return L: −log p(class), the mean over the rows, in evaluation mode and full precision.

    A row's share depends on no other row and on no chance, and a small difference of two such losses is not lost to
    rounding. The network is left in the mode that it was in; gradients reach its weights.
    """
    with evaluated(network), torch.autocast(pictures.device.type, enabled=False):
        return cross_entropy(network(pictures), classes)


def labeled_direction(
    network: nn.Module, pictures: Float[Tensor, "labeled ..."], classes: Int[Tensor, " labeled"]
) -> tuple[Float[Tensor, ""], Weights]:
    """Return L and ∇L by the name of the weight; ``grad`` of the weights is not touched."""
    weights = dict(network.named_parameters())
    loss = labeled_loss(network, pictures, classes)
    return loss.detach(), dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


@contextmanager
def to_be_repeated(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators where they were, so that what follows draws the same dropout once more."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def kept_weights(network: nn.Module) -> Weights:
    """Return a copy of θ, for a step that is about to change it."""
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def sample(log_probabilities: Float[Tensor, "rows classes"], generator: torch.Generator) -> Int[Tensor, " rows"]:
    """Return ŷ ~ q for each row, as argmax(log q + Gumbel noise); the device is not waited for."""
    noise = torch.empty_like(log_probabilities).exponential_(generator=generator)
    return (log_probabilities.detach() - noise.log()).argmax(dim=1)


def sampled_feedback(
    log_probabilities: Float[Tensor, "pool classes"], sampled: Int[Tensor, " pool"], coefficient: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Return coefficient · −log q(ŷ), the *sum* over all rows; ``coefficient`` = L(θ) − L(θ') − baseline, no gradient.

    Descended, it makes labels likelier after which the loss fell more than the baseline expects.

    >>> sampled_feedback(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([1]), torch.tensor(2.0)).item() / 2
    0.6931471824645996
    """
    likelihood = log_probabilities.gather(1, sampled[:, None]).sum()
    return -coefficient.detach() * likelihood


def exact_feedback(
    targets: Float[Tensor, "pool classes"], slope: Float[Tensor, "pool classes"], rate: float
) -> Float[Tensor, ""]:
    """Return Σ q · ∂L(θ')/∂q, whose gradient in the targets q is the exact ∂L(θ')/∂q.

    ``slope`` is ⟨∇L(θ'), ∇ log S(θ)⟩ of each row and class; ``rate`` η is how far the student's weights move along the
    gradient of its mean loss.
    """
    return (targets * slope.detach()).sum() * (rate / len(targets))


def directional_derivative(
    network: nn.Module, weights: Weights, direction: Weights, pictures: Float[Tensor, "rows ..."]
) -> Float[Tensor, "rows classes"]:
    """Return ⟨direction, ∇ log S_ic⟩ at ``weights``, in the network's present mode, by forward-mode differentiation.

    It costs about three forward passes and keeps no graph. Running statistics do not move.
    """
    with torch.no_grad(), forward_ad.dual_level():
        with warnings.catch_warnings():  # torch's own rules for this are TorchScript, which torch calls deprecated
            warnings.simplefilter("ignore", FutureWarning)
            duals = {name: _dual(weight, direction[name]) for name, weight in weights.items()}
        moved = forward_ad.unpack_dual(_log_probabilities(network, duals, pictures))  # type: ignore[no-untyped-call]
    tangent: Tensor = moved.tangent
    return tangent


def central_difference(
    network: nn.Module,
    weights: Weights,
    direction: Weights,
    pictures: Float[Tensor, "rows ..."],
    *,
    width: float = 1e-4,
) -> Float[Tensor, "rows classes"]:
    """Return what ``directional_derivative`` does by two passes, ``width`` to either side along the unit direction."""
    with torch.no_grad():
        length = torch.stack([part.square().sum() for part in direction.values()]).sum().sqrt().clamp(min=1e-30)
        ahead, behind = (
            _log_probabilities(
                network,
                {name: weight + side * width / length * direction[name] for name, weight in weights.items()},
                pictures,
            )
            for side in (1, -1)
        )
        return (ahead - behind) * length / (2 * width)


def _log_probabilities(network: nn.Module, weights: Weights, pictures: Tensor) -> Tensor:
    """Return log S under other weights, and on copies of the buffers, so that no running statistic moves."""
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    logits: Tensor = functional_call(network, {**weights, **buffers}, (pictures,))
    return logits.log_softmax(dim=1)


def _dual(weight: Tensor, direction: Tensor) -> Tensor:
    dual: Tensor = forward_ad.make_dual(weight, direction)  # type: ignore[no-untyped-call]
    return dual
