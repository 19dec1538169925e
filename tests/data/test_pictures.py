"""Encoded pictures to pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelsvc.data.columns import ColumnNames, find_columns
from labelsvc.data.pictures import decode, find_shape
from labelsvc.data.reading import read_schema
from labelsvc.errors import InputError, PictureError
from labelsvc.records import PictureShape

from .parquet_files import PICTURES_ONLY, encoded, noise, picture_file, real, saved, with_real_data

GREY = PictureShape(8, 6, 1)
COLOUR = PictureShape(8, 6, 3)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_colour_decodes_to_its_pixels(kind: str) -> None:
    """What was encoded without loss comes back as it was."""
    pixels = noise(8, 6, 3)
    assert np.array_equal(decode(encoded(pixels, kind, lossless=True), COLOUR), pixels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF"])
def test_lossless_grey_decodes_to_its_pixels(kind: str) -> None:
    """Grey pictures come back as they were, with a channel axis."""
    pixels = noise(8, 6)
    assert np.array_equal(decode(encoded(pixels, kind), GREY), pixels[..., None])


def test_grey_as_colour_has_three_equal_channels() -> None:
    """A grey picture in a colour dataset repeats its channel."""
    pixels = noise(8, 6)
    assert np.array_equal(decode(encoded(pixels), COLOUR), np.repeat(pixels[..., None], 3, axis=2))


def test_colour_as_grey_is_its_luma() -> None:
    """A colour picture in a grey dataset becomes its ITU-R 601 luma."""
    pixels = noise(8, 6, 3)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decode(encoded(pixels), GREY)[..., 0] - luma).max() <= 1


def test_sixteen_bits_are_scaled_not_cut() -> None:
    """16-bit grey maps 0 to 0 and 65,535 to 255, rounded in between."""
    deep = np.linspace(0, 65535, 48).reshape(8, 6).astype(np.uint16)
    expected = np.rint(deep / 257).astype(np.uint8)
    assert np.array_equal(decode(encoded(deep), GREY)[..., 0], expected)
    assert np.array_equal(decode(encoded(deep), COLOUR)[..., 1], expected)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "LA", "RGBA"])
@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=str)
def test_every_mode_decodes(mode: str, shape: PictureShape) -> None:
    """Every mode of pixel that a format can hold becomes grey or RGB."""
    picture = Image.fromarray(noise(8, 6, 3)).convert(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(saved(picture, kind), shape).shape == (8, 6, shape.channels)


def test_transparent_is_white() -> None:
    """Transparent parts show white, opaque parts their colour, half of each half of each."""
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = [0, 255, 127]
    assert decode(encoded(pixels), PictureShape(1, 3, 1)).ravel().tolist() == [255, 0, 128]


def test_transparent_colour_of_a_png_is_white() -> None:
    """A grey value that a PNG declares transparent shows white too."""
    data = encoded(np.array([[7, 9]], np.uint8), transparency=7)
    assert decode(data, PictureShape(1, 2, 1)).ravel().tolist() == [255, 9]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_orientation_is_applied(kind: str, tmp_path: Path) -> None:
    """A picture that its camera turned stands upright, and its shape is found upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:, :16] = 255
    data = encoded(pixels, kind, exif=exif, lossless=True)
    upright = decode(data, PictureShape(32, 16, 1))[..., 0]
    assert upright[:16].min() > 250
    assert upright[16:].max() < 5
    file = picture_file(tmp_path / "f.parquet", [data])
    found = find_shape([file], [PICTURES_ONLY]).shape
    assert (found.height, found.width) == (32, 16)


