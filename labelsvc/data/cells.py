"""The cells of a picture column as pictures: encoded bytes, paths that lie inside their root, or raw pixels.

Opens no picture. Raw pixels are not copied: they are views of the column's own bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from labelsvc.data import forms
from labelsvc.data.columns import Columns
from labelsvc.data.remote import Location, Remote
from labelsvc.errors import InputError, PictureError
from labelsvc.records import PictureShape, Pixels

Picture: TypeAlias = bytes | Location | Pixels  # encoded; in a file of its own; [height, width, channels] of 1, 3 or 4
Cell: TypeAlias = Picture | PictureError | None  # a row's picture; why it may not be read; null


@dataclass(frozen=True, eq=False)
class RawPictures(Sequence[Cell]):
    """The raw pixels of consecutive rows, a view of their column; ``whole`` [rows] says which have no null in them."""

    pixels: Pixels
    whole: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pixels)

    @overload
    def __getitem__(self, row: int) -> Cell: ...
    @overload
    def __getitem__(self, row: slice) -> RawPictures: ...
    def __getitem__(self, row: int | slice) -> Cell | RawPictures:
        if isinstance(row, slice):
            return RawPictures(self.pixels[row], self.whole[row])
        return self.pixels[row] if self.whole[row] else None

    def are(self, shape: PictureShape) -> bool:
        """Say whether all of them are there, in ``shape``."""
        return self.pixels.shape[1:] == (shape.height, shape.width, shape.channels) and bool(self.whole.all())


@dataclass(frozen=True)
class Place:
    """Where a value lies, for messages."""

    file: Location
    column: str
    first_row: int

    def __str__(self) -> str:
        return f"column {self.column!r} of {self.file}"

    def row(self, bad: pa.Array) -> str:
        """Name the first row for which ``bad`` is true."""
        return self.at(bad.index(True).as_py())

    def at(self, row: int) -> str:
        """Name a row by its place in the batch."""
        return f"row {self.first_row + row} of {self.file}, column {self.column!r}"


def pictures(column: pa.Array, columns: Columns, place: Place) -> Sequence[Cell]:
    """Return the pictures of a column's rows; a path that leads outside its root is an error in its row's place.

    Raises:
        InputError: the root is not there, or the pixels are not of the told shape.
    """
    if pa.types.is_struct(column.type):
        return _bytes_or_paths(column, columns, place)
    if forms.is_text(column.type):
        return _paths(column.to_pylist(), _root(columns, place), place)
    if forms.raw_sides(column.type) is not None:
        return _raw(column, forms.pixel_shape(column.type, columns.shape, column=str(place)))
    encoded: list[Cell] = column.to_pylist()
    return encoded


def _bytes_or_paths(column: pa.Array, columns: Columns, place: Place) -> list[Cell]:
    encoded: list[Cell] = pc.struct_field(column, "bytes").to_pylist()  # null where the struct is
    if None not in encoded or not forms.has_paths(column.type):
        return encoded
    texts = pc.struct_field(column, "path").to_pylist()
    wanted = [text if data is None else None for data, text in zip(encoded, texts, strict=True)]
    found = _paths(wanted, _root(columns, place), place) if any(wanted) else wanted
    return [path if data is None else data for data, path in zip(encoded, found, strict=True)]


def _root(columns: Columns, place: Place) -> Location:
    """Return the only folder below which pictures are read, without symbolic links in its path.

    Raises:
        InputError: there is no such folder.
    """
    if columns.root is None:
        return place.file.parent if isinstance(place.file, Remote) else place.file.resolve().parent
    if isinstance(columns.root, Remote):
        return columns.root
    if not Path(columns.root).is_dir():
        raise InputError(f"there is no folder {columns.root}, where the paths in {place} start; see --image-root")
    return Path(columns.root).resolve()


def _paths(texts: Sequence[str | None], root: Location, place: Place) -> list[Cell]:
    if isinstance(root, Remote):
        return [_below(root, text, place.at(row)) if text else None for row, text in enumerate(texts)]
    return [_inside(root, text, place.at(row)) if text else None for row, text in enumerate(texts)]


def _inside(root: Path, text: str, where: str) -> Path | PictureError:
    """Return where a path leads, links followed and ``..`` resolved, if that is below ``root``."""
    try:
        path = Path(os.path.realpath(root / text))  # unlike resolve, it leaves loops of links to whoever opens them
    except ValueError as error:
        return PictureError(f"{where}: {text!r} is no path of a picture ({error})")
    if not path.is_relative_to(root):
        return PictureError(
            f"{where}: the path {text!r} leads outside {root}, and nothing outside is read; correct the path, "
            "or name the folder of pictures with --image-root"
        )
    return path


def _below(root: Remote, text: str, where: str) -> Remote | PictureError:
    """Return where a path leads in a store, if that is below ``root``."""
    if text.startswith("/") or ".." in PurePosixPath(text).parts:
        return PictureError(f"{where}: the path {text!r} leads outside {root}, and nothing outside is read; correct it")
    return root / text


def _raw(column: pa.Array, shape: tuple[int, int, int]) -> Sequence[Cell]:
    if not len(column):
        return []
    values, complete = _values(column)
    return RawPictures(values.reshape(len(column), *shape), complete)


def _values(column: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the bytes of all rows on end, and which rows have no null in them."""
    layer = column.storage if isinstance(column, pa.ExtensionArray) else column
    complete = _valid(layer)
    while pa.types.is_fixed_size_list(layer.type):
        layer = _items(layer)
        if layer.null_count:
            complete = complete & _valid(layer).reshape(len(column), -1).all(axis=1)
    width = layer.type.byte_width
    data = np.frombuffer(layer.buffers()[1], np.uint8)
    return data[layer.offset * width : (layer.offset + len(layer)) * width], complete


def _items(lists: pa.FixedSizeListArray) -> pa.Array:
    """Return the items of all lists, those of null lists too, which ``flatten`` would drop."""
    size = lists.type.list_size
    return lists.values.slice(lists.offset * size, len(lists) * size)


def _valid(column: pa.Array) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    return valid
