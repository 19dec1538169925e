"""The decoded cache: whole or absent, and the same when written anew."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from labelsvc.data.cache import InputWriter, SourceFile, cache_folder, open_decoded, rebuild, trim
from labelsvc.data.columns import ColumnNames, find_columns
from labelsvc.data.decoding import decode_batches
from labelsvc.data.reading import file_digest, read_batches, read_schema
from labelsvc.errors import InputError
from labelsvc.records import PictureShape
from labelsvc.workspace import Workspace

from .parquet_files import PICTURES_ONLY, grey_pngs, noise, picture_file, real, with_real_data

SHAPE = PictureShape(6, 6, 1)


def source(path: Path) -> SourceFile:
    """Return a file as it was ingested."""
    return SourceFile(path, file_digest(path), PICTURES_ONLY)


def write(folder: Path, rows: int) -> None:
    """Write a cache of some rows."""
    with InputWriter(folder, SHAPE) as writer:
        writer.append(noise(rows, 6, 6, 1))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Appended pictures come back at the positions that append returned, and cannot be changed."""
    pixels = noise(10, 6, 6, 1)
    with InputWriter(tmp_path / "cache" / "d", SHAPE) as writer:
        positions = [writer.append(block) for block in (pixels[:3], pixels[3:3], pixels[3:])]
    opened = open_decoded(tmp_path / "cache" / "d")
    assert positions == [0, 3, 3]
    assert isinstance(opened, np.memmap)
    assert np.array_equal(opened, pixels)
    assert not opened.flags.writeable


def test_slice_of_an_array_is_written_as_it_reads(tmp_path: Path) -> None:
    """Pixels that do not lie contiguously in memory are written in their order."""
    pixels = noise(6, 6, 10, 1).transpose(2, 0, 1, 3)
    with InputWriter(tmp_path / "d", SHAPE) as writer:
        writer.append(pixels)
    assert np.array_equal(open_decoded(tmp_path / "d"), pixels)  # type: ignore[arg-type]


def test_empty_cache_opens(tmp_path: Path) -> None:
    """A dataset of which no row decodes has a cache of no rows."""
    write(tmp_path / "d", 0)
    opened = open_decoded(tmp_path / "d")
    assert opened is not None
    assert opened.shape == (0, 6, 6, 1)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_interrupted_writer_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """A writer that fails leaves neither a folder nor a trace of one."""
    with pytest.raises(error), InputWriter(tmp_path / "d", SHAPE) as writer:
        writer.append(noise(2, 6, 6, 1))
        raise error
    assert list(tmp_path.iterdir()) == []


def test_interrupted_writer_keeps_the_cache_that_was(tmp_path: Path) -> None:
    """A failed second writing leaves the first in place, a successful one replaces it."""
    write(tmp_path / "d", 3)
    with pytest.raises(ValueError), InputWriter(tmp_path / "d", SHAPE):
        raise ValueError
    before = open_decoded(tmp_path / "d")
    assert before is not None
    write(tmp_path / "d", 5)
    after = open_decoded(tmp_path / "d")
    assert after is not None
    assert (len(before), len(after)) == (3, 5)
    assert before.sum() == noise(3, 6, 6, 1).sum()  # who had it open still reads it
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_pictures_of_another_shape_are_our_mistake(tmp_path: Path) -> None:
    """A cache holds pictures of one shape."""
    with pytest.raises(AssertionError, match="in a cache of"), InputWriter(tmp_path / "d", SHAPE) as writer:
        writer.append(noise(2, 6, 7, 1))


@pytest.mark.parametrize("damage", ["no folder", "no meta", "no pixels", "short pixels", "bad meta"])
def test_incomplete_cache_is_no_cache(tmp_path: Path, damage: str) -> None:
    """Whatever is missing or cut short, the cache counts as absent."""
    folder = tmp_path / "d"
    write(folder, 3)
    if damage == "no folder":
        folder = tmp_path / "other"
    elif damage == "bad meta":
        (folder / "meta.json").write_text('{"rows": 3}')
    elif damage == "short pixels":
        (folder / "inputs.bin").write_bytes(b"short")
    else:
        (folder / ("meta.json" if damage == "no meta" else "inputs.bin")).unlink()
    assert open_decoded(folder) is None


