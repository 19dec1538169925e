"""One picture to pixels of a given shape, with Pillow.

Training and predicting decode alike: upright by the EXIF orientation, transparent parts on white, 16-bit grey
scaled to 8 bits, grey or RGB, and squeezed to the shape (the sides' ratio is not kept) with an antialiased
bilinear filter. Of an animation, the first frame. Raw pixels are squeezed in the same way.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from labelsvc.data.cells import Picture
from labelsvc.data.columns import Columns
from labelsvc.data.reading import sample_pictures
from labelsvc.data.remote import Location, Remote, look, reaching
from labelsvc.errors import InputError, PictureError
from labelsvc.records import PictureShape, Pixels

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_PIXELS = 89_478_485  # width times height, from which Pillow itself warns of a decompression bomb
MOST_BYTES = 4 * MOST_PIXELS  # of a picture in a file of its own
SIDE_OF_MIXED = 64  # where pictures come in several sizes
_GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N"})


@dataclass(frozen=True)
class ShapeFound:
    """The shape that suits a dataset, and how it was found: ``sizes`` differ among ``looked_at`` pictures.

    With more than one size, the shape's sides are our choice or the user's, and not the pictures'.
    """

    shape: PictureShape
    sizes: int
    looked_at: int


def decode(data: bytes, shape: PictureShape, *, most_pixels: int = MOST_PIXELS) -> Pixels:
    """Return a picture's pixels [height, width, channels] in ``shape``, uint8 and read-only.

    Raises:
        PictureError: the bytes are not of a known format, are damaged, or hold too many pixels.
    """
    size = (shape.width, shape.height)
    try:
        picture = _opened(data, most_pixels)
        if picture.format == "JPEG" and picture.size != size:
            _shrink_while_decoding(picture, size)
        return _squeezed(_upright(picture), shape)
    except PictureError:
        raise
    except Exception as error:  # damaged bytes make Pillow raise nearly anything
        reason = str(error).rstrip(".") or type(error).__name__
        raise PictureError(f"the picture cannot be decoded: {reason}") from error


def fit(pixels: Pixels, shape: PictureShape) -> Pixels:
    """Return raw pixels [height, width, 1, 3 or 4 channels] in ``shape``, themselves where they have it."""
    if pixels.shape == (shape.height, shape.width, shape.channels):
        return pixels
    return _squeezed(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), shape)


def read_picture(path: Location) -> bytes:
    """Return the bytes of a picture in a file of its own.

    Raises:
        PictureError: there is no such file, it cannot be read or is too large to be a picture.
        InputError: the object store that holds it refuses, or cannot be reached.
    """
    if isinstance(path, Remote):
        return _read_remote(path)
    try:
        if not path.is_file():  # a pipe would be waited for
            raise PictureError(f"there is no file {path}" if not path.exists() else f"{path} is no file")
        if path.stat().st_size > MOST_BYTES:
            raise PictureError(f"{path} has {path.stat().st_size:,} bytes, more than the {MOST_BYTES:,} allowed")
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from error


def _read_remote(path: Remote) -> bytes:
    found = look(path)
    if found is None:
        raise PictureError(f"there is no file {path}")
    if found.bytes > MOST_BYTES:
        raise PictureError(f"{path} has {found.bytes:,} bytes, more than the {MOST_BYTES:,} allowed")
    with reaching(path), path.system.open_input_stream(path.path) as stream:
        data: bytes = stream.read()
    return data


def find_shape(
    files: Sequence[Path], columns: Sequence[Columns], *, sample: int = 256, size: tuple[int, int] | None = None
) -> ShapeFound:
    """Look at about ``sample`` pictures and return the shape to decode all to.

    Pictures are ``size`` (height, width) where it is given; otherwise those of one size keep it, and several sizes
    become 64 by 64. They are grey if all are grey, RGB otherwise.

    Raises:
        InputError: a file cannot be read, or none of the pictures can.
    """
    sizes: set[tuple[int, int]] = set()
    grey, looked_at, reason = True, 0, "the files have no rows with a picture"
    for picture in sample_pictures(files, columns, sample=sample):
        try:
            sides, is_grey = _look(picture)
        except Exception as error:  # as in decode
            reason = str(error)
            continue
        sizes.add(sides)
        looked_at += 1
        grey = grey and is_grey
    if not sizes:
        names = ", ".join(str(file) for file in files)
        raise InputError(f"no picture found in {names}, column {columns[0].image if columns else ''!r}: {reason}")
    height, width = size or (next(iter(sizes)) if len(sizes) == 1 else (SIDE_OF_MIXED, SIDE_OF_MIXED))
    return ShapeFound(PictureShape(height, width, 1 if grey else 3), len(sizes), looked_at)


def _look(picture: Picture | PictureError) -> tuple[tuple[int, int], bool]:
    """Return a picture's height and width as it stands upright, and whether it is grey, from its header."""
    if isinstance(picture, PictureError):
        raise picture
    if isinstance(picture, np.ndarray):
        height, width, channels = picture.shape
        return (height, width), channels == 1
    with _opened(picture if isinstance(picture, bytes) else read_picture(picture)) as header:
        return _upright_sides(header), header.mode in _GREY_MODES


def _squeezed(picture: Image.Image, shape: PictureShape) -> Pixels:
    size = (shape.width, shape.height)
    raw = _in_mode(picture, "L" if shape.channels == 1 else "RGB")
    if raw.size != size:
        raw = raw.resize(size, Image.Resampling.BILINEAR)
    return np.frombuffer(raw.tobytes(), np.uint8).reshape(shape.height, shape.width, shape.channels)


def _opened(data: bytes, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """Read a picture's header."""
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(f"the bytes are no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture") from error
    width, height = picture.size
    if width * height > most_pixels:
        raise PictureError(f"the picture has {width:,} by {height:,} pixels, more than the {most_pixels:,} allowed")
    return picture


def _shrink_while_decoding(picture: Image.Image, size: tuple[int, int]) -> None:
    """Let the JPEG decoder skip detail, leaving twice the side that is needed for the antialiased resize."""
    side = 2 * max(size)  # of both sides alike, since the picture may yet be turned
    picture.draft(None, (side, side))


def _upright(picture: Image.Image) -> Image.Image:
    if "exif" not in picture.info:
        return picture
    return ImageOps.exif_transpose(picture)


def _upright_sides(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    turned = "exif" in picture.info and picture.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
    return (width, height) if turned else (height, width)


_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == mode and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I"):
        return Image.fromarray(_eight_bits(picture)).convert(mode)
    if picture.has_transparency_data:
        picture = _on_white(picture)
    if picture.mode == "CMYK":
        picture = picture.convert("RGB")
    return picture.convert(mode)


def _eight_bits(picture: Image.Image) -> NDArray[np.uint8]:
    """Scale 16-bit grey to 8 bits: 0 stays 0, 65,535 becomes 255, rounded."""
    deep = np.asarray(picture).astype(np.uint32)
    return ((deep + 128) // 257).clip(max=255).astype(np.uint8)


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white


def png(pixels: Pixels) -> bytes:
    """Return one decoded picture [height, width, channels] as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()
