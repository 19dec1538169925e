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
    return labelsvc("predict", flow.folder / "student.onnx", source, folder / "out.parquet", *arguments)


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
