"""Files of another program's predictions, as Parquet and as CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from labelsvc.data.prediction_files import read_prediction_file
from labelsvc.errors import InputError

from .parquet_files import written

CLASSES = ("cat", "dog")


def csv(path: Path, text: str) -> Path:
    """Write a CSV file."""
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "CSV", "parquet"])
def test_both_kinds_say_the_same(tmp_path: Path, suffix: str) -> None:
    """Probabilities come in the classes' order and the rows' own, whatever the columns' order and other columns."""
    file = tmp_path / f"said.{suffix}"
    if suffix == "parquet":
        written(file, {"dog": [0.25, 1.0], "note": ["a", None], "id": ["x", "007"], "cat": [0.75, 0.0]})
    else:
        csv(file, "dog,note,id,cat\n0.25,a,x,.75\n1,,007,0e0\n")
    found = read_prediction_file(file, CLASSES)
    assert found.ids == ["x", "007"]
    assert found.scores.dtype == np.float64
    assert found.scores.tolist() == [[0.75, 0.25], [0.0, 1.0]]


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16(), pa.decimal128(5, 4), pa.string()])
def test_numbers_of_every_type_are_taken(tmp_path: Path, kind: pa.DataType) -> None:
    """A probability may be a float of any precision, a decimal or text; an id may be an integer."""
    values = {name: pa.array(["0.5000", "0.5000"]).cast(pa.float64()).cast(kind) for name in CLASSES}
    found = read_prediction_file(written(tmp_path / "said.parquet", {"id": [1, 2], **values}), CLASSES)
    assert found.ids == ["1", "2"]
    assert found.scores.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_numbers_are_kept_as_they_are(tmp_path: Path) -> None:
    """What rounding does to a sum changes no number, but that none is more than 1."""
    file = csv(tmp_path / "said.csv", "id,cat,dog\nx,0.9501,0.0495\ny,1.0004,0\nz,0.333,0.6665\n")
    assert read_prediction_file(file, CLASSES).scores.tolist() == [[0.9501, 0.0495], [1.0, 0.0], [0.333, 0.6665]]


def test_ids_may_stand_in_another_column(tmp_path: Path) -> None:
    """The first of the asked columns that there is holds the ids."""
    file = csv(tmp_path / "said.csv", "sample_id,cat,dog\nx,0.5,0.5\n")
    assert read_prediction_file(file, CLASSES, keys=("id", "sample_id")).ids == ["x"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,cat\nx,1\n", "has no column for 'dog'; predictions have one column .* as the class is: 'cat', 'dog'"),
        ("key,cat,dog\nx,1,0\n", "has no column 'id'; it has 'key', 'cat', 'dog'"),
        ("id,cat,dog,dog\nx,1,0,0\n", "more than one column called 'dog'"),
        ("id,cat,dog\nx,1,0\ny,much,0\n", "row 1 of .*said.csv, column 'cat': it is no number"),
        ("id,cat,dog\nx,1,0\ny,nan,1\n", "id 'y': the probability of 'cat' is missing, or no number"),
        ("id,cat,dog\nx,1,\n", "id 'x': the probability of 'dog' is missing"),
        ("id,cat,dog\nx,inf,0\n", "id 'x': the probability of 'cat' is missing, or no number"),
        ("id,cat,dog\nx,1.2,-0.2\n", "id 'x': the probability of 'dog' is negative"),
        ("id,cat,dog\nx,1,0\ny,.5,.4\nz,3,2\n", r"id 'y': .* 2 classes add up to 0.9, not to 1 \(2 such rows\)"),
        ("id,cat,dog\nx,1,0\ny,1,0\nx,0,1\n", "has the id 'x' twice"),
        ("id,cat,dog\n,1,0\n", "row 0 of .*the id is null"),
        ("", "cannot be read as CSV"),
    ],
)
def test_each_mistake_is_explained(tmp_path: Path, text: str, words: str) -> None:
    """A column that is missing, an id that is there twice and a row that is no distribution are told in one line."""
    with pytest.raises(InputError, match=words) as error:
        read_prediction_file(csv(tmp_path / "said.csv", text), CLASSES)
    assert "said.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_of_other_types_are_refused(tmp_path: Path) -> None:
    """What cannot be a number, or an id, is told with its type."""
    lists = written(tmp_path / "lists.parquet", {"id": ["x"], "cat": [[1.0]], "dog": [0.0]})
    with pytest.raises(InputError, match=r"column 'cat' of .* is list.*; probabilities are numbers"):
        read_prediction_file(lists, CLASSES)
    fractions = written(tmp_path / "ids.parquet", {"id": [0.5], "cat": [1.0], "dog": [0.0]})
    with pytest.raises(InputError, match="ids are strings or integers"):
        read_prediction_file(fractions, CLASSES)
    with pytest.raises(InputError, match="nowhere"):
        read_prediction_file(tmp_path / "nowhere.parquet", CLASSES)


def test_many_missing_classes_are_not_all_named(tmp_path: Path) -> None:
    """Of a thousand missing columns ten are named, and the others counted."""
    file = csv(tmp_path / "said.csv", "id\nx\n")
    with pytest.raises(InputError, match="'9' and 990 more"):
        read_prediction_file(file, [str(code) for code in range(1000)])


def test_a_file_without_rows_says_nothing(tmp_path: Path) -> None:
    """No rows are no mistake of the file's."""
    found = read_prediction_file(csv(tmp_path / "said.csv", "id,cat,dog\n"), CLASSES)
    assert (found.ids, found.scores.shape) == ([], (0, 2))
