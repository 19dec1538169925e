"""Every form of picture that a Parquet file may hold comes out as the same pixels, or is refused in one clear line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from labelsvc.data.cache import SourceFile, rebuild
from labelsvc.data.columns import ColumnNames, Columns, raw_note
from labelsvc.data.decoding import content_hash
from labelsvc.data.pictures import find_shape
from labelsvc.data.reading import file_digest, read_schema
from labelsvc.errors import InputError
from labelsvc.records import PictureShape

from .parquet_files import (
    ANY,
    IMAGE,
    IMAGE_PATH_FIRST,
    decoded,
    encoded,
    failures_of,
    found_columns,
    images,
    in_files,
    noise,
    pixels_of,
    real,
    saved,
    with_real_data,
    written,
)

SIDES = PictureShape(6, 8, 3)
GREY = PictureShape(6, 8, 1)
TWO_BY_TWO = ColumnNames(shape=(2, 2))


@dataclass(frozen=True)
class Form:
    """How a column holds pictures, and what has to be told of it."""

    column: Callable[[Path, NDArray[np.uint8]], pa.Array]
    name: str = "image"
    wanted: Callable[[Path], ColumnNames] = field(default=lambda _folder: ANY)
    encodes: bool = True


def pngs(pixels: NDArray[np.uint8]) -> list[bytes]:
    """Return pictures as PNGs."""
    return [encoded(picture) for picture in pixels]


def as_struct(kind: pa.DataType) -> Form:
    """Return the Hugging Face convention, with the fields in an order."""
    return Form(lambda _folder, pixels: images(pngs(pixels), kind))


def as_binary(kind: pa.DataType) -> Form:
    """Return encoded bytes of one of Arrow's types."""
    return Form(lambda _folder, pixels: pa.array(pngs(pixels), kind))


def paths_in_struct(bytes_kind: pa.DataType) -> Form:
    """Return structs in which only the path is told, in the Parquet file's folder."""
    kind = pa.struct([("bytes", bytes_kind), ("path", pa.string())])

    def column(folder: Path, pixels: NDArray[np.uint8]) -> pa.Array:
        return pa.array([{"bytes": None, "path": name} for name in in_files(folder, pngs(pixels))], kind)

    return Form(column)


def as_paths(kind: pa.DataType) -> Form:
    """Return a column of paths below an image root."""

    def column(folder: Path, pixels: NDArray[np.uint8]) -> pa.Array:
        return pa.array(in_files(folder / "pictures", pngs(pixels)), pa.string()).cast(kind)

    return Form(column, "file_name", lambda folder: ColumnNames(root=str(folder / "pictures")))


def flat_list(_folder: Path, pixels: NDArray[np.uint8]) -> pa.Array:
    """Return pixels as one list each."""
    return pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), pixels[0].size)


def nested_list(_folder: Path, pixels: NDArray[np.uint8]) -> pa.Array:
    """Return pixels as lists of lists of lists."""
    values = pa.array(pixels.ravel())
    for size in reversed(pixels.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    return values


def bytes_of_one_width(_folder: Path, pixels: NDArray[np.uint8]) -> pa.Array:
    """Return pixels as bytes without any frame."""
    return pa.array([picture.tobytes() for picture in pixels], pa.binary(pixels[0].size))


def tensor(_folder: Path, pixels: NDArray[np.uint8]) -> pa.Array:
    """Return pixels as Arrow's tensors."""
    return pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)


def flat_tensor(_folder: Path, pixels: NDArray[np.uint8]) -> pa.Array:
    """Return pixels as Arrow's tensors of one dimension."""
    return pa.FixedShapeTensorArray.from_numpy_ndarray(pixels.reshape(len(pixels), -1))


def told_shape(_folder: Path) -> ColumnNames:
    """Return what --shape 6x8x3 tells."""
    return ColumnNames(shape=(6, 8, 3))


FORMS: dict[str, Form] = {
    "struct": as_struct(IMAGE),
    "struct, path first": as_struct(IMAGE_PATH_FIRST),
    "struct of large binary": as_struct(pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])),
    "struct without a path": as_struct(pa.struct([("bytes", pa.binary())])),
    "binary": as_binary(pa.binary()),
    "large binary": as_binary(pa.large_binary()),
    "binary view": as_binary(pa.binary_view()),
    "paths in structs": paths_in_struct(pa.binary()),
    "paths in structs without bytes": paths_in_struct(pa.null()),
    "paths": as_paths(pa.string()),
    "large paths": as_paths(pa.large_string()),
    "path views": as_paths(pa.string_view()),
    "paths in a dictionary": as_paths(pa.dictionary(pa.int32(), pa.string())),
    "fixed-size binary": Form(bytes_of_one_width, wanted=told_shape, encodes=False),
    "flat list": Form(flat_list, wanted=told_shape, encodes=False),
    "nested list": Form(nested_list, encodes=False),
    "tensor": Form(tensor, encodes=False),
    "flat tensor": Form(flat_tensor, wanted=told_shape, encodes=False),
}


