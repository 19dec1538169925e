"""The nets by input, in one table, and the choice that ``auto`` makes among them.

A network takes pictures as float [batch, channels, height, width] between 0 and 1, which it normalises itself, or
features [batch, features], which ``features`` has standardised, and returns logits [batch, classes]. Knows nothing of
losses, data or training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from labelsvc.errors import UsageError
from labelsvc.networks.convnet import convnet
from labelsvc.networks.features import mlp
from labelsvc.networks.residual import resnet18, wideresnet_28_2
from labelsvc.networks.tutorial import tutorial
from labelsvc.records import InputShape, PictureShape, Preprocessing

PICTURE_NETWORKS: Mapping[str, Callable[[PictureShape, int], nn.Module]] = {
    "convnet": convnet,
    "wideresnet-28-2": wideresnet_28_2,
    "resnet18": resnet18,
    "tutorial": tutorial,
}
FEATURE_NETWORKS: Mapping[str, Callable[[InputShape, int], nn.Module]] = {"mlp": mlp}
NETWORKS = (*PICTURE_NETWORKS, *FEATURE_NETWORKS)
SCALING_ITSELF = frozenset({"tutorial"})  # nets that want pictures in [0, 1] as they are, not standardised


class Classifier(nn.Module):
    """A body behind its preprocessing: pictures in [0, 1] in, or features, and logits out."""

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.body = body
        is_picture = isinstance(preprocessing.shape, PictureShape)
        sides = (1, -1, 1, 1) if is_picture else (1, -1)
        self.register_buffer("mean", torch.tensor(preprocessing.mean if is_picture else (0.0,)).view(sides))
        self.register_buffer("std", torch.tensor(preprocessing.std if is_picture else (1.0,)).view(sides))

    def forward(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Return logits, whatever precision the body computes in, as float32."""
        logits: Tensor = self.body((inputs - self.mean) / self.std)
        return logits.float()

    def explained(
        self, inputs: Float[Tensor, "batch ..."]
    ) -> tuple[Float[Tensor, "batch classes"], Float[Tensor, "batch features"]]:
        """Return logits, and the features that the layer of the classes made them of, as float32.

        A body without such a layer, which is no network, makes them of its inputs.
        """
        heads = [module for module in self.body.modules() if isinstance(module, nn.Linear)]
        if not heads:
            return self(inputs), inputs.float()
        head = heads[-1]
        shown: list[Tensor] = []
        handle = head.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
        try:
            logits = self(inputs)
        finally:
            handle.remove()
        return logits, shown[0].float()

    def features(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch features"]:
        """Return what the layer of the classes is shown: the body's last but one result, as float32."""
        return self.explained(inputs)[1]


def build(name: str, preprocessing: Preprocessing, classes: int, *, seed: int) -> Classifier:
    """Make a network with weights drawn from ``seed``; the global generator is left as it was.

    Raises:
        UsageError: no network has that name, or it is for another kind of input.
    """
    shape = preprocessing.shape
    if name not in NETWORKS:
        raise UsageError(f"no network is called {name!r}; there are auto, {', '.join(NETWORKS)}")
    fitting = PICTURE_NETWORKS if isinstance(shape, PictureShape) else FEATURE_NETWORKS
    if name not in fitting:
        raise UsageError(f"network {name} cannot read a {shape.kind}; there are {', '.join(fitting)}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = (
            PICTURE_NETWORKS[name](shape, classes)
            if isinstance(shape, PictureShape)
            else FEATURE_NETWORKS[name](shape, classes)
        )
    return Classifier(body, preprocessing).to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Choice:
    """A network's name and, where ``auto`` chose it, why."""

    name: str
    reason: str


SHORT_BUDGET = 300.0  # seconds: under this a residual net does not come far enough even on a GPU
LARGE_PICTURE = 64  # pixels a side


def choose(shape: InputShape, device: torch.device, budget: float | None) -> Choice:
    """Pick a network by the input, the device and the budget in seconds (None: no limit was given)."""
    if not isinstance(shape, PictureShape):
        return Choice("mlp", f"{shape}: two hidden layers")
    if device.type == "cpu":
        return Choice("convnet", f"{shape} pictures on a CPU: the network that sees most of them per second")
    if budget is not None and budget < SHORT_BUDGET:
        return Choice("convnet", f"{budget:.0f} seconds are too short for a residual network")
    if max(shape.height, shape.width) > LARGE_PICTURE:
        return Choice("resnet18", f"{shape} pictures on a GPU: large ones need a net that shrinks them early")
    if shape.channels == 1:
        return Choice("convnet", f"{shape} grey pictures: a deeper network gains nothing")
    return Choice("wideresnet-28-2", f"{shape} colour pictures on a GPU: the net of the semi-supervised papers")
