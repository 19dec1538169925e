"""label --rounds and the listing of label sets: what people are told of each round, and why it was the last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from digits import labelsvc

ROUNDS = ("label", "--rounds", "2", "--steps", "3", "--threshold", "0.4", "--device", "cpu")


def test_each_round_is_shown_and_why_it_was_the_last(workspace: Path) -> None:
    """A line for each round and the reason are on stderr, nothing is on stdout; again, it was done already."""
    said = labelsvc(*ROUNDS, "--workspace", workspace)
    assert (said.code, said.out) == (0, ""), said.err
    table = said.err[said.err.index("round  labels  gained  changed  withdrawn") :].splitlines()
    assert [re.match(r" *\d", line) is not None for line in table[:4]] == [False, True, True, False]
    assert table[3].startswith("stopped after 2 rounds: ")
    again = labelsvc(*ROUNDS, "--workspace", workspace)
    assert "; done already" in again.last
    assert again.last.split(";")[0] == said.last.split(";")[0]
    assert table[3] in again.err


def test_json_has_the_list_of_rounds(workspace: Path) -> None:
    """With --json each round is an object; a single round has an empty list."""
    said = labelsvc(*ROUNDS, "--workspace", workspace, "--json").json
    assert [one["round"] for one in said["rounds"]] == [2, 3]  # the newest model of the task is a student
    assert said["rounds"][-1]["label_set_id"] == said["label_set"]["label_set_id"]
    assert said["stop_reason"]
    assert {"labels", "gained", "changed", "withdrawn", "model_id", "validation_right"} <= said["rounds"][0].keys()
    assert labelsvc("label", "--workspace", workspace, "--json").json["rounds"] == []


def test_a_labeled_pool_takes_one_round(workspace: Path) -> None:
    """Where the first round labels all, one line and its reason are shown."""
    said = labelsvc(*ROUNDS[:-3], "0", "--workspace", workspace)
    assert "stopped after 1 round: all of the pool is labeled" in said.err


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--steps", "1", "--budget", "1m"], "--steps and --budget exclude each other"),
        (["--rounds", "0"], "--rounds"),
        (["--budget", "soon"], "90s, 2m or 1.5h"),
    ],
)
def test_wrong_rounds_end_with_2(workspace: Path, more: list[str], expected: str) -> None:
    """Wrong settings of the rounds are wrong usage."""
    said = labelsvc("label", "--rounds", "2", *more, "--workspace", workspace)
    assert said.code == 2
    assert expected in said.last


def test_the_listing_shows_date_and_threshold(workspace: Path) -> None:
    """Each set stands with when it was written and at which threshold; its message stays when it is asked for again."""
    said = labelsvc("labels", "list", "--workspace", workspace)
    head, line = said.out.splitlines()
    assert re.search(r"written \(UTC\) +round  threshold", head)
    assert re.search(r"  20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  +1 +0\.4  ", line)
    teacher = "SELECT model_id FROM model WHERE role = 'teacher'"
    model = labelsvc("query", teacher, "--json", "--workspace", workspace).json["rows"][0][0]
    again = ("label", "--threshold", "0.4", "--from", model, "--message", "other", "--workspace", workspace)
    assert "has the message 'first', which stays" in labelsvc(*again).err
    assert labelsvc("labels", "list", "--json", "--workspace", workspace).json["label_sets"][0]["threshold"] == 0.4


@pytest.mark.parametrize(
    "arguments",
    [["distill"], ["labels", "tag", "v1"], ["labels", "diff", "current"], ["labels", "rollback"], ["evaluate"]],
    ids=lambda arguments: arguments[-1],
)
def test_without_a_current_set_it_is_told_alike(files: Path, tmp_path: Path, arguments: list[str]) -> None:
    """Whatever needs a label set says in the same words that none is current, and ends with 3."""
    here = ("--workspace", tmp_path / "workspace")
    assert labelsvc("ingest", files / "labeled.parquet", files / "pool.parquet", *here).code == 0
    more = ["--truth", str(files / "truth.parquet")] if arguments == ["evaluate"] else []
    said = labelsvc(*arguments, *more, *here)
    assert (said.code, said.last) == (3, "error: no label set is current; write one with `labelsvc label`")
