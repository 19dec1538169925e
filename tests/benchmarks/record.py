"""Where a benchmark's result goes: printed, and kept as JSON with its commit and machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def paired(ours: Callable[[], object], limit: Callable[[], object], *, rounds: int) -> tuple[list[float], list[float]]:
    """Time both in turn, ``rounds`` times after a warm-up, so that a machine's moods meet both; return seconds."""
    ours(), limit()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for place, work in enumerate((ours, limit)):
            started = time.perf_counter()
            work()
            seconds[place].append(time.perf_counter() - started)
    return seconds


def keep(name: str, *, ours: Sequence[float], limit: Sequence[float], rows: int, what: str, aim: float) -> None:
    """Print and keep the ratio of the limit's time to ours, pair by pair (1 would be as fast as the limit)."""
    ratios = [bound / mine for mine, bound in zip(ours, limit, strict=True)]
    ratio = statistics.median(ratios)
    speed = round(rows / statistics.median(ours))
    found = {
        "what": what,
        "ratio": round(ratio, 3),
        "ratio_min_max": [round(min(ratios), 3), round(max(ratios), 3)],
        "aim": aim,
        "rows_per_second": speed,
        "limit_rows_per_second": round(rows / statistics.median(limit)),
    }
    _write(name, found)
    print(f"{name}: {ratio:.2f} of {what} (aim {aim}); {speed:,} rows/s")  # noqa: T201


def keep_table(name: str, rows: Sequence[Mapping[str, float | str]]) -> None:
    """Print and keep a table of figures, a row for each seed or case."""
    _write(name, {"rows": [dict(row) for row in rows]})
    for row in rows:
        print(", ".join(f"{key} {_shown(value)}" for key, value in row.items()))  # noqa: T201


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.4f}" if value % 1 else f"{value:g}"


def _write(name: str, found: Mapping[str, object]) -> None:
    measured = {"benchmark": name, **found, **origin()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def origin() -> dict[str, str]:
    """Return by which commit, where and when something was measured."""
    return {
        "commit": _commit(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str:
    code = [":/", f":(top,exclude)tests/benchmarks/{RESULTS.name}"]  # what was measured before changes nothing
    changed = _git("status", "--porcelain", *code)
    return _git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _git(*words: str) -> str:
    asked = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=RESULTS.parent)
    return asked.stdout.strip()
