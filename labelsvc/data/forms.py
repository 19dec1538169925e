"""The forms that a column of pictures may have, told by its Arrow type.

=========================  =========================================================================
struct{bytes, path}        encoded pictures in either order of the fields; a null ``bytes`` means ``path``
binary                     encoded pictures, of any of Arrow's binary types
text                       paths of encoded pictures, below an image root
fixed_size_binary          raw pixels, one byte each, of a shape that the user tells
FixedSizeList of uint8     raw pixels: flat with a told shape, or nested as height × width (× channels)
fixed_shape_tensor         raw pixels, height × width (× channels)
=========================  =========================================================================

Reads types only, never a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa

from labelsvc.errors import InputError

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA


def is_picture_struct(kind: pa.DataType) -> bool:
    """Say whether a column is Hugging Face's Image: a struct with binary ``bytes``, first or not.

    Where every row has a path instead, writers leave ``bytes`` without a type.
    """
    if not pa.types.is_struct(kind):
        return False
    data = _field(kind, "bytes")
    return data is not None and (is_binary(data) or (pa.types.is_null(data) and has_paths(kind)))


def has_paths(kind: pa.DataType) -> bool:
    """Say whether a struct tells paths of pictures beside their bytes."""
    path = _field(kind, "path")
    return path is not None and is_text(path)


def _field(struct: pa.DataType, name: str) -> pa.DataType | None:
    place = struct.get_field_index(name)
    return struct.field(place).type if place >= 0 else None


def is_binary(kind: pa.DataType) -> bool:
    """Say whether a column holds bytes of any length."""
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column holds strings, as a dictionary or not."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_list_of_pixels(kind: pa.DataType) -> bool:
    """Say whether a column holds raw pixels as Parquet's lists, which are slow to read."""
    return raw_sides(kind) is not None and not pa.types.is_fixed_size_binary(kind)


def raw_sides(kind: pa.DataType) -> tuple[int, ...] | None:
    """Return the sides of the raw bytes in each row of a column, None for any other type.

    One side is a number of bytes whose shape the user has to tell.

    >>> raw_sides(pa.binary(784)), raw_sides(pa.fixed_shape_tensor(pa.uint8(), [28, 28])), raw_sides(pa.binary())
    ((784,), (28, 28), None)
    """
    if pa.types.is_fixed_size_binary(kind):
        return (kind.byte_width,)
    sides: list[int] = []
    if isinstance(kind, pa.FixedShapeTensorType):
        sides, kind = list(kind.shape), kind.value_type
    while pa.types.is_fixed_size_list(kind):
        sides.append(kind.list_size)
        kind = kind.value_type
    return tuple(sides) if sides and pa.types.is_uint8(kind) else None


def knows_its_shape(kind: pa.DataType) -> bool:
    """Say whether a column of raw pixels is a picture by its type alone."""
    sides = raw_sides(kind)
    return sides is not None and _is_shape(sides)


def pixel_shape(kind: pa.DataType, told: Sequence[int] | None, *, column: str) -> tuple[int, int, int]:
    """Return height, width and channels of a column of raw pixels; ``column`` names it and its file in messages.

    Raises:
        InputError: the shape has to be told, is not that of the bytes, or is no picture's.
    """
    sides = raw_sides(kind)
    if sides is None:
        raise AssertionError(f"{column} holds no raw pixels but {kind}")
    if told is not None and not _is_shape(told):
        raise InputError(f"--shape {_flag(told)} for {column} is no picture's; give {_EXPECTED}")
    _refuse_permuted(kind, column)
    if len(sides) == 1:
        sides = _shaped(sides[0], told, column=f"{column} ({kind})")
    if not _is_shape(sides):
        raise InputError(f"the pixels in {column} have the shape {_flag(sides)}; pictures are {_EXPECTED}")
    if told is not None and _full(told) != _full(sides):
        raise InputError(f"the pixels in {column} have the shape {_flag(sides)}, not --shape {_flag(told)}")
    return _full(sides)


_EXPECTED = "HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS, with 1, 3 or 4 channels"


def _shaped(count: int, told: Sequence[int] | None, *, column: str) -> tuple[int, ...]:
    if told is None:
        raise InputError(f"the bytes in {column} need their shape; say it, such as --shape {_flag(_likely(count))}")
    if math.prod(told) != count:
        raise InputError(
            f"--shape {_flag(told)} is {math.prod(told):,} bytes, and {column} has {count:,} in each row; "
            "give the shape of its pictures"
        )
    return tuple(told)


def _likely(count: int) -> tuple[int, ...]:
    """Guess the sides of a square picture, for an example of what to type.

    >>> _likely(784), _likely(3072), _likely(5)
    ((28, 28), (32, 32, 3), (28, 28))
    """
    for channels in CHANNELS:
        side = math.isqrt(count // channels)
        if side and side * side * channels == count:
            return (side, side) if channels == 1 else (side, side, channels)
    return (28, 28)


def _refuse_permuted(kind: pa.DataType, column: str) -> None:
    if isinstance(kind, pa.FixedShapeTensorType) and list(kind.permutation or ()) != sorted(kind.permutation or ()):
        raise InputError(
            f"{column} is a tensor with permuted dimensions {kind.permutation}; write it as height, width, channels"
        )


def _is_shape(sides: Sequence[int]) -> bool:
    return len(sides) in (2, 3) and min(sides) > 0 and (len(sides) == 2 or sides[2] in CHANNELS)


def _full(sides: Sequence[int]) -> tuple[int, int, int]:
    height, width, channels = (*sides, 1)[:3]
    return height, width, channels


def _flag(sides: Sequence[int]) -> str:
    return "x".join(map(str, sides))