def test_rebuilt_cache_equals_the_first(tmp_path: Path) -> None:
    """Written anew, every picture that decodes is where it was, over files and failures."""
    pixels, pngs = grey_pngs(12)
    files = [
        picture_file(tmp_path / "a.parquet", [*pngs[:5], b"broken"], row_group_size=2),
        picture_file(tmp_path / "b.parquet", [None, *pngs[5:]], row_group_size=3),
    ]
    opened = rebuild(tmp_path / "d", [source(file) for file in files], shape=SHAPE, rows=12)
    assert np.array_equal(opened, pixels)


def test_source_that_is_gone_cannot_be_rebuilt(tmp_path: Path) -> None:
    """A missing source is named, and nothing is written."""
    ingested = source(picture_file(tmp_path / "a.parquet", grey_pngs(3)[1]))
    ingested.path.unlink()
    with pytest.raises(InputError, match=r"a\.parquet is gone.*put the file back"):
        rebuild(tmp_path / "d", [ingested], shape=SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_source_that_changed_cannot_be_rebuilt(tmp_path: Path) -> None:
    """A source of other bytes than were ingested is named, and nothing is written."""
    ingested = source(picture_file(tmp_path / "a.parquet", grey_pngs(3)[1]))
    picture_file(ingested.path, grey_pngs(3, seed=1)[1])
    with pytest.raises(InputError, match=r"a\.parquet changed since it was ingested"):
        rebuild(tmp_path / "d", [ingested], shape=SHAPE)
    assert open_decoded(tmp_path / "d") is None


def test_other_number_of_pictures_cannot_be_rebuilt(tmp_path: Path) -> None:
    """Where other rows decode than at ingest, positions would shift: that is an error."""
    ingested = source(picture_file(tmp_path / "a.parquet", grey_pngs(3)[1]))
    with pytest.raises(InputError, match=r"3 rows of .* can be decoded now, 4 could"):
        rebuild(tmp_path / "d", [ingested], shape=SHAPE, rows=4)
    assert open_decoded(tmp_path / "d") is None


def test_trim_removes_the_least_recently_used(tmp_path: Path) -> None:
    """Folders go oldest use first until the rest fits; opening one counts as use, kept ones stay."""
    workspace = Workspace(tmp_path)
    names = ["a", "b", "c", "d"]
    for age, name in enumerate(reversed(names)):
        write(cache_folder(workspace, name), 100)
        for file in cache_folder(workspace, name).iterdir():
            os.utime(file, (time.time() - 1000 * (age + 1),) * 2)
    open_decoded(cache_folder(workspace, "a"))
    assert trim(workspace, 10**6) == ()
    assert trim(workspace, 8000, keep=["b"]) == ("c", "d")
    assert {path.name for path in workspace.cache_path.iterdir()} == {"a", "b"}
    assert trim(workspace, 0, keep=["b"]) == ("a",)


def test_trim_sweeps_what_a_killed_writer_left(tmp_path: Path) -> None:
    """A folder that never got its name goes after a day, not while it may still be written."""
    workspace = Workspace(tmp_path)
    fresh, old = workspace.cache_path / ".x.1", workspace.cache_path / ".x.2"
    for folder in (fresh, old):
        folder.mkdir(parents=True)
        (folder / "inputs.bin").write_bytes(b"half")
    os.utime(old / "inputs.bin", (time.time() - 100_000,) * 2)
    assert trim(workspace, 0) == (".x.2",)
    assert fresh.exists()


def test_trim_without_a_cache_does_nothing(tmp_path: Path) -> None:
    """A workspace that never decoded anything has nothing to trim."""
    assert trim(Workspace(tmp_path / "nothing"), 0) == ()


@with_real_data
def test_real_cache_equals_direct_decoding(tmp_path: Path) -> None:
    """The cache of a real file holds what decoding it gives."""
    file, shape = real("mnist/labeled_1000.parquet"), PictureShape(28, 28, 1)
    columns = find_columns(read_schema(file), ColumnNames(), where="mnist")
    opened = rebuild(tmp_path / "d", [SourceFile(file, file_digest(file), columns)], shape=shape, rows=1000)
    direct = [batch.decoded for batch in decode_batches(read_batches([file], [columns]), shape)]
    assert np.array_equal(opened, np.concatenate(direct))
