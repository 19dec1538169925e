"""Rows in order, with labels as class names."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc.data import reading
from labelsvc.data.columns import ColumnNames, Columns, find_columns
from labelsvc.data.reading import file_digest, read_batches, read_schema, row_count, sample_pictures
from labelsvc.errors import InputError

from .parquet_files import (
    IMAGE,
    IMAGE_PATH_FIRST,
    PICTURES_ONLY,
    images,
    picture_file,
    real,
    with_class_names,
    with_real_data,
    written,
)


def labels_read(path: Path) -> list[str | None]:
    """Read the labels of a file that fits one batch."""
    (batch,) = read_batches([path], [Columns("image", None, "label")])
    assert batch.labels is not None
    return batch.labels


def file_with_labels(path: Path, labels: list[object] | pa.Array) -> Path:
    """Write a file with these labels."""
    return written(path, {"image": images([b"x"] * len(labels)), "label": labels})


def test_rows_keep_their_order_over_files_and_row_groups(tmp_path: Path) -> None:
    """All rows come once, in file and row order, whatever the row groups and the batch."""
    pictures = [[b"a%d" % row for row in range(23)], [b"b%d" % row for row in range(9)]]
    files = [
        picture_file(tmp_path / f"{number}.parquet", rows, row_group_size=4) for number, rows in enumerate(pictures)
    ]
    batches = list(read_batches(files, [PICTURES_ONLY] * 2, rows=7))
    assert [picture for batch in batches for picture in batch.inputs] == pictures[0] + pictures[1]
    ids = [name for batch in batches for name in batch.ids or []]
    assert ids == [f"0-{row}" for row in range(23)] + [f"1-{row}" for row in range(9)]
    for before, after in pairwise(batches):
        same = before.file == after.file
        assert after.first_row == (before.first_row + len(before.inputs) if same else 0)
    assert max(len(batch.inputs) for batch in batches) <= 7
    assert row_count(files) == 32


@pytest.mark.parametrize("kind", [IMAGE, IMAGE_PATH_FIRST, pa.binary(), pa.large_binary()], ids=str)
def test_pictures_are_read_from_every_kind_of_column(tmp_path: Path, kind: pa.DataType) -> None:
    """Structs in either order and binary columns give the same bytes, and None where there are none."""
    pictures = [b"one", None, b"three"]
    column = images(pictures, kind) if pa.types.is_struct(kind) else pa.array(pictures, kind)
    file = written(tmp_path / "f.parquet", {"image": column})
    (batch,) = read_batches([file], [find_columns(read_schema(file), ColumnNames(), where="f")])
    assert batch.inputs == pictures
    assert batch.ids is None
    assert batch.labels is None


def test_null_struct_is_no_picture(tmp_path: Path) -> None:
    """A row whose whole struct is null has no picture."""
    file = written(tmp_path / "f.parquet", {"image": pa.array([None, {"bytes": b"x", "path": None}], IMAGE)})
    (batch,) = read_batches([file], [Columns("image", None, None)])
    assert batch.inputs == [None, b"x"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["cat", None, "dog"], ["cat", None, "dog"]),
        (pa.array(["cat", None, "dog"]).dictionary_encode(), ["cat", None, "dog"]),
        ([3, None, 10], ["3", None, "10"]),
        ([3.0, None, float("nan")], ["3", None, None]),
        ([True, False, None], ["true", "false", None]),
        (pa.nulls(2), [None, None]),
        (["cat", "", None], ["cat", "", None]),
        ([-1, 0, 1], ["-1", "0", "1"]),
        (pa.array([3, None, -1]).dictionary_encode(), ["3", None, "-1"]),
        (pa.array(["cat", None], pa.string_view()), ["cat", None]),
        (pa.array([2, 255], pa.uint8()), ["2", "255"]),
        (pa.array([2, None], pa.float16()), ["2", None]),
    ],
    ids=[
        "strings",
        "dictionary",
        "integers",
        "floats of pandas",
        "booleans",
        "nulls",
        "empty string",
        "negative",
        "dictionary of integers",
        "string view",
        "small integers",
        "half floats",
    ],
)
def test_labels_become_class_names(tmp_path: Path, labels: list[object] | pa.Array, names: list[str | None]) -> None:
    """A label is its class's name as a string, or None where there is none."""
    assert labels_read(file_with_labels(tmp_path / "f.parquet", labels)) == names


def test_codes_become_the_names_of_the_metadata(tmp_path: Path) -> None:
    """Hugging Face's codes become names; null and negative codes are no labels."""
    table = pa.table({"image": images([b"x"] * 4), "label": [1, -1, None, 0]})
    pq.write_table(with_class_names(table, ["cat", "dog"]), tmp_path / "f.parquet")
    assert labels_read(tmp_path / "f.parquet") == ["dog", None, None, "cat"]


def test_code_without_a_name_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    """A code beyond the metadata's names is refused with file, row and column."""
    table = pa.table({"image": images([b"x"] * 3), "label": [1, None, 2]})
    pq.write_table(with_class_names(table, ["cat", "dog"]), tmp_path / "f.parquet")
    with pytest.raises(InputError, match=r"row 2 of .*f\.parquet, column 'label'.*none of the 2 classes"):
        labels_read(tmp_path / "f.parquet")


