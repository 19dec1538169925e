"""Progress is a few lines in a log, and a bar on a terminal; tables are aligned."""

from __future__ import annotations

import io

import pytest

from labelsvc.cli import tables, terminal
from labelsvc.records import Progress


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands still until it is moved."""
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    return clock


@pytest.mark.parametrize("steps", [1, 20, 1_000, 100_000])
def test_a_long_stage_takes_about_twenty_lines(clock: Clock, capsys: pytest.CaptureFixture[str], steps: int) -> None:
    """However many steps a stage has, it is told in at most twenty-one lines, the last one at its end."""
    lines = terminal.Lines()
    for step in range(1, steps + 1):
        clock.now += 3.0
        lines.progress(Progress("train", step, steps, "steps", {"loss": "0.5"}))
    told = capsys.readouterr().err.splitlines()
    assert 1 <= len(told) <= terminal.LINES_PER_STAGE + 1
    assert told[-1] == f"train: {steps:,} of {steps:,} steps, loss 0.5"


def test_a_short_stage_is_one_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """What is over within a second is told once."""
    lines = terminal.Lines()
    for step in range(1, 101):
        clock.now += 0.001
        lines.progress(Progress("label", step, 100))
    assert capsys.readouterr().err == "label: 100 of 100 rows\n"


def test_the_time_that_is_left_is_told(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Half way through after a minute, a minute is left."""
    lines = terminal.Lines()
    lines.progress(Progress("train", 0, 10))
    clock.now = 60.0
    lines.progress(Progress("train", 5, 10))
    assert capsys.readouterr().err == "train: 5 of 10 rows, 1:00 left\n"


def test_a_stage_may_come_twice(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Two trainings in a row are told twice."""
    lines = terminal.Lines()
    for _ in range(2):
        for step in (1, 2):
            clock.now += 2.0
            lines.progress(Progress("train", step, 2))
    assert capsys.readouterr().err.count("2 of 2 rows") == 2


def test_bars_leave_figures_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar's last state and the notes stay to be read."""
    bars = terminal.Bars()
    bars.note("network convnet [because]")
    bars.progress(Progress("train", 5, 10, "steps", {"loss": "0.5"}))
    bars.progress(Progress("train", 10, 10, "steps", {"loss": "0.4"}))
    bars.close()
    said = capsys.readouterr().err
    assert "network convnet [because]" in said
    assert "10 of 10 steps, loss 0.4" in said


class Screen(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


@pytest.mark.parametrize(("variable", "bold"), [("", True), ("1", False)])
def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch, variable: str, bold: bool) -> None:
    """Headers are bold on a terminal, unless NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", variable)
    screen = Screen()
    tables.show(["a"], [[1]], screen)
    assert ("\x1b[1m" in screen.getvalue()) is bold


def test_a_table_without_rows_has_its_headers() -> None:
    """Nothing found still says what was looked for."""
    assert tables.lines(["a", "bc"], []) == ["a  bc"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.999960, "0.99996"), (1e-9, "1.0e-09"), (-1234.5, "-1,234.5"), (True, "yes")]
)
def test_numbers_stay_readable_and_true(value: float, text: str) -> None:
    """A number is never rounded to one that it is not, nor printed with digits that say nothing."""
    assert tables.text(value) == text


@pytest.mark.parametrize(("started_by_uv", "typed"), [(True, "  uv run labelsvc runs"), (False, "  labelsvc runs")])
def test_commands_are_told_as_they_are_typed(
    monkeypatch: pytest.MonkeyPatch, *, started_by_uv: bool, typed: str
) -> None:
    """Who started the program through uv is told to go on through uv."""
    if started_by_uv:
        monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert terminal.as_typed("  labelsvc runs") == typed
