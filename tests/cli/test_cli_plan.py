"""plan and suggest: what stands on the screen before labels are brought, and which labels to bring."""

from __future__ import annotations

from pathlib import Path

import pytest
from digits import labelsvc

from labelsvc.cli.plan import size
from labelsvc.labeling.outlook import promise


@pytest.mark.seconds
def test_a_plan_ends_in_its_verdict(workspace: Path) -> None:
    """What is told goes to stdout, in parts, the verdict last; the closing line accounts for the rows."""
    said = labelsvc("plan", "--precision", "0.98", "--budget", "60s", "--device", "cpu", "--workspace", workspace)
    assert said.code == 0, said.err
    assert "an audit: 149 labels to judge" in said.out
    assert "right 98% of the time, at 95% confidence" in said.out
    missing = promise(0.98, 0.95, calibration=0, pool=90).missing
    assert f"this workspace has 0 calibration rows: {missing} short of the fewest" in said.out
    for title in ("Rows", "Promise", "Time", "Memory while training", "Disk", "Outlook"):
        assert f"\n{title}" in f"\n{said.out}"
    assert "60 s: " in said.out
    assert said.out.splitlines()[-1].startswith("pseudo-labels will ")
    assert said.last.startswith("150 in = 60 labeled + 90 in the pool + 0 failed; next: labelsvc train")


@pytest.mark.seconds
def test_a_plan_is_json_too(workspace: Path) -> None:
    """With --json everything is one object."""
    said = labelsvc("plan", "--device", "cpu", "--json", "--workspace", workspace).json
    assert said["command"] == "plan"
    assert said["promise"]["audit"] == 59
    assert said["roles"]["pool"] == 90
    assert said["verdict_in_words"].endswith(said["verdict"]["reason"])
    assert said["training"]["seconds"] == 120
    assert set(said["space"]) == {"memory", "disk"}


def test_a_precision_that_is_none_is_told(workspace: Path) -> None:
    """A share of 95 is a slip, and told in one line."""
    said = labelsvc("plan", "--precision", "95", "--workspace", workspace)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--precision 95 must lie between 0 and 1" in said.err


@pytest.mark.seconds
def test_suggestions_are_a_table_or_a_file(workspace: Path, tmp_path: Path) -> None:
    """On the screen a row each with its reason; in a file, an empty column to fill in and the way back."""
    here = ("--n", "5", "--device", "cpu", "--workspace", workspace)
    shown = labelsvc("suggest", *here)
    assert shown.code == 0, shown.err
    assert len(shown.out.splitlines()) == 6
    assert shown.last.startswith("90 in = 5 suggested + 85 left + 0 failed; run …")
    file = tmp_path / "to_label.csv"
    said = labelsvc("suggest", *here, "--output", file)
    assert said.out == ""
    assert f"{file}: 5 rows to label" in said.err
    assert f"next: labelsvc ingest --labels {file}" in said.last
    head, first, *_ = file.read_text(encoding="utf-8").splitlines()
    assert head.replace('"', "") == "id,label,suggested,confidence,reason"
    assert first.split(",")[1] == ""
    assert labelsvc("suggest", *here, "--json").json["suggestions"][0]["id"] == first.split(",")[0].strip('"')
    back = labelsvc("ingest", "--labels", file, "--workspace", workspace)
    assert back.code == 0, back.err


def test_sizes_have_units() -> None:
    """Bytes are whole, all above has one decimal and stays below a thousand of its unit."""
    assert [size(count) for count in (0, 999, 999_949, 999_950, 10**15)] == [
        "0 B",
        "999 B",
        "999.9 kB",
        "1.0 MB",
        "1000.0 TB",
    ]
