"""predict: how many rows may fail, and that the file is whole either way."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Flow
from digits import Said, labelsvc, write_digits


def predict(flow: Flow, folder: Path, *arguments: str) -> Said:
    """Label ten new digits, two of which are no pictures."""
    source = write_digits(folder / "new.parquet", range(200, 210), labels=False, broken=(203, 207))
    target = folder / "out.parquet"
    return labelsvc("predict", flow.folder / "student.onnx", source, target, "--threshold", "0", *arguments)


@pytest.mark.parametrize(
    ("allowed", "code"), [(None, 5), ("0", 5), ("1", 5), ("2", 0), ("10%", 5), ("20%", 0), ("100%", 0)]
)
def test_more_failed_rows_than_allowed_end_with_5(flow: Flow, tmp_path: Path, allowed: str | None, code: int) -> None:
    """Up to --max-failed rows may fail; beyond that the exit code says so. The file has every row and why it failed."""
    said = predict(flow, tmp_path, *([] if allowed is None else ["--max-failed", allowed]))
    assert said.code == code, said.err
    assert "10 in = 8 labeled + 0 abstained + 2 failed" in said.err
    assert ("2 of 10 rows failed, and --max-failed allows" in said.last) == (code == 5)
    errors = pq.read_table(tmp_path / "out.parquet")["error"].to_pylist()
    assert [row for row, error in enumerate(errors) if error] == [3, 7]


def test_a_wrong_tolerance_is_told_before_any_work(flow: Flow, tmp_path: Path) -> None:
    """What is neither a count nor a share is a wrong call, and no file is written."""
    said = predict(flow, tmp_path, "--max-failed", "most")
    assert (said.code, said.last.startswith("error: --max-failed most")) == (2, True)
    assert not (tmp_path / "out.parquet").exists()


def test_several_inputs_and_all_that_can_be_told(flow: Flow, tmp_path: Path) -> None:
    """Any number of inputs stand before the output; --json tells the policy and the rows."""
    one, other = (write_digits(tmp_path / f"{name}.parquet", range(200, 205), labels=False) for name in "ab")
    extras = ("--threshold", "0.2", "--top-k", "2", "--probabilities", "--json")
    said = labelsvc("predict", flow.folder / "student.onnx", one, other, tmp_path / "out.parquet", *extras)
    assert said.code == 0, said.err
    assert (said.json["rows"]["given"], said.json["policy"]["threshold"]) == (10, 0.2)
    names = ["file", "id", "label", "confidence", "error", "top_k", "probabilities"]
    assert pq.read_schema(tmp_path / "out.parquet").names == names


def test_the_same_call_again_does_nothing(flow: Flow, tmp_path: Path) -> None:
    """What is there already as it would be written is left alone, and said to be."""
    assert predict(flow, tmp_path).code == 5
    written_at = (tmp_path / "out.parquet").stat().st_mtime_ns
    labeled = pq.read_table(tmp_path / "out.parquet")
    said = labelsvc(
        "predict", flow.folder / "student.onnx", tmp_path / "new.parquet", tmp_path / "out.parquet", "--threshold", "0"
    )
    assert "done already" in said.err
    assert said.code == 5, "the rows failed all the same"
    assert (tmp_path / "out.parquet").stat().st_mtime_ns == written_at
    assert predict(flow, tmp_path, "--top-k", "1").code == 5
    assert pq.read_table(tmp_path / "out.parquet").drop(["top_k"]).equals(labeled)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["new.parquet", "s3://bucket/out.parquet"], 2, "lies in an object store; name a local file"),
        (["gone.parquet", "out.parquet"], 3, "gone.parquet"),
        (["new.parquet", "gone.parquet", "out.parquet"], 3, "gone.parquet"),
        (["picture.png", "out.parquet"], 3, "a single picture; name the folder"),
        (["new.parquet", "out.parquet", "--top-k", "-1"], 2, "--top-k"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(
    flow: Flow, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """A wrong call or a missing input is one line that names it, and nothing is written."""
    write_digits(tmp_path / "new.parquet", range(200, 210), labels=False)
    (tmp_path / "picture.png").write_bytes(b"whatever")
    before = sorted(tmp_path.iterdir())
    placed = [str(tmp_path / one) if "." in one and "://" not in one else one for one in arguments]
    found = labelsvc("predict", flow.folder / "student.onnx", *placed)
    assert (found.code, said in found.last) == (code, True), found.err
    assert sorted(tmp_path.iterdir()) == before
