"""What a trained network says of inputs: logits, block by block, in float32 and evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelsvc.networks import Classifier
from labelsvc.training.rows import Rows

PICTURES, ROWS = 512, 16_384  # asked at a time: of pictures; of rows of a table, or vectors


@torch.inference_mode()
def logit_blocks(network: nn.Module, rows: Rows, *, block: int | None = None) -> Iterator[NDArray[np.float64]]:
    """Yield logits [block, classes] of all rows in order; a network computes them the same whoever is beside a row."""
    network = network.eval()
    for inputs in rows.blocks(block or _usual(rows)):
        yield network(inputs).double().cpu().numpy()


@torch.inference_mode()
def answer_blocks(
    network: Classifier, rows: Rows, *, block: int | None = None
) -> Iterator[tuple[NDArray[np.float64], Tensor]]:
    """Yield logits [block, classes] of all rows in order and, on the CPU, the features that they were made of."""
    network = network.eval()
    for inputs in rows.blocks(block or _usual(rows)):
        logits, features = network.explained(inputs)
        yield logits.double().cpu().numpy(), features.cpu()


def logits_of(network: nn.Module, rows: Rows) -> NDArray[np.float64]:
    """Return the logits [rows, classes] of all rows."""
    return np.concatenate(list(logit_blocks(network, rows)))


@torch.inference_mode()
def features_of(network: Classifier, rows: Rows, *, block: int | None = None) -> NDArray[np.float32]:
    """Return the features [rows, features] of all rows: what the network's last layer is shown."""
    network = network.eval()
    return np.concatenate([network.features(inputs).cpu().numpy() for inputs in rows.blocks(block or _usual(rows))])


@torch.inference_mode()
def answers_to(network: Classifier, seen: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return logits [rows, classes] and features of rows that are in memory as networks see them [rows, inputs]."""
    network = network.eval()
    blocks = torch.split(torch.from_numpy(seen), ROWS)
    logits, features = zip(*(network.explained(block.to(network.mean.device)) for block in blocks), strict=True)
    return torch.cat(logits).double().cpu().numpy(), torch.cat(features).cpu().numpy()


def _usual(rows: Rows) -> int:
    """Return how many rows to ask about at a time."""
    return PICTURES if rows.holds_pictures else ROWS