def file_in_form(form: Form, folder: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write pictures in a form, in row groups of five, as a dataset has them beside other columns."""
    columns = {"id": list(range(len(pixels))), form.name: form.column(folder, pixels), "note": ["x"] * len(pixels)}
    return written(folder / "f.parquet", columns, row_group_size=5)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_its_pixels(tmp_path: Path, form: Form) -> None:
    """Whatever the type of the column, its pictures are found, have their shape, and decode to their pixels."""
    pixels = noise(12, 6, 8, 3)
    file = file_in_form(form, tmp_path, pixels)
    wanted = form.wanted(tmp_path)
    assert found_columns(file, wanted).image == form.name
    assert find_shape([file], [found_columns(file, wanted)]).shape == SIDES
    assert np.array_equal(pixels_of(file, SIDES, wanted), pixels)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_has_the_hash_of_its_bytes(tmp_path: Path, form: Form) -> None:
    """Content is known by the encoded bytes, wherever they lie, or by the raw pixels."""
    pixels = noise(3, 6, 8, 3)
    (batch,) = decoded(file_in_form(form, tmp_path, pixels), SIDES, form.wanted(tmp_path))
    contents = pngs(pixels) if form.encodes else [picture.tobytes() for picture in pixels]
    assert batch.hashes == [content_hash(content) for content in contents]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_can_be_decoded_again(tmp_path: Path, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store keeps of a file's columns, as JSON, is enough to build its cache anew, from any folder."""
    pixels = noise(12, 6, 8, 3)
    file = file_in_form(form, tmp_path, pixels)
    monkeypatch.chdir(tmp_path)
    wanted = form.wanted(Path())
    kept = Columns(**json.loads(json.dumps(asdict(found_columns(file, wanted)))))
    assert kept == found_columns(file, wanted)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    opened = rebuild(tmp_path / "cache", [SourceFile(file, file_digest(file), kept)], shape=SIDES, rows=12)
    assert np.array_equal(opened, pixels)


@pytest.mark.parametrize("form", [form for form in FORMS.values() if not form.encodes])
@pytest.mark.parametrize("channels", [1, 4])
def test_raw_pixels_are_squeezed_as_encoded_ones(tmp_path: Path, form: Form, channels: int) -> None:
    """Raw pixels of another size or number of channels become what the same picture as PNG becomes."""
    pixels = noise(3, 9, 7, channels)
    wanted = ColumnNames(shape=(9, 7, channels)) if form.wanted(tmp_path) != ANY else ANY
    file = file_in_form(form, tmp_path, pixels)
    encodings = [encoded(picture[..., 0] if channels == 1 else picture) for picture in pixels]
    same = written(tmp_path / "same.parquet", {"image": encodings})
    for shape in (SIDES, GREY, PictureShape(9, 7, 1), PictureShape(9, 7, 3)):
        assert np.array_equal(pixels_of(file, shape, wanted), pixels_of(same, shape))


@pytest.mark.parametrize("form", ["fixed-size binary", "flat list", "nested list", "tensor"])
def test_two_sides_are_grey(tmp_path: Path, form: str) -> None:
    """Raw pixels of height and width alone are grey."""
    pixels = noise(7, 6, 8)
    wanted = ColumnNames(shape=(6, 8)) if FORMS[form].wanted(tmp_path) != ANY else ANY
    file = file_in_form(FORMS[form], tmp_path, pixels)
    assert find_shape([file], [found_columns(file, wanted)]).shape == GREY
    assert np.array_equal(pixels_of(file, GREY, wanted)[..., 0], pixels)


def test_a_row_of_raw_pixels_may_be_null(tmp_path: Path) -> None:
    """A raw row that is null, or has a null among its pixels, fails alone."""
    rows = [[1, 2, 3, 4], None, [5, 6, None, 8], [9, 10, 11, 12]]
    for number, kind in enumerate([pa.list_(pa.uint8(), 4), pa.binary(4)]):
        cells = [row and bytes(value or 0 for value in row) for row in rows] if number else rows
        file = written(tmp_path / f"{number}.parquet", {"image": pa.array(cells, kind)})
        failed = [row for row, _ in failures_of(file, PictureShape(2, 2, 1), TWO_BY_TWO)]
        assert failed == ([1] if number else [1, 2])
        last = decoded(file, PictureShape(2, 2, 1), TWO_BY_TWO)[-1].decoded[-1]
        assert last.ravel().tolist() == [9, 10, 11, 12]
    nothing = written(tmp_path / "nothing.parquet", {"image": pa.array([None, None], pa.binary(4))})
    assert len(failures_of(nothing, PictureShape(2, 2, 1), TWO_BY_TWO)) == 2


def test_several_sizes_get_the_wanted_size(tmp_path: Path) -> None:
    """With --size all pictures get that size, whatever theirs; without it several sizes get a common one."""
    file = written(tmp_path / "f.parquet", {"image": pngs(noise(2, 9, 7, 3)) + pngs(noise(2, 5, 5, 3))})
    columns = found_columns(file)
    found = find_shape([file], [columns], size=(10, 20))
    assert (found.shape, found.sizes) == (PictureShape(10, 20, 3), 2)
    assert find_shape([file], [columns]).shape == PictureShape(64, 64, 3)


@pytest.mark.parametrize("name", ["flat list", "nested list", "tensor", "fixed-size binary", "struct"])
def test_slow_forms_are_noted(tmp_path: Path, name: str) -> None:
    """Whoever brings raw pixels as lists hears what it costs and what is faster; others hear nothing."""
    file = file_in_form(FORMS[name], tmp_path, noise(2, 6, 8, 3))
    note = raw_note(read_schema(file), found_columns(file, FORMS[name].wanted(tmp_path)))
    if name in ("fixed-size binary", "struct"):
        assert note is None
    else:
        assert note is not None
        assert "fixed_size_binary[144]" in note
        assert "0.44 GB/s" in note


def refused(columns: dict[str, Any], folder: Path, wanted: ColumnNames) -> str:
    """Return in which words a file is refused."""
    file = written(folder / "f.parquet", columns)
    with pytest.raises(InputError) as error:
        decoded(file, SIDES, wanted)
    message = str(error.value)
    assert "f.parquet" in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("kind", "wanted", "words"),
    [
        (pa.binary(144), ANY, "such as --shape 12x12"),
        (pa.binary(784), ColumnNames(image="image"), "--shape 28x28"),
        (pa.list_(pa.uint8(), 3072), ANY, "--shape 32x32x3"),
        (pa.binary(144), ColumnNames(shape=(6, 8)), "--shape 6x8 is 48 bytes.*144 in each row"),
        (pa.binary(144), ColumnNames(shape=(12, 6, 2)), "--shape 12x6x2 for column 'image' of .* is no picture's"),
        (
            pa.fixed_shape_tensor(pa.uint8(), [3, 6, 8]),
            ColumnNames(image="image"),
            "the shape 3x6x8; pictures are HEIGHT",
        ),
        (pa.fixed_shape_tensor(pa.uint8(), [6, 8]), ColumnNames(shape=(8, 6)), "the shape 6x8, not --shape 8x6"),
        (pa.fixed_shape_tensor(pa.uint8(), [6, 8], permutation=[1, 0]), ANY, "permuted dimensions"),
        (pa.fixed_shape_tensor(pa.float32(), [6, 8]), ColumnNames(image="image"), "pictures are encoded bytes"),
        (pa.list_(pa.uint8()), ColumnNames(image="image"), "pictures are encoded bytes"),
        (pa.string(), ColumnNames(image="image"), "--image-root FOLDER"),
    ],
)
def test_an_unfit_column_of_pictures_is_explained(
    tmp_path: Path, kind: pa.DataType, wanted: ColumnNames, words: str
) -> None:
    """A column that cannot be read as pictures is refused by name, with what would help."""
    storage = kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind
    column = pa.array([None], storage)
    if storage is not kind:
        column = pa.ExtensionArray.from_storage(kind, column)
    message = refused({"image": column}, tmp_path, wanted)
    assert re.search(words, message), message
    assert "image" in message


