"""A folder of pictures as a Parquet file: its bytes, its paths and its labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc.data import packing
from labelsvc.data.columns import Columns
from labelsvc.data.packing import find_pictures, pack
from labelsvc.errors import InputError

from .parquet_files import found_columns, written

PLACES = (
    "loose.png",
    "cat/1.JPG",
    "cat/old/2.jpeg",
    "cat/.hidden.png",
    "dog/1.jpg",
    "dog/3.webp",
    "dog/notes.txt",
    ".git/4.png",
    "labels.xml",
)
NAMES = ["cat/1.JPG", "cat/old/2.jpeg", "dog/1.jpg", "dog/3.webp", "loose.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of pictures whose bytes say their path, with other files and hidden ones among them."""
    for place in PLACES:
        (tmp_path / "pictures" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / place).write_text(place)
    return tmp_path / "pictures"


def packed(folder: Path, labels: Path | None = None) -> pa.Table:
    """Pack a folder and read the file."""
    target = folder.parent / "out" / "packed.parquet"
    assert list(pack(find_pictures(folder, labels), target))
    assert [path.name for path in target.parent.iterdir()] == ["packed.parquet"]
    return pq.read_table(target)


def csv(folder: Path, labels: Mapping[str, str], key: str = "path") -> Path:
    """Write a CSV of labels beside the folder."""
    path = folder.parent / "labels.csv"
    path.write_text(f"{key},label\n" + "".join(f"{name},{label}\n" for name, label in labels.items()))
    return path


def test_bytes_paths_and_class_folders(folder: Path) -> None:
    """Every picture is a row, with its path as id, its bytes as they are, and the first folder as label."""
    table = packed(folder)
    assert table["id"].to_pylist() == NAMES
    assert table["label"].to_pylist() == ["cat", "cat", "dog", "dog", None]
    cells = table["image"].to_pylist()
    assert [cell["bytes"].decode() for cell in cells] == NAMES
    assert [cell["path"] for cell in cells] == ["1.JPG", "2.jpeg", "1.jpg", "3.webp", "loose.png"]


def test_other_files_are_told_and_hidden_ones_are_not(folder: Path) -> None:
    """What is visible and no picture is listed; classes are those of pictures."""
    found = find_pictures(folder)
    assert [path.relative_to(folder).as_posix() for path in found.others] == ["dog/notes.txt", "labels.xml"]
    assert found.classes == ("cat", "dog")


def test_the_file_tells_hugging_face_and_us_what_it_is(folder: Path) -> None:
    """The metadata names an Image and two strings, and our own reader finds all three columns."""
    table = packed(folder)
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert {name: feature["_type"] for name, feature in features.items()} == {
        "id": "Value",
        "image": "Image",
        "label": "Value",
    }
    assert found_columns(folder.parent / "out" / "packed.parquet") == Columns("image", "id", "label")


def test_row_groups_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row group has a bounded number of rows and of bytes, and at least one picture however large."""
    (folder / "cat" / "large.png").write_bytes(bytes(100))
    monkeypatch.setattr(packing, "GROUP_BYTES", 30)
    target = folder.parent / "f.parquet"
    assert list(pack(find_pictures(folder), target)) == [1, 2, 4, 6]
    monkeypatch.setattr(packing, "GROUP_BYTES", 1 << 20)
    monkeypatch.setattr(packing, "GROUP_ROWS", 4)
    assert list(pack(find_pictures(folder), target)) == [4, 6]
    metadata = pq.ParquetFile(target).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [4, 2]
    assert metadata.row_group(0).column(1).compression == "ZSTD"


def test_links_are_followed_and_loops_are_not(folder: Path, tmp_path: Path) -> None:
    """Linked pictures and class folders belong to the folder; a link to where one came from ends there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "5.png").write_text("bird/5.png")
    (folder / "bird").symlink_to(tmp_path / "elsewhere")
    (folder / "cat" / "up").symlink_to(folder)
    (folder / "dog" / "0.png").symlink_to(tmp_path / "elsewhere" / "5.png")
    found = find_pictures(folder)
    assert list(found.names) == ["bird/5.png", *NAMES[:2], "dog/0.png", *NAMES[2:]]
    assert found.classes == ("bird", "cat", "dog")


@pytest.mark.parametrize("key", ["path", "file", "filename", "file_name", "id"])
def test_a_file_of_labels_names_pictures(folder: Path, key: str) -> None:
    """Labels come by path, unique file name or unique stem; pictures that the file leaves out have none."""
    labels = csv(folder, {"./cat/1.JPG": "tabby", "2.jpeg": "tiger", "3": "poodle", "loose.png": ""}, key)
    table = packed(folder, labels)
    assert table["label"].to_pylist() == ["tabby", "tiger", None, "poodle", None]


def test_labels_may_be_parquet(folder: Path) -> None:
    """A Parquet file of labels is read by the same rules."""
    labels = written(folder.parent / "labels.parquet", {"id": NAMES, "label": [1, None, 2, 3, 1]})
    assert packed(folder, labels)["label"].to_pylist() == ["1", None, "2", "3", "1"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (dict.fromkeys("wxyz", "a"), "labels.csv names 4 pictures that are not in the folder: 'w', 'x', 'y'; correct"),
        ({"1": "a"}, "names '1', which may be any of cat/1.JPG, dog/1.jpg; write the path"),
        ({"cat/1.JPG": "a", "1.JPG": "b"}, "gives 'cat/1.JPG' two labels, 'a' and 'b'"),
        ({"": "a"}, "row 0 of .*labels.csv, column 'path': the id is null"),
    ],
)
def test_labels_of_no_picture_are_an_error(folder: Path, labels: dict[str, str], words: str) -> None:
    """A label that belongs to no picture, or to none in particular, is refused, naming it."""
    with pytest.raises(InputError, match=words):
        find_pictures(folder, csv(folder, labels))


def test_nothing_to_pack_is_told(folder: Path) -> None:
    """No folder, a file, and a folder without a picture are errors that say which."""
    for name, words in [("nowhere", "is no folder"), ("loose.png", "is no folder"), ("none", "holds no picture")]:
        (folder / "none").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=words):
            find_pictures(folder / name)


def test_a_picture_that_cannot_be_read_leaves_no_file(folder: Path) -> None:
    """A picture that goes away, or is none, is named; the file that was there stays."""
    target = folder.parent / "f.parquet"
    target.write_text("before")
    (folder / "zebra.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"there is no file .*zebra\.png"):
        list(pack(find_pictures(folder), target))
    assert target.read_text() == "before"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["f.parquet", "pictures"]
