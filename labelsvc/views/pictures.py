"""The views by kind of picture.

Glyphs (digits, letters, signs: grey, centred, meaning hangs on their orientation) are moved a little and never
flipped; blanking a part of them only cost coverage (decision log, 2026-11-20). Photos are flipped, shifted and
recoloured, after FixMatch (Sohn et al. 2020), with its RandAugment reduced to the operations that act on a whole batch
at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labelsvc.views.affine import AffineRange, random_affine
from labelsvc.views.colour import jitter
from labelsvc.views.cutout import cutout

GLYPH_WEAK = AffineRange(shift=0.04)
GLYPH_STRONG = AffineRange(degrees=15, shift=0.1, scale=0.15, shear=0.2)
PHOTO_WEAK = AffineRange(shift=0.125, flip=True)
PHOTO_STRONG = AffineRange(degrees=20, shift=0.125, scale=0.2, shear=0.2, flip=True)


def unchanged(pictures: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - a view has one shape
    """Leave pictures as they are, for methods that know no views."""
    return pictures


def glyphs_weak(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to a twenty-fifth of the side."""
    return random_affine(pictures, GLYPH_WEAK, generator)


def glyphs_strong(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, shear, scale and shift a little."""
    return random_affine(pictures, GLYPH_STRONG, generator)


def photos_weak(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, and shift by up to an eighth of the side."""
    return random_affine(pictures, PHOTO_WEAK, generator, padding="reflection")


def photos_strong(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, move and recolour, then blank a square with grey."""
    moved = random_affine(pictures, PHOTO_STRONG, generator, padding="reflection")
    return cutout(jitter(moved, 0.5, generator), 0.5, generator, value=0.5)
