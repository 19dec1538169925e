"""The table of networks: shapes, seeds, and the choice among them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from labelsvc import networks
from labelsvc.errors import UsageError
from labelsvc.networks import NETWORKS, PICTURE_NETWORKS, Classifier
from labelsvc.records import PictureShape, Preprocessing

SHAPES = [PictureShape(8, 8, 1), PictureShape(28, 28, 1), PictureShape(32, 32, 3)]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
EVERY = pytest.mark.parametrize("name", PICTURE_NETWORKS)


def make(name: str, shape: PictureShape = SHAPES[0], *, seed: int = 0) -> Classifier:
    """Return a network for five classes."""
    preprocessing = Preprocessing(shape, (0.4,) * shape.channels, (0.2,) * shape.channels)
    return networks.build(name, preprocessing, 5, seed=seed)


def pictures(shape: PictureShape, count: int = 3, *, seed: int = 0) -> Tensor:
    """Return random pictures in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, shape.channels, shape.height, shape.width, generator=generator)


@EVERY
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pictures_in_logits_out(name: str, shape: PictureShape) -> None:
    """Every network answers every shape with one float32 logit a class, in training and in evaluation."""
    network = make(name, shape)
    for mode in (True, False):
        logits = network.train(mode)(pictures(shape))
        assert logits.shape == (3, 5)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@EVERY
def test_logits_are_float32_under_mixed_precision(name: str) -> None:
    """Whatever the body computes in, logits are float32."""
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert make(name)(pictures(SHAPES[0])).dtype == torch.float32


@EVERY
def test_the_seed_makes_the_weights(name: str) -> None:
    """One seed gives one network, another gives another, and the global generator is left as it was."""
    before = torch.get_rng_state()
    first, again, other = (make(name, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), before)


@EVERY
def test_a_row_is_answered_alone(name: str) -> None:
    """In evaluation a row's logits do not depend on which rows lie beside it, or on how many."""
    network = make(name).train()
    network(pictures(SHAPES[0], 16))  # batch statistics that are not the first ones
    network.eval()
    some, others = pictures(SHAPES[0], 4), pictures(SHAPES[0], 4, seed=1)
    with torch.no_grad():
        alone, beside = network(some[:1]), network(torch.cat([some[:1], others]))[:1]
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=1e-5)


@EVERY
def test_every_weight_learns(name: str) -> None:
    """A loss of all logits has a gradient in every weight."""
    network = make(name).train()
    generator = torch.Generator().manual_seed(0)
    (network(pictures(SHAPES[0])) * torch.randn(3, 5, generator=generator)).sum().backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key


def test_the_network_normalises_for_itself() -> None:
    """What the body sees is the picture less the mean, divided by the deviation, per channel."""
    shape = PictureShape(2, 2, 3)
    network = Classifier(torch.nn.Flatten(), Preprocessing(shape, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0)))
    seen = network(torch.full((1, 3, 2, 2), 0.5)).view(3, 4)
    torch.testing.assert_close(seen, torch.tensor([[0.4], [0.15], [0.05]]).expand(3, 4))


def test_large_pictures_are_shrunk_early() -> None:
    """ResNet-18 takes large grey pictures, with its strided first layer."""
    network = make("resnet18", PictureShape(96, 80, 1)).eval()
    with torch.no_grad():
        assert network(pictures(PictureShape(96, 80, 1), 1)).shape == (1, 5)
    assert network.body.conv1.stride == (2, 2)


def test_unknown_networks_are_refused() -> None:
    """A name that is not in the table is a wrong call, and the message names those that are."""
    with pytest.raises(UsageError, match=", ".join(NETWORKS)):
        make("transformer")


@pytest.mark.parametrize(
    ("shape", "device", "budget", "name", "reason"),
    [
        (PictureShape(28, 28, 1), CPU, None, "convnet", "on a CPU"),
        (PictureShape(32, 32, 3), CPU, 86400.0, "convnet", "32×32×3 pictures on a CPU"),
        (PictureShape(224, 224, 3), CPU, 86400.0, "convnet", "on a CPU"),
        (PictureShape(32, 32, 3), CUDA, 299.0, "convnet", "299 seconds are too short"),
        (PictureShape(32, 32, 3), CUDA, 300.0, "wideresnet-28-2", "colour pictures on a GPU"),
        (PictureShape(32, 32, 3), CUDA, None, "wideresnet-28-2", "colour pictures on a GPU"),
        (PictureShape(28, 28, 1), CUDA, None, "convnet", "grey pictures"),
        (PictureShape(64, 64, 3), CUDA, None, "wideresnet-28-2", "colour pictures on a GPU"),
        (PictureShape(64, 65, 3), CUDA, None, "resnet18", "shrinks them early"),
        (PictureShape(96, 96, 1), CUDA, 3600.0, "resnet18", "shrinks them early"),
    ],
)
def test_the_choice_is_reasoned(
    shape: PictureShape, device: torch.device, budget: float | None, name: str, reason: str
) -> None:
    """Device, budget, size and colour decide, in this order, and the reason says which did."""
    choice = networks.choose(shape, device, budget)
    assert choice.name == name
    assert reason in choice.reason
    assert choice.name in PICTURE_NETWORKS


@EVERY
def test_features_are_what_the_last_layer_makes_logits_of(name: str) -> None:
    """The last layer of the body, given the features, says what the network says."""
    network = make(name, SHAPES[1]).eval()
    shown = pictures(SHAPES[1])
    *_, head = (module for module in network.body.modules() if isinstance(module, torch.nn.Linear))
    assert torch.equal(head(network.features(shown)), network(shown))
