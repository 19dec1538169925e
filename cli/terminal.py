"""What people see while something is done, all of it on stderr: progress and notes.

On a terminal progress is a bar, elsewhere a few plain lines. Knows nothing of what is being done.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from labelsvc.records import Listener, Progress

LINES_PER_STAGE = 20
SECONDS_PER_LINE = 1.0


def as_typed(command: str) -> str:
    """Return a command as this user has to type it: by way of uv, where uv started this program.

    >>> as_typed("  labelsvc runs").strip().removeprefix("uv run ")
    'labelsvc runs'
    """
    by_uv = "UV_RUN_RECURSION_DEPTH" in os.environ  # set by `uv run`
    return re.sub(r"^(\s*)(labelsvc )", r"\1uv run \2", command) if by_uv else command


def note(message: str) -> None:
    """Say something that is no data."""
    typer.echo(message, err=True)


@contextmanager
def listening() -> Iterator[Listener]:
    """Yield a listener that shows what a flow is doing."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    bars = Bars()
    try:
        yield bars
    finally:
        bars.close()


class Lines:
    """Progress for logs: at most about twenty lines for a stage, at most one a second."""

    def __init__(self) -> None:
        self._stage = ""
        self._shown = 0
        self._started = self._shown_at = 0.0

    def note(self, message: str) -> None:
        """Print the message."""
        note(message)

    def progress(self, progress: Progress) -> None:
        """Print a line where one is due."""
        now = time.monotonic()
        if progress.stage != self._stage or progress.done < self._shown:
            self._stage, self._shown, self._started, self._shown_at = progress.stage, 0, now, now
        advanced = progress.done - self._shown
        finished = advanced > 0 and progress.done >= progress.total
        enough = advanced * LINES_PER_STAGE >= progress.total > 0
        if finished or (enough and now - self._shown_at >= SECONDS_PER_LINE):
            note(_line(progress, now - self._started))
            self._shown, self._shown_at = progress.done, now


class Bars:
    """Progress for people: a bar for each stage, with its figures and the time that is left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )
        self._bars = RichProgress(*columns, console=Console(stderr=True))
        self._task: TaskID | None = None
        self._stage = ""
        self._done = 0

    def note(self, message: str) -> None:
        """Print the message above the bars."""
        self._bars.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """Move the stage's bar; a new stage gets a new one."""
        if self._task is None or progress.stage != self._stage or progress.done < self._done:
            self._bars.start()
            self._task = self._bars.add_task(progress.stage, total=progress.total, figures="")
        self._stage, self._done = progress.stage, progress.done
        figures = ", ".join([_count(progress), *_facts(progress)])
        self._bars.update(self._task, completed=progress.done, total=progress.total, figures=figures)

    def close(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        self._bars.stop()


def _line(progress: Progress, seconds: float) -> str:
    """Return one plain line of progress."""
    parts = [f"{progress.stage}: {_count(progress)}", *_facts(progress)]
    if 0 < progress.done < progress.total:
        parts.append(f"{_clock(seconds * (progress.total - progress.done) / progress.done)} left")
    return ", ".join(parts)


def _count(progress: Progress) -> str:
    return f"{progress.done:,} of {progress.total:,} {progress.unit}"


def _facts(progress: Progress) -> list[str]:
    return [f"{name} {value}" for name, value in progress.facts.items()]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short(identifier: str) -> str:
    """Return the ending by which a person knows an identifier.

    >>> short("0199c0de-0000-7000-8000-00000a1b2c3d")
    '…0a1b2c3d'
    """
    return f"…{identifier[-8:]}"