@pytest.mark.parametrize(
    ("labels", "missing", "names"),
    [
        ([-1, 0, -1], "-1", [None, "0", None]),
        ([-1.0, 0.0, float("nan")], "-1", [None, "0", None]),
        (["cat", "", None], "", ["cat", None, None]),
        (["cat", "unknown", "Unknown"], "unknown", ["cat", None, "Unknown"]),
        ([True, False], "false", ["true", None]),
    ],
)
def test_the_user_says_which_label_means_none(
    tmp_path: Path, labels: list[object], missing: str, names: list[str | None]
) -> None:
    """What --missing-label names is no label, by its text; nothing else is taken for it."""
    file = file_with_labels(tmp_path / "f.parquet", labels)
    (batch,) = read_batches([file], [Columns("image", None, "label", missing=missing)])
    assert batch.labels == names


def test_a_named_class_may_mean_none(tmp_path: Path) -> None:
    """Of Hugging Face's codes, the label that means none is told by its name."""
    table = pa.table({"image": images([b"x"] * 3), "label": [1, -1, 0]})
    pq.write_table(with_class_names(table, ["unknown", "dog"]), tmp_path / "f.parquet")
    (batch,) = read_batches([tmp_path / "f.parquet"], [Columns("image", None, "label", missing="unknown")])
    assert batch.labels == ["dog", None, None]


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([1], pa.timestamp("s")),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([b"x"]),
        pa.array([b"x"], pa.binary(1)),
        pa.array([1]).cast(pa.decimal128(19)),
    ],
    ids=lambda labels: str(labels.type),
)
def test_a_column_of_another_type_holds_no_labels(tmp_path: Path, labels: pa.Array) -> None:
    """A label column of an unfit type is refused with its name, its type and what would do."""
    file = file_with_labels(tmp_path / "f.parquet", labels)
    columns = find_columns(read_schema(file), ColumnNames(), where="f")
    with pytest.raises(InputError, match=r"column 'label' of .*f\.parquet is .*; labels are .*strings.*--label-column"):
        list(read_batches([file], [columns]))
    with pytest.raises(InputError, match=r"column 'label' of f is .*; labels are"):
        find_columns(read_schema(file), ColumnNames(label="label"), where="f")


@pytest.mark.parametrize("number", [0.5, float("inf"), -1e300, 2.0**60])
def test_number_without_a_name_is_no_label(tmp_path: Path, number: float) -> None:
    """A number that is no exact integer is refused with its row."""
    with pytest.raises(InputError, match=r"row 1 of .*f\.parquet, column 'label'.*the label is a fraction"):
        labels_read(file_with_labels(tmp_path / "f.parquet", [1.0, number]))


def test_groups_are_texts(tmp_path: Path) -> None:
    """A row's group is its text; a row without one is in none, whatever label is missing."""
    for number, (values, texts) in enumerate(
        [(["a", None, "-1"], ["a", None, "-1"]), ([7.0, float("nan"), 8.0], ["7", None, "8"]), ([7, 7, 8], list("778"))]
    ):
        file = written(tmp_path / f"{number}.parquet", {"image": images([b"x"] * 3), "product": values})
        (batch,) = read_batches([file], [Columns("image", None, None, "product", missing="-1")])
        assert batch.groups == texts
    (batch,) = read_batches([file], [Columns("image", None, None)])
    assert batch.groups is None


def test_values_in_folders_are_every_rows(tmp_path: Path) -> None:
    """What stands in a file's folders is the label, id or group of each of its rows; Hive's null is none."""
    file = written(tmp_path / "f.parquet", {"image": images([b"x"] * 3)})
    columns = Columns("image", None, "kind", "site", missing="none", partitions={"kind": "cat", "site": None})
    (batch,) = read_batches([file], [columns])
    assert (batch.labels, batch.groups) == (["cat"] * 3, [None] * 3)
    (batch,) = read_batches([file], [Columns("image", None, "kind", missing="cat", partitions={"kind": "cat"})])
    assert batch.labels == [None] * 3


def test_one_column_may_be_two_things(tmp_path: Path) -> None:
    """The column of labels may be the column of groups too."""
    file = written(tmp_path / "f.parquet", {"image": images([b"x"] * 2), "label": ["a", "b"]})
    (batch,) = read_batches([file], [Columns("image", None, "label", "label")])
    assert batch.labels == batch.groups == ["a", "b"]


def test_fraction_is_no_label(tmp_path: Path) -> None:
    """A number that is not whole is refused with its row."""
    with pytest.raises(InputError, match=r"row 1 of .*fraction"):
        labels_read(file_with_labels(tmp_path / "f.parquet", [1.0, 0.5]))