def test_a_damaged_picture_fails_alone(tmp_path: Path) -> None:
    """Bytes that break off in the middle of a file fail their row; all others come out."""
    pictures = pngs(noise(9, 6, 8, 3))
    pictures[4] = pictures[4][:50]
    file = written(tmp_path / "f.parquet", {"id": [f"row {row}" for row in range(9)], "image": pictures})
    batches = decoded(file, SIDES)
    assert sum(len(batch.decoded) for batch in batches) == 8
    (failure,) = chain.from_iterable(batch.failures for batch in batches)
    assert (failure.row, failure.id) == (4, "row 4")
    assert "cannot be decoded" in failure.reason


def test_a_decompression_bomb_fails_alone(tmp_path: Path) -> None:
    """A few kilobytes that would become gigabytes are refused before they do, as a failure of their row."""
    bomb = saved(Image.new("1", (14_000, 13_000)))
    assert len(bomb) < 100_000
    file = written(tmp_path / "f.parquet", {"image": [*pngs(noise(2, 6, 8, 3)), bomb]})
    ((row, reason),) = failures_of(file, SIDES)
    assert row == 2
    assert "pixels" in reason


@with_real_data
def test_real_raw_digits_are_the_real_pngs() -> None:
    """MNIST's ten thousand test digits are the same arrays, ids and labels as tensors and as PNGs."""
    raw, png = (decoded(real(f"mnist/{name}.parquet"), PictureShape(28, 28, 1)) for name in ("test_raw", "test"))
    assert np.array_equal(*(np.concatenate([batch.decoded for batch in batches]) for batches in (raw, png)))
    for part in ("ids", "labels"):
        assert [getattr(batch, part) for batch in raw] == [getattr(batch, part) for batch in png]
