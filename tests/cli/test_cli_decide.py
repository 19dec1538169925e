"""labels decide: what is accounted for, and how a wrong file is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from digits import labelsvc


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Give a file of three decisions on pool rows, without an actor."""
    file = tmp_path / "words.csv"
    file.write_text("id,decision,label\ndigit-60,relabel,3\ndigit-61,reject,\ndigit-62,unsure,\n")
    return file


def test_decisions_are_accounted_for(workspace: Path, words: Path) -> None:
    """The last line says how many were new, and that the next student learns from them; again, all are skipped."""
    call = ("labels", "decide", words, "--actor", "ada", "--workspace", workspace)
    said = labelsvc(*call)
    assert (said.code, said.out) == (0, ""), said.err
    assert "1 relabel, 1 reject, 1 unsure" in said.err
    assert said.last.startswith("3 in = 3 decided + 0 failed; run …")
    assert "next: labelsvc distill" in said.last
    assert labelsvc(*call).last.startswith("3 in = 0 decided + 0 failed + 3 skipped")
    assert "ada relabeled it 3" in labelsvc("trace", "digit-60", "--workspace", workspace).out


def test_decisions_are_json_too(workspace: Path, words: Path) -> None:
    """With --json the outcome is one object."""
    said = labelsvc("labels", "decide", words, "--actor", "ada", "--json", "--workspace", workspace).json
    assert said["command"] == "labels decide"
    assert said["rows"] == {"given": 3, "labeled": 3, "abstained": 0, "failed": 0, "skipped": 0}
    assert said["decisions"] == {"relabel": 1, "reject": 1, "unsure": 1}


def test_a_wrong_file_ends_with_3(workspace: Path, words: Path) -> None:
    """Without an actor, and with wrong rows, one line says what to do; nothing is decided."""
    here = ("--workspace", workspace)
    said = labelsvc("labels", "decide", words, *here)
    assert said.code == 3
    assert "--actor NAME" in said.last
    words.write_text(
        "id,decision,label,actor\ndigit-60,relabel,cat,ada\ndigit-150,reject,,ada\nx,maybe,,ada\ny,,,ada\n"
    )
    said = labelsvc("labels", "decide", words, *here)
    assert (said.code, said.err.count("\n")) == (3, 1)
    assert "4 rows are wrong" in said.last
    assert "row 0, id 'digit-60': there is no class 'cat'" in said.last
    assert "row 1, id 'digit-150': it is a test row" in said.last
    assert "; and 1 more" in said.last
    assert labelsvc("query", "FROM decision", "--json", *here).json["rows"] == []
