"""audit: from a sample to a certificate by commands, and how a promise that cannot be made is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from digits import Said, labelsvc


def page(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return what a page shows."""
    found = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def judge(path: Path, wrong: int = 0) -> Path:
    """Judge all that a page shows as right, but for the first rows, and save that beside it."""
    shown = page(path)
    said = [
        {"id": row["id"], "occurrence": turn, "verdict": "wrong" if number < wrong else "right", "lead_time_s": 2}
        for number, row in enumerate(shown["rows"])
        for turn in range(1, len(row["places"]) + 1)
    ]
    file = path.with_name(shown["file"])
    file.write_text(
        json.dumps({name: shown[name] for name in ("schema_version", "audit", "stage")} | {"verdicts": said})
    )
    return file


@pytest.fixture
def here(workspace: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    """Give the options of a workspace and of a page of one's own."""
    return ("--workspace", workspace, "--output", tmp_path / "audit.html")


def drawn(here: tuple[str | Path, ...], *told: str) -> tuple[Said, Path]:
    """Draw an audit."""
    said = labelsvc("audit", *told, *here)
    assert said.code == 0, said.err
    return said, Path(here[-1])


@pytest.mark.seconds
def test_an_audit_from_draw_to_certificate(here: tuple[str | Path, ...], workspace: Path) -> None:
    """The draw says with how many wrong rows it passes, the verdicts what they prove; the label set is certified."""
    said, shown = drawn(here, "--precision", "0.8")
    assert said.out == ""
    assert re.search(r"labels passes with at most \d+ wrong of \d+; unsure and no class count as wrong", said.err)
    assert f"wrote {shown} (" in said.err
    file = judge(shown)
    assert re.search(
        rf"to judge \+ .* not drawn \+ 0 failed; run …\w+; next: .*--verdicts {file.name} --actor NAME", said.last
    )
    taken = labelsvc("audit", "--verdicts", file, "--actor", "ada", "--workspace", workspace)
    assert (taken.code, taken.out) == (0, ""), taken.err
    assert "the judge said the same of" in taken.err
    assert re.search(
        r"proven at 0\.95 confidence: of the \d+ labels .* at least 0\.8 are right \(lower bound", taken.err
    )
    assert re.search(r"decided \+ \d+ judged again \+ 0 failed", taken.last)
    again = labelsvc("audit", "--verdicts", file, "--actor", "ada", "--workspace", workspace)
    assert "these verdicts were taken before; nothing changed" in again.err
    assert "done already by run" in again.last
    sets = labelsvc("query", "SELECT certified FROM label_sets WHERE current", "--json", "--workspace", workspace)
    assert sets.json["rows"] == [[True]]
    repeated, _ = drawn(here, "--precision", "0.8")
    assert "done already by run" in repeated.last


def test_an_audit_is_json_too(here: tuple[str | Path, ...], workspace: Path) -> None:
    """With --json each step is one object: the plan, then what the verdicts prove."""
    said, shown = drawn(here, "--precision", "0.8", "--stages", "2", "--json")
    outcome = said.json
    assert (outcome["command"], outcome["stage"], outcome["promised"]) == ("audit", 1, None)
    assert len(outcome["audit"]["plan"]["sizes"]) == len(outcome["allowed"]) == 2
    taken = labelsvc("audit", "--verdicts", judge(shown), "--actor", "ada", "--json", "--workspace", workspace).json
    assert (taken["promised"], taken["conclusion"]["proven"], taken["conclusion"]["tally"]["wrong"]) == (0.8, True, 0)


@pytest.mark.seconds
def test_a_stage_that_proves_nothing_is_extended(here: tuple[str | Path, ...], workspace: Path) -> None:
    """The next command writes the next stage's page, of new rows; at the end of the plan the exit code is 4."""
    _, first = drawn(here, "--precision", "0.8", "--stages", "2")
    ids = {row["id"] for row in page(first)["rows"]}
    taken = labelsvc("audit", "--verdicts", judge(first, wrong=1), "--actor", "ada", "--workspace", workspace)
    assert taken.code == 0
    assert "1 wrong, which proves" in taken.err
    found = re.search(r"next: .*(audit --extend \w+) ", taken.last)
    assert found
    extended = labelsvc(*found[1].split(), *here)
    assert (extended.code, page(first)["stage"]) == (0, 2)
    assert "stage 2 of 2" in extended.err
    assert not ids & {row["id"] for row in page(first)["rows"]}
    failed = labelsvc("audit", "--verdicts", judge(first, wrong=9), "--actor", "ada", "--workspace", workspace)
    assert failed.code == 4
    assert "error: a precision of 0.8 is not proven" in failed.last
    # of nine verdicts, one may be the second on its row: which rows those are is the machine's arithmetic
    assert re.search(r"[89] wrong; the best promise available now at 0\.95 confidence is 0\.", failed.last)
    assert "inconclusive for good, as its declared plan is used up" in failed.last
    refused = labelsvc("audit", "--precision", "0.8", "--seed", "3", *here)
    assert refused.code == 4
    assert "Asking until a sample passes breaks the promise" in refused.last
    assert labelsvc(*found[1].split(), *here).code == 4


@pytest.mark.parametrize(
    ("told", "code", "expected"),
    [
        ((), 2, "say what to prove with --precision P, or give the verdicts with --verdicts FILE"),
        (("--verdicts", "x.json"), 2, "--verdicts needs --actor NAME"),
        (("--verdicts", "x.json", "--actor", "ada"), 3, "there is no file x.json"),
        (("--extend", "latest"), 2, "there is no audit yet"),
        (("--precision", "95"), 2, "--precision 95 must lie between 0 and 1, such as 0.95"),
        (
            ("--precision", "0.9", "--n", "5"),
            4,
            "5 verdicts cannot prove 0.9 at a level of 0.05, even if all are right",
        ),
        (("--precision", "0.9", "--n", "100000"), 2, "--n 100,000 is more than the"),
        (("--precision", "0.9", "--stages", "30"), 2, "labels have room for"),
        (("--precision", "0.9", "--label-set", "x"), 2, "no label set ends in 'x'"),
    ],
)
def test_what_is_refused_is_told(here: tuple[str | Path, ...], told: tuple[str, ...], code: int, expected: str) -> None:
    """A wrong call, a wrong file and a promise that cannot be made are one line and an exit code."""
    said = labelsvc("audit", *told, *here)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert expected in said.last
    assert not Path(here[-1]).exists()
