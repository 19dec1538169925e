"""export and compare: what they print of a file's cost, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Flow
from digits import FAST, labelsvc

pytestmark = pytest.mark.seconds


def test_export_says_its_format_and_what_lies_beside(flow: Flow) -> None:
    """Size, dtype, opset and IR version are told, and so is the card."""
    said = flow.said["export"].err
    assert re.search(r"student\.onnx: \d\.\d\d MB, fp32, ONNX opset \d+, IR version \d+; student …", said)
    assert f"beside it: {flow.folder / 'student.md'}" in said


def test_fewer_bits_are_told_with_their_cost(workspace: Path, tmp_path: Path) -> None:
    """Loss and speed beside fp32 are printed, and are in the JSON; a Triton repository is named."""
    arguments = ("--dtype", "int8", "--max-loss", "20", "--force", "--device", "cpu", "--workspace", workspace)
    said = labelsvc("export", tmp_path / "small.onnx", "--triton", tmp_path / "models", "--json", *arguments)
    assert said.code == 0, said.err
    assert re.search(r"int8: agreement with fp32 on 90 unlabeled inputs .* points lost, 20 allowed", said.err)
    assert re.search(r"int8 on this machine's cpu: .*\d × the speed of fp32 at batch 1 .* at batch 32", said.err)
    assert f"{tmp_path / 'models' / 'small'}" in said.err
    assert (said.json["dtype"], said.json["loss"]["rows"]) == ("int8", 90)
    assert [speed["batch"] for speed in said.json["speeds"]] == [1, 32]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--dtype", "int4"), "there are fp32, fp16, int8"),
        (("--dtype", "int8", "--max-loss", "101"), "between 0 and 100 points"),
        (("--device", "tpu"), "no device is called 'tpu'"),
    ],
)
def test_a_wrong_call_writes_nothing(
    workspace: Path, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    """What cannot be is said in a line, with exit code 2."""
    said = labelsvc("export", tmp_path / "out.onnx", *arguments, "--workspace", workspace)
    assert (said.code, said.out) == (2, "")
    assert expected in said.err
    assert not (tmp_path / "out.onnx").exists()


def test_compare_shows_students_beside_their_teacher(workspace: Path) -> None:
    """One row for each model on stdout, the teacher's first; or one JSON object."""
    here = ("--device", "cpu", "--workspace", workspace)
    labelsvc("distill", *FAST, "--network", "tutorial", "--workspace", workspace)
    said = labelsvc("compare", *here)
    assert said.code == 0, said.err
    head, *rows = said.out.splitlines()
    assert head.split()[:5] == ["model", "role", "network", "parameters", "MB"]
    assert [row.split()[1:3] for row in rows] == [
        ["teacher", "convnet"],
        ["student", "tutorial"],
        ["student", "convnet"],
    ]
    assert "100.00%" in rows[0]
    assert "90 inputs of the pool" in said.err
    told = labelsvc("compare", "--json", *here).json
    assert (told["command"], len(told["models"]), told["pool"]) == ("compare", 3, 90)
