"""The tutorial's net, layer by layer."""

from __future__ import annotations

import torch
from torch import nn

from labelsvc import networks
from labelsvc.networks.tutorial import UnitLength, tutorial
from labelsvc.records import PictureShape, Preprocessing

MNIST = PictureShape(28, 28, 1)


def test_it_has_the_tutorials_layers() -> None:
    """Convolutions of 20 and 40 channels of 5×5, then 640 → 150 → the classes, dropout before the last."""
    body = tutorial(MNIST, 10)
    shapes = [tuple(weight.shape) for weight in body.parameters() if weight.ndim > 1]
    assert shapes == [(20, 1, 5, 5), (40, 20, 5, 5), (150, 640), (10, 150)]
    kinds = [type(layer) for layer in body.modules()]
    assert (kinds.count(nn.MaxPool2d), kinds.count(nn.Dropout2d), kinds.count(nn.Dropout)) == (2, 1, 1)
    assert isinstance(list(body.children())[-1], nn.Linear), "no ReLU on the logits"


def test_pictures_get_the_length_of_one() -> None:
    """Each picture's values are divided by the root of their squares' sum; a black one stays as it is."""
    pictures = torch.rand(3, 1, 5, 4, generator=torch.Generator().manual_seed(0))
    pictures[2] = 0
    scaled = UnitLength()(pictures)
    torch.testing.assert_close(scaled.flatten(1).norm(dim=1), torch.tensor([1.0, 1.0, 0.0]))
    torch.testing.assert_close(scaled[0] * pictures[0].norm(), pictures[0])


def test_brightness_is_nothing_to_it() -> None:
    """A picture at half its brightness gets the same logits, which standardising would not give."""
    assert "tutorial" in networks.SCALING_ITSELF
    network = networks.build("tutorial", Preprocessing(MNIST, (0.0,), (1.0,)), 10, seed=0).eval()
    picture = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(picture), network(picture / 2), atol=1e-5, rtol=1e-4)
