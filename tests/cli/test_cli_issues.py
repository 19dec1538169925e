"""labelsvc issues: what is shown where, and what it hands to ``labels decide``."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.csv as pc
import pytest
from digits import labelsvc


@pytest.fixture
def here(workspace: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    """Give a workspace in which five given labels are wrong."""
    words = [f"digit-{row},{(row + 1) % 10}" for row in range(5)]  # the first ten digits are 0 to 9
    (tmp_path / "newer.csv").write_text("\n".join(["id,label", *words, ""]))
    said = labelsvc("ingest", "--labels", tmp_path / "newer.csv", "--workspace", workspace)
    assert said.code == 0, said.err
    return ("--workspace", workspace)


@pytest.mark.seconds
def test_suspicious_labels_are_a_table(here: tuple[str | Path, ...]) -> None:
    """The table is data, on stdout; the rest, with the accounting and the next command, is not."""
    said = labelsvc("issues", *here)
    assert said.code == 0, said.err
    head, *rows = said.out.split("\n\n")[0].splitlines()
    assert head.split() == ["id", "given", "suggested", "score", "why"]
    told = re.match(r"([\d,]+) in = (\d+) suspicious \+ (\d+) unsuspicious \+ 0 failed; run …", said.last)
    assert told is not None, said.last
    assert int(told[1]) == int(told[2]) + int(told[3])
    assert int(told[2]) == len(rows) > 0
    assert "next: labelsvc issues --output issues.csv" in said.last
    assert re.search(r"labels of \d+ train and validation rows are compared", said.err)
    shorter = labelsvc("issues", "--limit", "1", *here)
    assert rows[0].split() == shorter.out.splitlines()[1].split()
    assert f"1 of {len(rows)} suspicious labels are shown" in shorter.err


def test_the_file_is_for_a_person(here: tuple[str | Path, ...], tmp_path: Path) -> None:
    """The written file has an empty decision, label and actor for each row; as it stands it decides nothing."""
    file = tmp_path / "out.csv"
    said = labelsvc("issues", "--output", file, "--limit", "1", *here)
    assert f"wrote {file}: fill in decision, label and actor" in said.err
    assert f"next: labelsvc labels decide {file} --actor NAME" in said.last
    table = pc.read_csv(file)
    assert table.column_names[:4] == ["id", "decision", "label", "actor"]
    assert len(table) == int(re.search(r"(\d+) suspicious", said.last)[1])
    refused = labelsvc("labels", "decide", file, "--actor", "ada", *here)
    assert refused.code == 3
    assert "it has no decision; write confirm, relabel, reject or unsure" in refused.last


def test_issues_are_json_too(here: tuple[str | Path, ...]) -> None:
    """With --json the outcome is one object: all issues and all twins."""
    said = labelsvc("issues", "--json", *here).json
    assert said["command"] == "issues"
    assert len(said["issues"]) == said["rows"]["labeled"]
    assert {"sample_id", "given", "suggested", "score", "role", "why"} == said["issues"][0].keys()
    assert isinstance(said["twins"], list)


def test_without_a_model_it_ends_with_3(files: Path, tmp_path: Path) -> None:
    """Before a training, one line says what to do."""
    here = ("--workspace", tmp_path / "new")
    assert labelsvc("ingest", files / "labeled.parquet", *here).code == 0
    said = labelsvc("issues", *here)
    assert said.code == 3
    assert "run `labelsvc train`" in said.last
