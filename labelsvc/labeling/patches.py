"""Features of pictures that no training made: how strongly each place of a picture resembles patches of others.

Coates and Ng 2011, "The importance of encoding versus training with sparse coding and vector quantization": patches
drawn at random from the pictures themselves, made comparable and whitened, are the filters of one convolution; what is
beyond a soft threshold of its responses, of either sign, is averaged over 3 × 3 parts of the picture. Beside them
stand the picture's own colours on a 4 × 4 grid. A linear model on these is a fair sketch of what a network will make
of few labels, in seconds. Knows nothing of labels.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from labelsvc.training.rows import Rows

FILTERS = 96
DRAWN = 10_000  # patches, to whiten by
SIDE = 6  # pixels of a patch
LARGEST_SIDE = 32  # pixels; larger pictures are shrunk
PICTURES = 1_000  # from which patches are drawn
FLAT = 0.01  # variance of pixels below which a patch shows nothing
WHITENING = 0.1
THRESHOLD = 0.25
CELLS, GRID = 3, 4
BLOCK = 256

Features = NDArray[np.floating]


@torch.inference_mode()
def plain_features(rows: Rows, *, seed: int) -> NDArray[np.float32]:
    """Return features [rows, features] of all rows that no training made; tables and vectors have them already."""
    if rows.holds_pictures:
        return patch_features(rows, seed=seed)
    return np.concatenate([block.cpu().numpy() for block in rows.blocks(BLOCK)])


@torch.inference_mode()
def patch_features(rows: Rows, *, seed: int) -> NDArray[np.float32]:
    """Return the features [rows, features] of pictures; the patches are drawn from them by ``seed``."""
    rng = np.random.default_rng(seed)
    some = torch.from_numpy(np.sort(rng.permutation(len(rows))[:PICTURES]))
    filters = _filters(torch.cat([_shrunk(rows.take(some[at : at + BLOCK])) for at in range(0, len(some), BLOCK)]), rng)
    return np.concatenate([_responses(_shrunk(block), filters).cpu().numpy() for block in rows.blocks(BLOCK)])


def compact(features: Features, dimensions: int, *, seed: int) -> Features:
    """Return features [rows, features] on one scale, as at most so many principal components of deviation 1 in all."""
    if not features.size:
        return features
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    left, strengths, _ = randomized_svd(scaled, min(dimensions, *scaled.shape), random_state=seed)
    components = left * strengths
    return np.asarray(components / max(float(components.std()), 1e-6))


def _shrunk(pictures: Float[Tensor, "rows channels height width"]) -> Float[Tensor, "rows channels h w"]:
    larger = max(pictures.shape[2:])
    if larger <= LARGEST_SIDE:
        return pictures
    size = [max(1, round(side * LARGEST_SIDE / larger)) for side in pictures.shape[2:]]
    return nn.functional.interpolate(pictures, size=size, mode="area")


def _filters(pictures: Float[Tensor, "rows channels height width"], rng: np.random.Generator) -> nn.Conv2d:
    """Return whitened patches as the weights of a convolution."""
    patches, side = _drawn(pictures.cpu().numpy(), rng)
    centre = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(patches - centre, rowvar=False).reshape(len(centre), -1))
    whiten = vectors / np.sqrt(values.clip(min=0) + WHITENING) @ vectors.T
    chosen = patches[np.argsort(patches.var(axis=1) < 0.2, kind="stable")[:FILTERS]]  # those that show something first
    whitened = (chosen - centre) @ whiten
    whitened /= np.linalg.norm(whitened, axis=1, keepdims=True) + 1e-9
    weights = whitened @ whiten
    channels = pictures.shape[1]
    convolution = nn.Conv2d(channels, len(weights), side).to(pictures.device)
    convolution.bias = nn.Parameter(convolution.weight.new_tensor(-weights @ centre))
    weights -= weights.mean(axis=1, keepdims=True)  # so that a patch's own mean need not be taken off
    convolution.weight = nn.Parameter(convolution.weight.new_tensor(weights).view(-1, channels, side, side))
    return convolution


def _drawn(pictures: NDArray[np.float32], rng: np.random.Generator) -> tuple[NDArray[np.float64], int]:
    """Return random patches [patches, values] with their means taken off and their deviations made one."""
    rows, _, height, width = pictures.shape
    side = min(SIDE, (min(height, width) + 1) // 2)
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (side, side), axis=(2, 3))
    picture = rng.integers(rows, size=DRAWN)
    top, left = rng.integers(height - side + 1, size=DRAWN), rng.integers(width - side + 1, size=DRAWN)
    patches = windows[picture, :, top, left].reshape(DRAWN, -1).astype(np.float64)
    deviation = np.sqrt(patches.var(axis=1, keepdims=True) + FLAT)
    return (patches - patches.mean(axis=1, keepdims=True)) / deviation, side


def _responses(
    pictures: Float[Tensor, "rows channels height width"], filters: nn.Conv2d
) -> Float[Tensor, "rows features"]:
    functional, side = nn.functional, filters.kernel_size[0]
    mean = functional.avg_pool2d(pictures.mean(dim=1, keepdim=True), side, stride=1)
    square = functional.avg_pool2d((pictures**2).mean(dim=1, keepdim=True), side, stride=1)
    deviation = torch.sqrt((square - mean**2).clamp(min=0) + FLAT)
    bias = filters.bias.view(1, -1, 1, 1) if filters.bias is not None else 0.0
    alike = functional.conv2d(pictures, filters.weight) / deviation + bias
    parts = [functional.adaptive_avg_pool2d((sign * alike - THRESHOLD).clamp(min=0), CELLS) for sign in (1, -1)]
    parts.append(functional.adaptive_avg_pool2d(pictures, GRID))
    return torch.cat([part.flatten(start_dim=1) for part in parts], dim=1)