def test_resizing_is_antialiased_bilinear() -> None:
    """Pictures of another size are resized as Pillow's bilinear filter does it."""
    pixels = noise(50, 70, 3)
    expected = Image.fromarray(pixels).resize((6, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(decode(encoded(pixels), COLOUR), np.asarray(expected))


def test_jpeg_of_another_size_is_near_the_full_decode() -> None:
    """Skipping detail while decoding a JPEG changes the small picture hardly."""
    ramp = np.linspace(0, 255, 400)
    pixels = np.stack([np.add.outer(ramp, ramp) / 2, np.add.outer(ramp, ramp[::-1]) / 2], axis=2)
    data = encoded(np.dstack([pixels, pixels[..., :1]]).astype(np.uint8), "JPEG", quality=95)
    full = Image.open(io.BytesIO(data)).resize((6, 8), Image.Resampling.BILINEAR)
    assert np.abs(decode(data, COLOUR).astype(int) - np.asarray(full)).max() <= 3


@pytest.mark.parametrize("data", [b"", b"nothing like it", b"\x89PNG\r\n\x1a\n" + b"\0" * 40], ids=repr)
def test_bytes_that_are_no_picture_are_an_error(data: bytes) -> None:
    """Bytes of no known format are refused with a reason."""
    with pytest.raises(PictureError, match="picture"):
        decode(data, GREY)


def test_format_that_is_not_listed_is_an_error() -> None:
    """Formats beyond the listed ones are not opened, though Pillow knows them."""
    with pytest.raises(PictureError, match="no PNG, JPEG, WEBP, GIF or BMP"):
        decode(encoded(noise(8, 6), "TIFF"), GREY)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_truncated_picture_is_an_error(kind: str) -> None:
    """A picture that breaks off is refused, never filled up with grey."""
    data = encoded(noise(40, 40), kind)
    with pytest.raises(PictureError):
        decode(data[: len(data) // 2], PictureShape(40, 40, 1))


def test_too_many_pixels_are_an_error_before_decoding() -> None:
    """A picture that declares more pixels than allowed is refused from its header."""
    with pytest.raises(PictureError, match="6 by 8 pixels, more than the 47 allowed"):
        decode(encoded(noise(8, 6)), GREY, most_pixels=47)


def test_decompression_bomb_is_an_error() -> None:
    """A small file that declares hundreds of millions of pixels is refused, as an error of its row."""
    with pytest.raises(PictureError, match="pixels"):
        decode(saved(Image.new("1", (14_000, 13_000))), GREY)


def test_one_size_keeps_it(tmp_path: Path) -> None:
    """Pictures of one size keep it; one colour picture among grey ones makes the dataset colour."""
    grey = [encoded(noise(5, 7, seed=seed)) for seed in range(3)]
    file = picture_file(tmp_path / "grey.parquet", [*grey, None, b"broken"])
    found = find_shape([file], [PICTURES_ONLY])
    assert (found.shape, found.sizes, found.looked_at) == (PictureShape(5, 7, 1), 1, 3)
    mixed = picture_file(tmp_path / "mixed.parquet", [*grey, encoded(noise(5, 7, 3))])
    assert find_shape([file, mixed], [PICTURES_ONLY] * 2).shape == PictureShape(5, 7, 3)


def test_several_sizes_become_one_and_say_so(tmp_path: Path) -> None:
    """Pictures of several sizes get 64 by 64, and the record tells that there were several."""
    file = picture_file(tmp_path / "f.parquet", [encoded(noise(5, side)) for side in (5, 6, 6, 7)])
    found = find_shape([file], [PICTURES_ONLY])
    assert (found.shape, found.sizes) == (PictureShape(64, 64, 1), 3)


@pytest.mark.parametrize("rows", [[], [None], [b"broken"]], ids=["no rows", "null", "broken"])
def test_no_picture_to_look_at_is_an_error(tmp_path: Path, rows: list[bytes | None]) -> None:
    """Files without a single readable picture are refused by name."""
    file = picture_file(tmp_path / "f.parquet", rows)
    with pytest.raises(InputError, match=r"no picture found in .*f\.parquet, column 'image'"):
        find_shape([file], [PICTURES_ONLY])


@with_real_data
@pytest.mark.parametrize(
    ("name", "shape", "several"),
    [
        ("mnist/labeled_100.parquet", PictureShape(28, 28, 1), False),
        ("cifar10_small/labeled_250.parquet", PictureShape(32, 32, 3), False),
        ("clothing_small/labeled_100.parquet", PictureShape(64, 64, 3), True),
    ],
)
def test_shapes_of_real_files(name: str, shape: PictureShape, *, several: bool) -> None:
    """Digits are small and grey, CIFAR small and coloured, photos of several sizes."""
    file = real(name)
    columns = find_columns(read_schema(file), ColumnNames(), where=name)
    found = find_shape([file], [columns], sample=50)
    assert found.shape == shape
    assert (found.sizes > 1) == several
