"""Paths of pictures: read below their root, and nothing else is ever opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from labelsvc.data.columns import ColumnNames
from labelsvc.data.pictures import find_shape
from labelsvc.data.reading import read_batches
from labelsvc.errors import InputError
from labelsvc.records import PictureShape

from .parquet_files import IMAGE, encoded, failures_of, found_columns, in_files, noise, pixels_of, written

SHAPE = PictureShape(6, 6, 1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a folder with a picture in it, beside a folder of a similar name with a secret."""
    in_files(tmp_path / "root" / "in", [encoded(noise(6, 6))])
    in_files(tmp_path / "root-2", [encoded(noise(6, 6, seed=1))])
    return tmp_path / "root"


def file_of_paths(folder: Path, *paths: str | None) -> Path:
    """Write structs with a path each, a row in a row group."""
    return written(
        folder / "f.parquet",
        {"image": pa.array([{"bytes": None, "path": path} for path in paths], IMAGE)},
        row_group_size=1,
    )


def link(place: Path, target: str | Path) -> str:
    """Make a symbolic link in the root and return its name."""
    place.symlink_to(target)
    return place.name


OUTSIDE: dict[str, Callable[[Path], str]] = {
    "parent": lambda _root: "../root-2/0.png",
    "parent of a folder": lambda _root: "in/../../root-2/0.png",
    "absolute": lambda root: str(root.parent / "root-2" / "0.png"),
    "of the system": lambda _root: "/etc/hostname",
    "link to a file": lambda root: link(root / "link.png", "../root-2/0.png"),
    "link to a folder": lambda root: link(root / "link", root.parent / "root-2") + "/0.png",
    "link to a link": lambda root: link(root / "second", link(root / "first", "../root-2/0.png")),
    "not there": lambda _root: "../nowhere.png",
    "no path": lambda _root: "in/0.png\0",
}


@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("told", [True, False], ids=["image root", "folder of the file"])
def test_no_path_leads_outside(root: Path, path: Callable[[Path], str], *, told: bool) -> None:
    """A path that leaves its root, by dots, links or from the start, is an error that names file, row and column."""
    folder = root.parent if told else root
    file = file_of_paths(folder, "in/0.png", "in/0.png", path(root))
    columns = found_columns(file, ColumnNames(root=str(root) if told else None))
    with pytest.raises(InputError, match=r"row 2 of .*f\.parquet, column 'image': ") as error:
        list(read_batches([file], [columns]))
    assert repr(path_read(file)) in str(error.value)
    assert find_shape([file], [columns]).looked_at == 2


def path_read(file: Path) -> str:
    """Return the last path of a file."""
    import pyarrow.parquet as pq

    return str(pq.read_table(file)["image"][-1]["path"].as_py())


def test_every_path_inside_is_read(root: Path) -> None:
    """Detours and links that end inside the root, and absolute paths to there, are as good as the plain path."""
    link(root / "link.png", "in/0.png")
    paths = ["in/0.png", "in/../in/./0.png", str(root / "in" / "0.png"), "link.png"]
    file = file_of_paths(root, *paths)
    for wanted in (ColumnNames(), ColumnNames(root=str(root)), ColumnNames(root=str(root / "in" / ".."))):
        assert (pixels_of(file, SHAPE, wanted)[..., 0] == noise(6, 6)).all()


def test_a_root_may_be_a_link(root: Path) -> None:
    """The root itself may be reached through a link: it is the user's word."""
    link(root.parent / "link", "root")
    file = file_of_paths(root.parent, "in/0.png")
    assert len(pixels_of(file, SHAPE, ColumnNames(root=str(root.parent / "link")))) == 1


def test_bytes_go_before_the_path(root: Path) -> None:
    """Where a row has bytes, its path is only a name, wherever it would lead."""
    data = encoded(noise(6, 6, seed=2))
    cells = [{"bytes": data, "path": "../root-2/0.png"}, None, {"bytes": None, "path": "in/0.png"}]
    file = written(root / "f.parquet", {"image": pa.array(cells, IMAGE)})
    (batch,) = read_batches([file], [found_columns(file)])
    assert batch.inputs == [data, None, root / "in" / "0.png"]


@pytest.mark.parametrize("kind", [pa.null(), pa.int64(), pa.list_(pa.string())], ids=str)
def test_a_path_of_another_type_is_none(root: Path, kind: pa.DataType) -> None:
    """What is called path and holds no text is not read."""
    column = pa.array([{"bytes": b"x"}, {"bytes": None}], pa.struct([("path", kind), ("bytes", pa.binary())]))
    file = written(root / "f.parquet", {"image": column})
    (batch,) = read_batches([file], [found_columns(file)])
    assert batch.inputs == [b"x", None]


def test_what_cannot_be_read_fails_alone(root: Path) -> None:
    """A missing file, a folder, a pipe, a loop of links, text or nothing fails its row and names the path."""
    os.mkfifo(root / "pipe")
    link(root / "loop", "loop")
    (root / "text.png").write_text("no picture")
    paths = ["nowhere.png", "in", "pipe", "loop", "in/0.png/x", "text.png", None, "", "in/0.png"]
    failed = failures_of(file_of_paths(root, *paths), SHAPE)
    assert [row for row, _ in failed] == list(range(8))
    reasons = [reason for _, reason in failed]
    assert f"there is no file {root / 'nowhere.png'}" in reasons[0]
    assert "is no file" in reasons[1]
    assert "is no file" in reasons[2]
    assert "the bytes are no PNG" in reasons[5]
    assert "null" in reasons[6]


def test_a_root_that_is_not_there_is_told(root: Path) -> None:
    """A root that does not exist is one error, not one of each row."""
    file = file_of_paths(root, "in/0.png")
    with pytest.raises(InputError, match=r"no folder .*nowhere, where the paths in column 'image' .*--image-root"):
        list(read_batches([file], [found_columns(file, ColumnNames(root=str(root / "nowhere")))]))
