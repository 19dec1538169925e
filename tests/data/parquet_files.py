"""Real pictures in real Parquet files, made for the tests of this room."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from labelsvc.data.columns import ColumnNames, Columns, find_columns
from labelsvc.data.decoding import DecodedBatch, decode_batches, rows_per_batch
from labelsvc.data.reading import read_batches, read_schema
from labelsvc.records import PictureShape

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGE_PATH_FIRST = pa.struct([("path", pa.string()), ("bytes", pa.binary())])

with_real_data = pytest.mark.skipif(
    "LABELSVC_TEST_DATA" not in os.environ, reason="LABELSVC_TEST_DATA does not name a folder of real data"
)


def real(name: str) -> Path:
    """Return one of the real files, by folder and name."""
    return Path(os.environ["LABELSVC_TEST_DATA"]) / name


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return random pixels."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(pixels: NDArray[Any], kind: str = "PNG", **options: object) -> bytes:
    """Return pixels [height, width] or [height, width, 3 or 4] as an encoded picture."""
    return saved(Image.fromarray(pixels), kind, **options)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return a Pillow picture encoded."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def grey_pngs(count: int, *, side: int = 6, seed: int = 0) -> tuple[NDArray[np.uint8], list[bytes]]:
    """Return ``count`` grey pictures as pixels [count, side, side, 1] and as PNGs."""
    pixels = noise(count, side, side, 1, seed=seed)
    return pixels, [encoded(picture[..., 0]) for picture in pixels]


def images(pictures: Sequence[bytes | None], kind: pa.DataType = IMAGE) -> pa.Array:
    """Return pictures as a column in the Hugging Face convention."""
    return pa.array([{"bytes": data, "path": None} for data in pictures], kind)


def with_class_names(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the table with the metadata that Hugging Face writes for a ClassLabel column ``label``."""
    feature = {"names": list(names), "_type": "ClassLabel"}
    features = {"info": {"features": {"label": feature, "image": {"_type": "Image"}}}}
    return table.replace_schema_metadata({"huggingface": json.dumps(features)})


def written(path: Path, columns: dict[str, Any], *, row_group_size: int | None = None) -> Path:
    """Write columns as a Parquet file and return its path."""
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def picture_file(path: Path, pictures: Sequence[bytes | None], *, row_group_size: int | None = None) -> Path:
    """Write a file with ids and pictures only."""
    ids = [f"{path.stem}-{row}" for row in range(len(pictures))]
    return written(path, {"id": ids, "image": images(pictures)}, row_group_size=row_group_size)


PICTURES_ONLY = Columns("image", "id", None)


ANY = ColumnNames()  # what is found without a word of the user's


def found_columns(path: Path, wanted: ColumnNames = ANY) -> Columns:
    """Find the columns of a file."""
    return find_columns(read_schema(path), wanted, where=str(path))


def decoded(path: Path, shape: PictureShape, wanted: ColumnNames = ANY) -> list[DecodedBatch]:
    """Read a file as ingest does, to the last picture."""
    columns = found_columns(path, wanted)
    return list(decode_batches(read_batches([path], [columns], rows=rows_per_batch(shape)), shape))


def pixels_of(path: Path, shape: PictureShape, wanted: ColumnNames = ANY) -> NDArray[np.uint8]:
    """Return all pictures of a file, each of which decodes."""
    batches = decoded(path, shape, wanted)
    assert [failure for batch in batches for failure in batch.failures] == []
    return np.concatenate([batch.decoded for batch in batches])


def failures_of(path: Path, shape: PictureShape, wanted: ColumnNames = ANY) -> list[tuple[int, str]]:
    """Return the rows of a file that do not decode, with their reasons."""
    batches = decoded(path, shape, wanted)
    return [(failure.row, failure.reason) for batch in batches for failure in batch.failures]


def in_files(folder: Path, pictures: Sequence[bytes]) -> list[str]:
    """Write each picture to a file of its own and return the names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(pictures):
        (folder / f"{number}.png").write_bytes(data)
    return [f"{number}.png" for number in range(len(pictures))]
