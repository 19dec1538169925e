"""A small convolutional net for small pictures, meant to be quick on a CPU.

Convolutions of 32, 64 and 128 channels (5×5, 3×3, 3×3), each halved by max-pooling *before* batch normalisation and
ReLU, which gives the same shapes at a quarter of their cost; larger pictures get further blocks until a side is at
most 4 pixels. The last feature map goes to the classes whole: averaging it over its places cost a point of accuracy
and three of coverage on MNIST (decision log, 2026-11-20).
"""

from __future__ import annotations

from torch import nn

from labelsvc.records import PictureShape

WIDTHS = (32, 64, 128)  # channels of the blocks; those of further ones are the last
LARGEST_MAP = 4  # pixels a side that may reach the classes


def convnet(shape: PictureShape, classes: int) -> nn.Module:
    """Build the net for pictures of ``shape``, of any size from one pixel on."""
    blocks: list[nn.Module] = []
    channels, height, width = shape.channels, shape.height, shape.width
    while len(blocks) < len(WIDTHS) or max(height, width) > LARGEST_MAP:
        outputs = WIDTHS[min(len(blocks), len(WIDTHS) - 1)]
        pool = (min(2, height), min(2, width))
        blocks.append(_block(channels, outputs, size=3 if blocks else 5, pool=pool))
        channels, height, width = outputs, height // pool[0], width // pool[1]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(channels * height * width, classes))


def _block(inputs: int, outputs: int, *, size: int, pool: tuple[int, int]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False),
        nn.MaxPool2d(pool),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
