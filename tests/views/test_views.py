"""Views of pictures: what they may change and what they leave alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from labelsvc import views
from labelsvc.errors import UsageError
from labelsvc.records import PictureShape
from labelsvc.views import PICTURE_VIEWS, View
from labelsvc.views.affine import AffineRange, random_affine
from labelsvc.views.colour import jitter
from labelsvc.views.cutout import cutout

SIDES = {f"{name}-{side}": getattr(pair, side) for name, pair in PICTURE_VIEWS.items() for side in ("weak", "strong")}
EVERY = pytest.mark.parametrize("view", SIDES.values(), ids=SIDES)
EVERY_RANDOM = pytest.mark.parametrize(
    "view", [pytest.param(view, id=name) for name, view in SIDES.items() if not name.startswith("none")]
)


def generator(seed: int = 0) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def pictures(*shape: int) -> Tensor:
    """Return random pictures in [0, 1]."""
    return torch.rand(shape, generator=generator(9))


def corner(count: int) -> Tensor:
    """Return pictures with a soft blot in the upper left: nothing like their mirror images."""
    axis = torch.arange(16.0)
    blot = torch.exp(-((axis[:, None] - 4) ** 2 + (axis[None, :] - 4) ** 2) / 8)
    return blot.expand(count, 1, 16, 16).clone()


def mirrored(view: View, count: int = 200) -> Tensor:
    """Say of each of ``count`` views of a corner whether it is closer to the mirror image."""
    originals = corner(count)
    seen = view(originals, generator())
    apart = (seen - originals).square().sum(dim=(1, 2, 3))
    return (seen - originals.flip(3)).square().sum(dim=(1, 2, 3)) < apart


@EVERY_RANDOM
def test_the_generator_decides(view: View) -> None:
    """The same generator state gives the same view, another gives another, and the global one is left alone."""
    before, originals = torch.get_rng_state(), pictures(5, 1, 12, 10)
    first, again, other = (view(originals, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@EVERY
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (4, 3, 12, 9), (2, 1, 28, 28)])
def test_views_are_pictures(view: View, shape: tuple[int, ...]) -> None:
    """A view keeps shape and type, stays within [0, 1], and leaves what it was given unchanged."""
    originals = pictures(*shape)
    kept = originals.clone()
    seen = view(originals, generator())
    assert seen.shape == originals.shape
    assert seen.dtype == torch.float32
    assert seen.min() >= -1e-6
    assert seen.max() <= 1 + 1e-6
    assert torch.equal(originals, kept)


@EVERY_RANDOM
def test_each_row_has_its_own_amount(view: View) -> None:
    """Copies of one picture in a batch are seen differently."""
    seen = view(corner(6), generator())
    assert len(seen.flatten(1).unique(dim=0)) == 6


def test_no_view_is_the_picture_itself() -> None:
    """The views called none change nothing and draw nothing."""
    originals, drawing = pictures(3, 1, 12, 10), generator()
    before = drawing.get_state()
    assert torch.equal(PICTURE_VIEWS["none"].weak(originals, drawing), originals)
    assert torch.equal(PICTURE_VIEWS["none"].strong(originals, drawing), originals)
    assert torch.equal(drawing.get_state(), before)


def test_glyphs_are_never_mirrored() -> None:
    """Every weak view of a glyph is closer to the glyph than to its mirror image."""
    assert not mirrored(PICTURE_VIEWS["glyphs"].weak).any()
    assert not mirrored(lambda p, g: random_affine(p, views.pictures.GLYPH_STRONG, g)).any()


def test_photos_are_mirrored_every_second_time() -> None:
    """About half of the views of a photo are closer to its mirror image."""
    assert 70 < int(mirrored(PICTURE_VIEWS["photos"].weak).sum()) < 130


@pytest.mark.parametrize("padding", ["zeros", "reflection"])
def test_no_bounds_no_change(padding: str) -> None:
    """An affine view without bounds and a jitter without strength leave pictures as they are."""
    originals = pictures(3, 3, 9, 7)
    torch.testing.assert_close(random_affine(originals, AffineRange(), generator(), padding=padding), originals)
    torch.testing.assert_close(jitter(originals, 0.0, generator()), originals)
    assert torch.equal(cutout(originals, 0.0, generator()), originals)


def test_shifts_stay_within_their_bound() -> None:
    """The blot of a corner moves by up to the bound's share of the side, in both directions, and no further."""
    seen = random_affine(corner(300), AffineRange(shift=0.125), generator(3))
    mass, axis = seen.sum(dim=(1, 2, 3)), torch.arange(16.0)
    moved = torch.stack([(seen.sum(dim=(1, 3)) * axis).sum(1), (seen.sum(dim=(1, 2)) * axis).sum(1)]) / mass - 4
    assert moved.abs().max() <= 0.125 * 16 + 0.4  # a little of the blot leaves the picture
    assert (moved.min(dim=1).values < -1).all()
    assert (moved.max(dim=1).values > 1).all()


def test_flips_alone_are_whole() -> None:
    """With flips alone, each view is the picture or exactly its mirror image."""
    originals = pictures(50, 1, 6, 6)
    seen = random_affine(originals, AffineRange(flip=True), generator())
    same = (seen - originals).abs().amax(dim=(1, 2, 3)) < 1e-5
    flipped = (seen - originals.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert (same ^ flipped).all()
    assert same.any()
    assert flipped.any()


def test_a_flip_is_never_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw in the very middle still means one side or the other."""
    originals = pictures(1, 1, 6, 6)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, 0.5))
    seen = random_affine(originals, AffineRange(flip=True), generator())
    either = [(seen - same).abs().max() < 1e-5 for same in (originals, originals.flip(3))]
    assert any(either)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("sides", [(8, 8), (12, 7)])
def test_cutout_blanks_at_most_its_share(share: float, sides: tuple[int, int]) -> None:
    """What is blanked is one square within the share of the shorter side; the rest is untouched."""
    originals = 0.1 + 0.9 * pictures(300, 3, *sides)
    hole = cutout(originals, share, generator()) == 0
    assert torch.equal(hole, hole[:, :1].expand_as(hole)), "all channels alike"
    most = math.ceil(share * min(sides))
    assert hole[:, 0].any(dim=2).sum(dim=1).max() <= most
    assert hole[:, 0].any(dim=1).sum(dim=1).max() <= most
    filled = cutout(originals, share, generator(), value=0.5)
    assert torch.equal(filled, torch.where(hole, 0.5, originals))
    assert hole.any()


def test_jitter_keeps_grey_grey() -> None:
    """Where all channels are equal they stay equal: there is no saturation to change."""
    grey = pictures(4, 1, 5, 5).expand(4, 3, 5, 5)
    seen = jitter(grey, 0.5, generator())
    torch.testing.assert_close(seen, seen[:, :1].expand_as(seen))


def test_the_picture_chooses() -> None:
    """Grey pictures are glyphs, colour ones photos, and the reason names the other."""
    for channels, name, other in ((1, "glyphs", "photos"), (3, "photos", "glyphs")):
        chosen, reason = views.choose(PictureShape(8, 8, channels))
        assert chosen == name
        assert f"--views {other}" in reason
        assert views.find(chosen) is PICTURE_VIEWS[name]


def test_unknown_views_are_refused() -> None:
    """A name that is not in the table is a wrong call, and the message names those that are."""
    with pytest.raises(UsageError, match="glyphs, photos"):
        views.find("sounds")
