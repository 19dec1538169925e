"""Features that no training made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labelsvc.labeling.patches import compact, patch_features
from labelsvc.records import Pixels
from labelsvc.training.rows import Rows


def rows(pixels: Pixels) -> Rows:
    """Return pictures as the rooms that compute take them."""
    return Rows(np.arange(len(pixels)), None, torch.device("cpu"), torch.from_numpy(pixels))  # type: ignore[arg-type]


def noise(count: int, height: int, width: int, channels: int) -> Pixels:
    """Return random pictures."""
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 9, 1), (8, 8, 1), (28, 28, 1), (48, 70, 3)])
def test_any_picture_has_features(shape: tuple[int, int, int]) -> None:
    """Pictures of every size have finite features, as many for each, and the same for the same seed."""
    pictures = rows(noise(12, *shape))
    found = patch_features(pictures, seed=0)
    assert found.shape[0] == 12
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, patch_features(pictures, seed=0))


def test_blank_pictures_are_no_trouble() -> None:
    """Pictures that show nothing have features that are all alike."""
    found = patch_features(rows(np.zeros((5, 8, 8, 1), np.uint8)), seed=0)
    assert (found == found[0]).all()
    assert np.isfinite(compact(found, 4, seed=0)).all()


def test_alike_pictures_lie_near_each_other() -> None:
    """A picture that is a little darker stays nearer to its own than to any other."""
    pixels = noise(20, 16, 16, 1)
    darker = (pixels * 0.9).astype(np.uint8)
    places = compact(patch_features(rows(np.concatenate([pixels, darker])), seed=0), 16, seed=0)
    apart = np.linalg.norm(places[:20, None] - places[None, 20:], axis=2)
    assert apart.argmin(axis=1).tolist() == list(range(20))
