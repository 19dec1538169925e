"""The table of coverage and precision by class, and that a training's comparison can be switched off."""

from __future__ import annotations

import contextlib
import io

import numpy as np
from conftest import Flow
from digits import FAST, labelsvc

from labelsvc.cli import by_class
from labelsvc.labeling.summary import Checked, ClassSummary, Tally, summarise


def shown(summaries: tuple[ClassSummary, ...]) -> list[str]:
    """Return the lines that are shown on stderr."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        by_class.show(summaries)
    return err.getvalue().splitlines()


def test_precision_is_shown_where_it_was_measured() -> None:
    """With validation rows every class has its counts and its precision; without them there is no such column."""
    said, accepted = np.array([0, 0, 1], np.int32), np.array([True, False, True])
    tally = Tally.empty(3).add(said, accepted, np.array([0.75, 0.5, 1.0]))
    head, cat, _, fox = shown(summarise(tally, ["cat", "dog", "fox"], Checked(said, accepted, said)))
    assert head.split()[-3:] == ["validation", "right", "precision"]
    assert cat.split() == ["cat", "2", "1", "50.0%", "75.0%", "1", "1", "100.0%"]
    assert fox.split() == ["fox", "0", "0", "0", "0"]
    assert "precision" not in shown(summarise(tally, ["cat", "dog", "fox"]))[0]


def test_of_many_classes_the_least_covered_are_shown() -> None:
    """A thousand classes are thirty lines, the least covered first, and that is said."""
    lines = shown(tuple(ClassSummary(f"class-{code:04}", 1000, code, None) for code in reversed(range(1000))))
    assert len(lines) == 1 + by_class.MOST + 1
    assert lines[1].startswith("class-0000")
    assert lines[-1] == "these are the 30 of 1,000 classes with the least coverage"


def test_a_training_can_do_without_its_baseline(flow: Flow) -> None:
    """--no-baseline is a setting like any other: shown by --show-config, on by default."""
    for flags, expected in (((), "yes"), (("--no-baseline",), "no")):
        said = labelsvc("train", *FAST, *flags, "--show-config", "--workspace", flow.workspace)
        (line,) = [line for line in said.out.splitlines() if line.startswith("baseline")]
        assert line.split()[1] == expected
