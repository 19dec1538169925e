"""What ``ingest`` says of files that are not what they must be, with which exit code, and what it only points out."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digits import FAST, IMAGE, Said, labelsvc, write_digits
from PIL import Image


def ingest(folder: Path, *arguments: str | Path) -> Said:
    """Ingest into a workspace in ``folder``."""
    return labelsvc("ingest", *arguments, "--workspace", folder / "workspace")


def samples(folder: Path) -> int:
    """Return how many samples the workspace in ``folder`` has."""
    if not (folder / "workspace" / "labels.duckdb").exists():
        return 0
    said = labelsvc("query", "SELECT count(*) FROM sample", "--json", "--workspace", folder / "workspace")
    count: int = said.json["rows"][0][0]
    return count


def write(path: Path, columns: dict[str, Any]) -> Path:
    """Write columns as Parquet."""
    pq.write_table(pa.table(columns), path)
    return path


def refused(folder: Path, said: Said, code: int, *parts: str) -> None:
    """Check that an ingest into ``folder`` ended with a code and a message, and wrote nothing."""
    assert said.code == code, said.err
    assert said.last.startswith("error: ")
    assert [part for part in parts if part not in said.last] == [], said.last
    assert said.out == ""
    assert samples(folder) == 0


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Give a file of twenty labeled digits."""
    return write_digits(tmp_path / "digits.parquet", range(20))


@pytest.fixture
def cells(whole: Path) -> list[dict[str, Any]]:
    """Give the pictures of that file."""
    pictures: list[dict[str, Any]] = pq.read_table(whole)["image"].to_pylist()
    return pictures


def test_what_is_no_parquet(tmp_path: Path) -> None:
    """A text file is named as what it is not."""
    file = tmp_path / "digits.parquet"
    file.write_text("id,label\n1,2\n" * 100)
    refused(tmp_path, ingest(tmp_path, file), 3, str(file), "cannot be read as Parquet")


def test_a_truncated_file(tmp_path: Path, whole: Path) -> None:
    """A file that was cut short is named, with what to check."""
    whole.write_bytes(whole.read_bytes()[:-200])
    refused(tmp_path, ingest(tmp_path, whole), 3, str(whole), "is it complete?")


def test_a_file_damaged_in_the_middle(tmp_path: Path, whole: Path) -> None:
    """A file whose footer is whole but whose data is not is an error of the file, not of its pictures."""
    data = bytearray(whole.read_bytes())
    data[8:400] = bytes(392)
    whole.write_bytes(bytes(data))
    refused(tmp_path, ingest(tmp_path, whole), 3, str(whole))


def test_a_missing_file_and_a_pattern_without_a_match(tmp_path: Path) -> None:
    """What is not there is named."""
    refused(tmp_path, ingest(tmp_path, tmp_path / "none.parquet"), 3, "there is no file", "none.parquet")
    refused(tmp_path, ingest(tmp_path, tmp_path / "*.parquet"), 3, "no file matches")


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    """The columns that there are are named, and the option to name one."""
    file = write(tmp_path / "table.parquet", {"id": ["a"], "age": [[3]]})
    refused(tmp_path, ingest(tmp_path, file), 3, "no picture column", "id (string), age (list<element: int64>)")


