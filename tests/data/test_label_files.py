"""Files of ids and labels, as Parquet and as CSV."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc.data.label_files import read_labels
from labelsvc.errors import InputError

from .parquet_files import with_class_names, written


def csv(path: Path, text: str) -> Path:
    """Write a CSV file."""
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("suffix", ["csv", "CSV", "parquet"])
def test_both_kinds_say_the_same(tmp_path: Path, suffix: str) -> None:
    """Ids and labels are text in their order, whatever else the file holds; its digest is that of its bytes."""
    file = tmp_path / f"labels.{suffix}"
    if suffix == "parquet":
        written(file, {"note": [1, 2, 3], "label": ["cat", None, "7"], "id": ["x", "y", "007"]})
    else:
        csv(file, 'note,label,id\n1,cat,x\n"two, lines\nlong",,y\n3,7,007\n')
    found = read_labels(file)
    assert (found.ids, found.labels) == (["x", "y", "007"], ["cat", None, "7"])
    assert found.digest == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("labels", "missing", "names"),
    [
        ([0, -1, None], None, ["0", "-1", None]),
        ([0, -1, None], "-1", ["0", None, None]),
        ([1.0, float("nan"), 2.0], None, ["1", None, "2"]),
        ([True, False, None], None, ["true", "false", None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "b", ["a", None, "a"]),
        (["", "a", "b"], None, ["", "a", "b"]),
        (["", "a", "b"], "", [None, "a", "b"]),
    ],
)
def test_labels_follow_the_rules_for_columns(tmp_path: Path, labels: Any, missing: str, names: list[str]) -> None:  # noqa: ANN401
    """Types, and the label that means none, are as beside pictures."""
    file = written(tmp_path / "labels.parquet", {"id": [1, 2, 3], "label": labels})
    assert read_labels(file, missing).labels == names


def test_codes_become_names(tmp_path: Path) -> None:
    """Hugging Face's codes are read by name."""
    table = with_class_names(pa.table({"id": [1, 2, 3], "label": [1, -1, 0]}), ["cat", "dog"])
    pq.write_table(table, tmp_path / "labels.parquet")
    assert read_labels(tmp_path / "labels.parquet").labels == ["dog", None, "cat"]


def test_csv_is_text(tmp_path: Path) -> None:
    """In CSV nothing is a number; a field of nothing is null, and one of quotes is an empty text."""
    file = csv(tmp_path / "labels.csv", '\ufeffid,label\r\n01,1.0\r\n02,\r\n03,""\r\n04,NA\r\n05,true\r\n')
    assert read_labels(file).labels == ["1.0", None, "", "NA", "true"]
    assert read_labels(file, "").labels == ["1.0", None, None, "NA", "true"]
    assert read_labels(file, "NA").ids == ["01", "02", "03", "04", "05"]


def test_an_id_may_come_again_with_its_label(tmp_path: Path) -> None:
    """An id that comes twice counts once; a row without a label takes none away."""
    file = csv(tmp_path / "labels.csv", "id,label\nx,\ny,dog\nx,cat\nx,cat\ny,\n")
    found = read_labels(file)
    assert (found.ids, found.labels) == (["x", "y"], ["cat", "dog"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,label\nx,cat\ny,dog\nx,dog\n", "gives 'x' two labels, 'cat' and 'dog'"),
        ("id,label\nx,cat\n,dog\n", "row 1 of .*labels.csv, column 'id': the id is null"),
        ("key,label\nx,cat\n", "has no column 'id'; a file of labels has the columns id and label, this one has key"),
        ("id,class\nx,cat\n", "has no column 'label'"),
        ("id;label\nx;cat\n", "has no column 'id'"),
        ("id,label,label\nx,cat,dog\n", "more than one column called 'label'"),
        ("", "cannot be read as CSV: Empty CSV file"),
        ("id,label\nx\ny,cat,3\n", "cannot be read as CSV"),
    ],
)
def test_bad_csv_is_explained(tmp_path: Path, text: str, words: str) -> None:
    """Each mistake in a CSV file is told in one line."""
    with pytest.raises(InputError, match=words) as error:
        read_labels(csv(tmp_path / "labels.csv", text))
    assert "labels.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_csv_in_another_encoding_is_explained(tmp_path: Path) -> None:
    """Text that is no UTF-8 is refused, not guessed at."""
    (tmp_path / "labels.csv").write_bytes("id,label\nx,Käfer\n".encode("latin-1"))
    with pytest.raises(InputError, match="is it UTF-8"):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": [1.5], "label": ["x"]}, "column 'id' of .* is double; ids are strings or integers"),
        ({"id": [1], "label": [b"x"]}, "column 'label' of .* is binary; labels are"),
        ({"id": [1, 1], "label": [2, 3]}, "gives '1' two labels, '2' and '3'"),
        ({"id": [1, None], "label": [2, 3]}, "row 1 of .*the id is null"),
        ({"id": [1], "label": [0.5]}, "row 0 of .*a fraction"),
        ({"id": [1]}, "has no column 'label'"),
    ],
)
def test_bad_parquet_is_explained(tmp_path: Path, columns: dict[str, list[object]], words: str) -> None:
    """Columns that are missing or of an unfit type are told."""
    with pytest.raises(InputError, match=words):
        read_labels(written(tmp_path / "labels.parquet", columns))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """A missing file, a folder and bytes of another kind are refused by name."""
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "text.parquet").write_text("id,label\n")
    for name in ("nowhere.csv", "folder.csv", "text.parquet"):
        with pytest.raises(InputError, match=name):
            read_labels(tmp_path / name)
