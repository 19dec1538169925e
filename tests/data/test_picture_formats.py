"""Every format of picture in a Parquet file comes out as it looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from labelsvc.data.pictures import find_shape
from labelsvc.records import PictureShape

from .parquet_files import encoded, found_columns, images, noise, pixels_of, saved, written

SHAPE = PictureShape(6, 8, 3)


def animation() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a GIF of three frames, and the first."""
    frames = [Image.fromarray(np.full((6, 8), value, np.uint8)) for value in (10, 100, 200)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    return data, np.full((6, 8, 3), 10, np.uint8)


def turned() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a JPEG that its camera held sideways, and how it looks upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    lying = np.zeros((8, 6, 3), np.uint8)
    lying[:, 3:] = 255  # its right half is the upright one's lower half
    return encoded(lying, "JPEG", exif=exif, quality=100, subsampling=0), np.rot90(lying, -1)


def on_white() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a PNG of which a half is transparent, and how it looks on white."""
    pixels = noise(6, 8, 4)
    pixels[..., 3] = 255
    pixels[:3, :, 3] = 0
    expected = pixels[..., :3].copy()
    expected[:3] = 255
    return encoded(pixels), expected


def palette() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a PNG of 16 colours by number, and the colours."""
    colours, numbers = noise(16, 3), noise(6, 8) % 16
    picture = Image.fromarray(numbers).convert("P")
    picture.putdata(numbers.ravel().tolist())
    picture.putpalette(colours.ravel().tolist())
    return saved(picture), colours[numbers]


def cmyk() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a JPEG of one printing colour, and what it is on a screen."""
    ink = (200, 40, 0, 30)
    screen = [round((255 - value) * (255 - ink[3]) / 255) for value in ink[:3]]
    data = saved(Image.new("CMYK", (8, 6), ink), "JPEG", quality=100)
    return data, np.full((6, 8, 3), screen, np.uint8)


def sixteen_bits() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a PNG of 16-bit grey, and its 8 high bits' worth."""
    deep = (np.arange(48, dtype=np.uint16).reshape(6, 8) * 1365).astype(np.uint16)
    grey = np.rint(deep / 257).astype(np.uint8)
    return encoded(deep), np.repeat(grey[..., None], 3, axis=2)


def grey() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a grey PNG, and its pixels in three channels."""
    pixels = noise(6, 8)
    return encoded(pixels), np.repeat(pixels[..., None], 3, axis=2)


def colour(kind: str, **options: object) -> tuple[bytes, NDArray[np.uint8]]:
    """Return a picture in a format without loss, and its pixels."""
    pixels = noise(6, 8, 3)
    return encoded(pixels, kind, **options), pixels


FORMATS: dict[str, Callable[[], tuple[bytes, NDArray[np.uint8]]]] = {
    "grey PNG": grey,
    "RGB PNG": lambda: colour("PNG"),
    "RGBA PNG": on_white,
    "palette PNG": palette,
    "16-bit PNG": sixteen_bits,
    "CMYK JPEG": cmyk,
    "EXIF-turned JPEG": turned,
    "WebP": lambda: colour("WEBP", lossless=True),
    "BMP": lambda: colour("BMP"),
    "GIF animation": animation,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_its_pixels(tmp_path: Path, name: str) -> None:
    """A picture in a Parquet file looks as its format says: upright, on white, its first frame, in 8 bits."""
    data, expected = FORMATS[name]()
    file = written(tmp_path / "f.parquet", {"image": images([data])})
    columns = found_columns(file)
    assert (found := find_shape([file], [columns]).shape) == PictureShape(6, 8, found.channels)
    (pixels,) = pixels_of(file, SHAPE).astype(int)
    assert np.abs(pixels - expected).max() <= (3 if "JPEG" in name else 0)
