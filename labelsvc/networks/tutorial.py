"""The network of the tutorial on pseudo-labeling that this project started from.

Two convolutions of 20 and 40 channels (5×5, each max-pooled by 2, Dropout2d on the second), then 150 units, dropout,
and the classes; each picture is first scaled to length 1 over all its values. The tutorial also puts a ReLU on the
logits, which lets no class fall below an even guess; it is left out.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from labelsvc.records import PictureShape

UNITS = 150


class UnitLength(nn.Module):
    """Divide each picture by its Euclidean length; a black one stays black."""

    def forward(self, pictures: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Return pictures whose squared values sum to 1."""
        return functional.normalize(pictures.flatten(1), dim=1).view(pictures.shape)


def tutorial(shape: PictureShape, classes: int) -> nn.Module:
    """Build the net; pictures of less than 16 pixels a side get smaller kernels."""
    blocks: list[nn.Module] = [UnitLength()]
    channels, height, width = shape.channels, shape.height, shape.width
    for outputs, drop in ((20, nn.Identity()), (40, nn.Dropout2d())):
        kernel = (min(5, height), min(5, width))
        height, width = height - kernel[0] + 1, width - kernel[1] + 1
        pool = (min(2, height), min(2, width))
        height, width = height // pool[0], width // pool[1]
        blocks += [nn.Conv2d(channels, outputs, kernel), drop, nn.MaxPool2d(pool), nn.ReLU(inplace=True)]
        channels = outputs
    flat = channels * height * width
    head = [nn.Linear(flat, UNITS), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(UNITS, classes)]
    return nn.Sequential(*blocks, nn.Flatten(), *head)