def test_null_id_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    """An id that is missing is refused, with its row in the file and not in the batch."""
    file = written(tmp_path / "f.parquet", {"image": images([b"x"] * 5), "id": [7, 8, 9, None, 11]})
    with pytest.raises(InputError, match=r"row 3 of .*f\.parquet, column 'id': the id is null"):
        list(read_batches([file], [PICTURES_ONLY], rows=2))
    good = written(tmp_path / "g.parquet", {"image": images([b"x"] * 2), "id": [7, 8]})
    (batch,) = read_batches([good], [PICTURES_ONLY])
    assert batch.ids == ["7", "8"]


@pytest.mark.parametrize("keep", [0, 10, -20], ids=["empty", "start", "all but the end"])
def test_truncated_file_is_an_input_error(tmp_path: Path, keep: int) -> None:
    """A file that is not wholly there is refused by name."""
    file = picture_file(tmp_path / "f.parquet", [b"x"] * 20)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"f\.parquet cannot be read as Parquet"):
        row_count([file])


def test_damaged_page_is_an_input_error(tmp_path: Path) -> None:
    """A file damaged amid its rows is refused by name while it is read."""
    file = picture_file(tmp_path / "f.parquet", [b"x%d" % row for row in range(1000)])
    damaged = bytearray(file.read_bytes())
    damaged[4:2000] = b"\xff" * 1996
    file.write_bytes(damaged)
    with pytest.raises(InputError, match=r"f\.parquet cannot be read as Parquet"):
        list(read_batches([file], [PICTURES_ONLY]))


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    """A path with nothing there is said so, by every reader."""
    gone = tmp_path / "gone.parquet"
    with pytest.raises(InputError, match="there is no file"):
        read_schema(gone)
    with pytest.raises(InputError, match="cannot read"):
        file_digest(gone)


@pytest.mark.parametrize(
    "data", [b"", b"id,label\n1,cat\n", b"PAR1" + b"\0" * 40 + b"PAR1"], ids=["empty", "csv", "fake"]
)
def test_another_kind_of_file_is_an_input_error(tmp_path: Path, data: bytes) -> None:
    """A file that is not Parquet is refused by name, in one line."""
    (tmp_path / "f.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"^[^\n]*f\.parquet cannot be read as Parquet: [^\n]*$"):
        read_schema(tmp_path / "f.parquet")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Where a file is meant, a folder is refused as what it is."""
    with pytest.raises(InputError, match="is a folder, and a Parquet file is wanted"):
        row_count([tmp_path])


def test_file_digest_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    """The digest equals hashlib's over the whole file."""
    (tmp_path / "f").write_bytes(b"labels" * 100_000)
    assert file_digest(tmp_path / "f") == hashlib.sha256(b"labels" * 100_000).hexdigest()


def test_large_pictures_come_fewer_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch holds about as many rows as fit its bytes, and never fewer than one."""
    file = picture_file(tmp_path / "f.parquet", [bytes([row]) * 1000 for row in range(20)])
    monkeypatch.setattr(reading, "BATCH_BYTES", 5000)
    assert {len(batch.inputs) for batch in read_batches([file], [PICTURES_ONLY])} <= {4, 5}
    monkeypatch.setattr(reading, "BATCH_BYTES", 1)
    assert {len(batch.inputs) for batch in read_batches([file], [PICTURES_ONLY])} == {1}


def test_raw_pictures_come_in_bounded_batches_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of raw pixels fits its bytes; lists count four times, as they do while they are read."""
    rows = [bytes(1000)] * 20
    monkeypatch.setattr(reading, "BATCH_BYTES", 8000)
    for kind, most in [(pa.binary(1000), 8), (pa.list_(pa.uint8(), 1000), 2)]:
        cells = rows if pa.types.is_fixed_size_binary(kind) else [list(row) for row in rows]
        file = written(tmp_path / "f.parquet", {"image": pa.array(cells, kind)})
        batches = list(read_batches([file], [Columns("image", None, None, shape=(10, 100))]))
        assert sum(len(batch.inputs) for batch in batches) == 20
        if most == 2:
            assert max(len(batch.inputs) for batch in batches) == most


def test_sample_is_spread_over_files(tmp_path: Path) -> None:
    """A sample has the asked size and pictures of the first file and of the last."""
    files = [
        picture_file(tmp_path / f"{number}.parquet", [b"%d" % number] * 100, row_group_size=10) for number in range(3)
    ]
    sample = sample_pictures(files, [PICTURES_ONLY] * 3, sample=30)
    assert len(sample) == 30
    assert set(sample) == {b"0", b"1", b"2"}


@with_real_data
def test_real_file_reads_as_pyarrow_reads_it() -> None:
    """Ids, labels and bytes of a real file are those of a plain read."""
    file = real("mnist/labeled_1000.parquet")
    table = pq.read_table(file)
    batches = list(read_batches([file], [find_columns(table.schema, ColumnNames(), where="mnist")]))
    assert [i for batch in batches for i in batch.ids or []] == table["id"].to_pylist()
    assert [name for batch in batches for name in batch.labels or []] == table["label"].to_pylist()
    expected = [row["bytes"] for row in table["image"].to_pylist()]
    assert [data for batch in batches for data in batch.inputs] == expected
