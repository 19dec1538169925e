"""The quickstart: what a newcomer sees first is true."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from flows.digits import one_thread

from labelsvc import flows
from labelsvc.report.quickstart import Figures, tell
from labelsvc.student.infer import load


@pytest.mark.seconds
def test_the_quickstart_keeps_its_word(tmp_path: Path) -> None:
    """It ends in labels, a student no worse than the baseline, a file that can be opened, and what to type next."""
    with one_thread():
        outcome = flows.quickstart(tmp_path / "start")
    figures = outcome.figures
    assert (figures.given, figures.pool, figures.test_rows) == (100, 1197, 500)
    assert 0.7 < figures.baseline <= max(figures.teacher, figures.student) + 0.02
    assert 0 < figures.right <= figures.labels == outcome.rows.labeled <= figures.pool
    assert figures.right / figures.labels > 0.9
    assert load(tmp_path / "start" / "student.onnx", device="cpu").classes == tuple("0123456789")
    assert "label" not in pq.read_schema(tmp_path / "start" / "unlabeled.parquet").names
    workspace = str(tmp_path / "start" / "workspace")
    commands = [line for line in outcome.summary if line.startswith("  labelsvc ")]
    assert len(commands) == 3
    assert all(line.endswith(f"--workspace {workspace}") for line in commands)


def test_the_summary_says_the_figures() -> None:
    """Shares are of the rows that they are said to be of, and a start without a label is told without a crash."""
    figures = Figures(100, 1000, 500, baseline=0.9, teacher=0.95, student=0.96, threshold=0.95, labels=800, right=792)
    text = "\n".join(tell(figures, student="student.onnx", workspace="w", example="digit-0005"))
    assert "800 of 1,000 unlabeled digits (80.0%); 792 of these labels are right (99.0%)" in text
    assert all(share in text for share in ("90.0%", "95.0%", "96.0%"))
    nothing = Figures(100, 1000, 500, baseline=0.9, teacher=0.1, student=0.1, threshold=1.0, labels=0, right=0)
    assert "0 of 1,000" in "\n".join(tell(nothing, student="student.onnx", workspace="w", example="digit-0005"))
