"""Residual nets: the WideResNet-28-2 of the semi-supervised papers, and torchvision's ResNet-18.

Zagoruyko and Komodakis, "Wide Residual Networks", 2016: depth 28 = 3 groups × 4 blocks × 2 convolutions + 4,
width 2, pre-activation. He et al., "Deep Residual Learning for Image Recognition", 2015.
"""

from __future__ import annotations

from torch import Tensor, nn

from labelsvc.records import PictureShape

SMALL = 64  # pixels a side up to which ResNet-18 keeps its first layers from shrinking the picture


class Block(nn.Module):
    """Two normalised 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(inputs), nn.LeakyReLU(0.1, inplace=True))
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Add what the convolutions find to what came in."""
        hidden = self.before(hidden)
        total: Tensor = self.convolutions(hidden) + self.shortcut(hidden)
        return total


def wideresnet_28_2(shape: PictureShape, classes: int) -> nn.Module:
    """Build WideResNet-28-2 for pictures of ``shape``."""
    widths = (16, 32, 64, 128)
    blocks = [
        Block(
            widths[group] if first else widths[group + 1],
            widths[group + 1],
            stride=2 if first and group else 1,
        )
        for group in range(3)
        for first in (True, False, False, False)
    ]
    return nn.Sequential(
        nn.Conv2d(shape.channels, widths[0], 3, padding=1, bias=False),
        *blocks,
        nn.BatchNorm2d(widths[-1]),
        nn.LeakyReLU(0.1, inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(widths[-1], classes),
    )


def resnet18(shape: PictureShape, classes: int) -> nn.Module:
    """Build torchvision's ResNet-18; pictures up to 64 pixels meet a 3×3 first layer and no early pooling."""
    from torchvision import models

    network: nn.Module = models.resnet18(num_classes=classes)
    if max(shape.height, shape.width) <= SMALL:
        network.conv1 = nn.Conv2d(shape.channels, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    elif shape.channels != 3:
        network.conv1 = nn.Conv2d(shape.channels, 64, 7, stride=2, padding=3, bias=False)
    return network
