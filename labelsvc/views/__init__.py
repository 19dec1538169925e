"""Weak and strong views of inputs: batched tensor functions with an explicit generator, in one table.

A weak view is one that any person would label alike; a strong one is as hard as the class can bear. Knows
nothing of networks, labels or losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from labelsvc.errors import UsageError
from labelsvc.records import InputShape, PictureShape
from labelsvc.views.features import features_strong, features_weak
from labelsvc.views.pictures import glyphs_strong, glyphs_weak, photos_strong, photos_weak, unchanged

Pictures = Float[Tensor, "batch channels height width"]  # between 0 and 1
View = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Views:
    """A weak and a strong view of one kind of input."""

    weak: View
    strong: View


PICTURE_VIEWS: Mapping[str, Views] = {
    "glyphs": Views(glyphs_weak, glyphs_strong),
    "photos": Views(photos_weak, photos_strong),
    "none": Views(unchanged, unchanged),
}
FEATURE_VIEWS: Mapping[str, Views] = {
    "features": Views(features_weak, features_strong),
    "noise": Views(features_weak, features_weak),
    "none": Views(unchanged, unchanged),
}


def find(name: str, shape: InputShape | None = None) -> Views:
    """Return the views called ``name`` of inputs of a shape, of pictures where none is given.

    Raises:
        UsageError: no views of such inputs have that name.
    """
    fitting = PICTURE_VIEWS if shape is None or isinstance(shape, PictureShape) else FEATURE_VIEWS
    if name not in fitting:
        raise UsageError(f"no views are called {name!r}; there are auto, {', '.join(fitting)}")
    return fitting[name]


def choose(shape: InputShape) -> tuple[str, str]:
    """Pick views by the input and say why: grey pictures are not flipped, for a mirrored digit is none."""
    if not isinstance(shape, PictureShape):
        return "features", f"{shape} are seen with noise, and with some features blanked; --views none forbids it"
    if shape.channels == 1:
        return (
            "glyphs",
            "grey pictures are never flipped, as a mirrored digit is none; --views photos allows it",
        )
    return "photos", "colour pictures are flipped, shifted and recoloured; --views glyphs forbids it"