def test_two_columns_of_pictures(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    """Both candidates are named, and how to choose; the chosen one is taken."""
    pictures = pa.array(cells, IMAGE)
    file = write(tmp_path / "pairs.parquet", {"left": pictures, "right": pictures})
    refused(tmp_path, ingest(tmp_path, file), 3, "'left', 'right'", "--image-column")
    assert ingest(tmp_path, file, "--image-column", "left").code == 0


def test_a_column_that_is_not_there(tmp_path: Path, whole: Path) -> None:
    """A named column that no file has is an error, whichever it is."""
    for option in ("--image-column", "--id-column", "--label-column", "--group-column"):
        refused(tmp_path, ingest(tmp_path, whole, option, "nothing"), 3, "'nothing'")


def test_no_rows(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    """Files without a row are named."""
    file = write(tmp_path / "empty.parquet", {"image": pa.array(cells[:0], IMAGE)})
    refused(tmp_path, ingest(tmp_path, file), 3, "there are no rows in", str(file))


def test_a_corrupt_picture(tmp_path: Path) -> None:
    """A picture that cannot be decoded is named by file, row, id and reason, and fails the ingest unless allowed."""
    file = write_digits(tmp_path / "digits.parquet", range(20), broken=(7,))
    said = ingest(tmp_path, file)
    refused(tmp_path, said, 5, "1 of 20 pictures", f"row 7 of {file} ('digit-7')", "--max-failed allows 0")
    said = ingest(tmp_path, file, "--max-failed", "1")
    assert said.code == 0
    assert f"row 7 of {file} ('digit-7')" in said.err
    assert "20 in = 19 labeled + 0 unlabeled + 1 failed" in said.last


def test_a_share_of_rows_may_fail(tmp_path: Path) -> None:
    """A share is of all rows, rounded down: 10% of 19 rows allow one."""
    file = write_digits(tmp_path / "digits.parquet", range(19), broken=(7, 8))
    refused(tmp_path, ingest(tmp_path, file, "--max-failed", "10%"), 5, "2 of 19", "--max-failed allows 1")
    assert ingest(tmp_path, file, "--max-failed", "11%").code == 0


def test_a_decompression_bomb(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    """A small file of very many pixels fails its row, and is not decoded."""
    bomb = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(bomb, "PNG")
    cells[4]["bytes"] = bomb.getvalue()
    file = write(tmp_path / "digits.parquet", {"image": pa.array(cells, IMAGE)})
    refused(tmp_path, ingest(tmp_path, file), 5, "1 of 20 pictures", f"row 4 of {file}", "pixels")


def test_an_id_in_test_and_training(tmp_path: Path, whole: Path) -> None:
    """The id and its row are named."""
    test = write_digits(tmp_path / "test.parquet", range(19, 25))
    refused(tmp_path, ingest(tmp_path, whole, "--test", test), 3, "'digit-19'", f"{test} row 0", "rows of their own")


def test_labels_of_a_wrong_type(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    """Lists are no labels, whether the column is named or found."""
    columns = {"image": pa.array(cells, IMAGE), "label": [[1, 2]] * 20}
    file = write(tmp_path / "digits.parquet", columns)
    for named in ((), ("--label-column", "label")):
        refused(tmp_path, ingest(tmp_path, file, *named), 3, "'label'", str(file), "list")


def test_an_id_with_two_contents(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    """Both rows of the id are named."""
    ids = [f"id-{row % 19}" for row in range(20)]
    file = write(tmp_path / "digits.parquet", {"id": ids, "image": pa.array(cells, IMAGE)})
    refused(tmp_path, ingest(tmp_path, file), 3, "'id-0'", f"{file} row 0 and {file} row 19", "other content")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("id,label\ndigit-1,3\ndigit-1,4\n", ("two labels", "'digit-1'", "'3'", "'4'")),
        ("id,class\ndigit-1,3\n", ("no column 'label'",)),
        ("key,label\ndigit-1,3\n", ("no column 'id'",)),
        ("id,label\n,3\n", ("null",)),
        ("id,label\nx,3\ny,3\n", ("none of the 2 ids", "'x', 'y'")),
    ],
)
def test_a_labels_file_that_will_not_do(tmp_path: Path, whole: Path, text: str, parts: Sequence[str]) -> None:
    """A conflict, a missing column, a missing id and ids of nobody are told with the file's name."""
    file = tmp_path / "labels.csv"
    file.write_text(text)
    refused(tmp_path, ingest(tmp_path, whole, "--labels", file), 3, "labels.csv", *parts)


def test_labels_need_samples(tmp_path: Path) -> None:
    """Labels alone, before there is any sample, are an error; no file at all is a wrong call."""
    (tmp_path / "labels.csv").write_text("id,label\nx,3\n")
    refused(tmp_path, ingest(tmp_path, "--labels", tmp_path / "labels.csv"), 3, "no samples yet")
    refused(tmp_path, ingest(tmp_path), 2, "nothing to ingest")


def test_a_label_of_no_class(tmp_path: Path, whole: Path) -> None:
    """With --classes, another label is named with id, file and row."""
    said = ingest(tmp_path, whole, "--classes", "0,1,2,3,4,5,6,7,8")
    refused(tmp_path, said, 3, "'9' of 'digit-9'", f"{whole} row 9", "--classes")


def test_classes_in_another_order(tmp_path: Path, whole: Path) -> None:
    """Classes keep their order; a file of names does as well as a list."""
    (tmp_path / "names.txt").write_text("\n".join("9876543210"))
    assert ingest(tmp_path, whole, "--classes", tmp_path / "names.txt", "--json").json["classes"] == list("9876543210")
    said = ingest(tmp_path, whole, "--classes", "0,1,2,3,4,5,6,7,8,9")
    assert (said.code, said.last.startswith("error: --classes must begin with")) == (3, True)


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("--validation", "1.5", "neither a share"),
        ("--validation", "-1", "neither a share"),
        ("--calibration", "nan", "neither a share"),
        ("--validation", "many", "--validation"),
        ("--shape", "large", "HEIGHTxWIDTH"),
        ("--size", "1x2x3x4", "HEIGHTxWIDTH"),
        ("--size", "28x28x3", "HEIGHTxWIDTH"),
        ("--max-failed", "few", "--max-failed few"),
        ("--max-failed", "101%", "--max-failed 101%"),
        ("--classes", "a,b,a", "'a' twice"),
    ],
)
def test_a_setting_that_is_none(tmp_path: Path, option: str, text: str, expected: str) -> None:
    """A wrong value is a wrong call, told before any file is opened or made."""
    refused(tmp_path, ingest(tmp_path, tmp_path / "nothing.parquet", option, text), 2, expected)
    assert not (tmp_path / "workspace").exists()


def test_more_rows_set_aside_than_there_are(tmp_path: Path, whole: Path) -> None:
    """More validation rows than can be spared is a wrong call."""
    refused(tmp_path, ingest(tmp_path, whole, "--validation", "20"), 2, "more than the 20 newly labeled rows")


def test_another_size_than_the_workspaces(tmp_path: Path, whole: Path) -> None:
    """The workspace's own size is told."""
    assert ingest(tmp_path, whole, "--size", "6x10").code == 0
    said = ingest(tmp_path, write_digits(tmp_path / "more.parquet", range(20, 30)), "--size", "8")
    assert (said.code, "6×10×1" in said.last) == (2, True)


def test_no_labels_are_training_s_business(tmp_path: Path) -> None:
    """Rows without any label are ingested; train says that it has nothing to learn from."""
    assert ingest(tmp_path, write_digits(tmp_path / "pool.parquet", range(20), labels=False)).code == 0
    said = labelsvc("train", *FAST, "--workspace", tmp_path / "workspace")
    assert said.code == 3
    assert "label" in said.last


def test_labels_later_are_enough(tmp_path: Path) -> None:
    """Labels may come by themselves, without a FILE; the closing line accounts for them."""
    assert ingest(tmp_path, write_digits(tmp_path / "pool.parquet", range(20), labels=False)).code == 0
    (tmp_path / "labels.csv").write_text("id,label\ndigit-1,1\ndigit-2,2\nnobody,3\n")
    said = ingest(tmp_path, "--labels", tmp_path / "labels.csv")
    assert said.code == 0
    assert "labels.csv that are in no file and not in the workspace: 1 ('nobody')" in said.err
    assert said.last.startswith("3 in = 2 labeled + 0 unlabeled + 0 failed + 1 skipped; run …")
    again = ingest(tmp_path, "--labels", tmp_path / "labels.csv")
    assert "3 in = 0 labeled + 0 unlabeled + 0 failed + 3 skipped; done already" in again.last


def test_what_is_only_pointed_out(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    """Rare classes, classes of test alone, shared content and duplicates are a line each, with count and examples."""
    labels = ["0", "1"] * 9 + ["rare", "1"]
    ids = [f"id-{row}" for row in range(20)]
    image = pa.array(cells, IMAGE)
    train = write(tmp_path / "train.parquet", {"id": ids, "image": image, "label": labels})
    pool = write(
        tmp_path / "pool.parquet", {"id": [*ids[:4], "copy"], "image": pa.array([*cells[:4], cells[9]], IMAGE)}
    )
    test = write(
        tmp_path / "test.parquet",
        {"id": ["t1", "t2"], "image": pa.array([cells[3], cells[5]], IMAGE), "label": ["0", "new"]},
    )
    said = ingest(tmp_path, train, pool, "--test", test)
    assert said.code == 0, said.err
    told = said.err.splitlines()
    for words, counted in [
        ("classes with a single labeled row", "1 ('rare')"),
        ("classes that only test rows have", "1 ('new')"),
        ("test rows whose content is in training", "2 ('t1' as 'id-3', 't2' as 'id-5')"),
        ("samples with the same content as another id", "3 ('copy' as 'id-9', 't1' as 'id-3', 't2' as 'id-5')"),
        ("ids that were known already or come twice", "4 ('id-0', 'id-1', 'id-2')"),
    ]:
        (line,) = [line for line in told if words in line]
        assert line.endswith(counted)
    assert said.last.startswith("27 in = 22 labeled + 1 unlabeled + 0 failed + 4 skipped")


def test_labels_and_failures_add_up_in_json(tmp_path: Path) -> None:
    """The object has all counts, and the file of the rows that failed."""
    file = write_digits(tmp_path / "digits.parquet", range(20), broken=(7, 9))
    said = ingest(tmp_path, file, file, "--max-failed", "10%", "--json")
    assert said.code == 0, said.err
    outcome = json.loads(said.out)
    assert outcome["rows"] == {"given": 20, "labeled": 18, "abstained": 0, "failed": 2, "skipped": 0}
    assert pq.read_table(outcome["failed"])["row"].to_pylist() == [7, 9]
    assert re.search(r"runs/[0-9a-f-]{36}/failed\.parquet$", outcome["failed"])


@pytest.mark.seconds
def test_run_takes_what_ingest_takes(tmp_path: Path) -> None:
    """The whole run is told of labels, classes and failures like ingest."""
    file = write_digits(tmp_path / "pool.parquet", range(60), labels=False, broken=(7,))
    digits = write_digits(tmp_path / "truth.parquet", range(40))
    names = ("--classes", "0,1,2,3,4,5,6,7,8,9", "--max-failed", "1")
    said = labelsvc(
        "run", file, "--labels", digits, *names, *FAST, "--threshold", "0.2", "--workspace", tmp_path / "workspace"
    )
    assert said.code == 0, said.err
    assert "1 of 60 pictures cannot be decoded" in said.err
