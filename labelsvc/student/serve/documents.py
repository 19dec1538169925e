"""JSON from strangers: one object, without NaN, not too deep; and pixels as lists of numbers in it.

Pure functions; what they do not take is refused with 400.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, NoReturn

from labelsvc.student.serve.asgi import RefusedError


def read_object(text: bytes | memoryview) -> dict[str, Any]:
    """Return the JSON object that ``text`` is.

    Raises:
        RefusedError: it is none.

    >>> read_object(b'{"rows": [[0, 255]]}')
    {'rows': [[0, 255]]}
    """
    try:
        found = _DECODER.decode(str(text, "utf-8"))
    except RecursionError:
        raise RefusedError(400, "the JSON is nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError, and an integer of thousands of digits, are ValueErrors too
        raise RefusedError(400, f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise RefusedError(400, "the JSON must be an object {…}")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON's")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def pixels_of(values: object, shapes: Sequence[tuple[int, ...]], what: str) -> bytes:
    """Return the bytes that nested lists of integers from 0 to 255 hold, in order; their shape is one of ``shapes``.

    Raises:
        RefusedError: they have another shape, are ragged, or hold anything else; ``what`` names them.

    >>> list(pixels_of([[1, 2], [3, 4]], [(2, 2), (4,)], "data"))
    [1, 2, 3, 4]
    """
    if not isinstance(values, list):
        raise RefusedError(400, f"{what} must be a list of pixels")
    numbers, shape = _flattened(values, what)
    if shape not in shapes:
        wanted = " or ".join(map(shown, shapes))
        raise RefusedError(400, f"{what} has the shape {shown(shape)}; it must be {wanted}")
    if not set(map(type, numbers)) <= {int}:  # True would pass for 1
        raise RefusedError(400, f"{what} must hold whole numbers from 0 to 255, and nothing else")
    try:
        return bytes(numbers)
    except (ValueError, OverflowError):
        raise RefusedError(400, f"{what} must hold whole numbers from 0 to 255") from None


def _flattened(values: list[Any], what: str) -> tuple[list[Any], tuple[int, ...]]:
    """Return what nested lists hold, and their shape."""
    shape = [len(values)]
    while values and isinstance(values[0], list):
        lengths = {len(part) if isinstance(part, list) else None for part in values}
        if len(lengths) > 1:
            raise RefusedError(400, f"{what} is ragged: its lists differ in length at depth {len(shape)}")
        shape.append(len(values[0]))
        values = list(chain.from_iterable(values))
    return values, tuple(shape)


def shown(shape: Sequence[int]) -> str:
    """Return a shape as people write it.

    >>> shown((1, 28, 28, 1))
    '[1, 28, 28, 1]'
    """
    sides = [str(side) for side in shape[:6]]
    return f"[{', '.join([*sides, '…'] if len(shape) > 6 else sides)}]"
