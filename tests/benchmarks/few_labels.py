"""Few labels, all defaults: MNIST with 10, 50, 100 and 1,000 labels and Fashion-MNIST with 1,000, several draws each.

What is measured is what a user would type: ``train --budget 2m``, ``label --threshold 0.95``, ``distill --budget 1m``.
Run, each mode as often as it takes; ``DIR/mnist`` and ``DIR/fashion_mnist`` are as for ``mnist.py``::

    export LABELSVC_TEST_DATA=DIR
    OMP_NUM_THREADS=1 uv run python tests/benchmarks/few_labels.py pace WORKSPACES          # first
    OMP_NUM_THREADS=1 uv run python tests/benchmarks/few_labels.py run WORKSPACES [CASE...]
    uv run python tests/benchmarks/few_labels.py table

Cases are mnist-10, mnist-50 and so on; processes of different cases may run side by side. No validation and no
calibration rows, the last checkpoint counts. ``--steps N`` is a rehearsal of N steps for every training; its lines lie
in WORKSPACES.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from lines import Line, Lines, Trial, command_line, markdown, pace, percents, run

CASES: Mapping[str, tuple[str, int, int]] = {  # data, labels, draws
    "mnist-10": ("mnist", 10, 10),
    "mnist-50": ("mnist", 50, 5),
    "mnist-100": ("mnist", 100, 5),
    "mnist-1000": ("mnist", 1000, 5),
    "fashion-1000": ("fashion_mnist", 1000, 5),
}
ROUNDS = 1  # how often the pool is labeled


def main() -> None:
    """Do what the command line says."""
    told = command_line("few_labels", __doc__, ("pace", "run", "table"), CASES)
    if told.mode == "table":
        print(_table(told.lines))  # noqa: T201
    elif told.mode == "pace":
        pace(told.lines, told.workspaces, [_trial(case, 0) for case in told.cases])
    else:
        run(told, [_trial(case, draw) for case in told.cases for draw in range(CASES[case][2])], rounds=ROUNDS)


def _trial(case: str, draw: int) -> Trial:
    data, labels, _ = CASES[case]
    return Trial(case, data, labels, draw)


def _table(lines: Lines) -> str:
    """Return a row for each case: what its students come to, the worst of them, and every draw."""
    header = ("data", "draws", "median, %", "worst, %", "each student, %", "each teacher, %", "median seconds")
    runs = {case: lines.having(kind="run", case=case) for case in CASES}
    return markdown(header, [_row(case, of_case) for case, of_case in runs.items() if of_case])


def _row(case: str, runs: Sequence[Line]) -> Sequence[object]:
    runs = sorted(runs, key=lambda line: line["draw"])
    students = [line.get("student_accuracy") for line in runs]
    reached = [score or 0.0 for score in students]  # a run that failed is none that can be left out
    seconds = [line["seconds"] for line in runs if line.get("seconds")]
    each = (percents(students), percents([line.get("teacher_accuracy") for line in runs]))
    took = f"{statistics.median(seconds):.0f}" if seconds else "-"
    return (case, len(runs), percents([statistics.median(reached)]), percents([min(reached)]), *each, took)


if __name__ == "__main__":
    main()
