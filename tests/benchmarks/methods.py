"""Every method under one budget: its teacher on MNIST with 1,000 and 100 labels, and what the same distilling adds.

Run, each mode as often as it takes, on the data that ``mnist.py`` names::

    export LABELSVC_TEST_DATA=DIR
    OMP_NUM_THREADS=1 uv run python tests/benchmarks/methods.py pace WORKSPACES            # first
    OMP_NUM_THREADS=1 uv run python tests/benchmarks/methods.py run WORKSPACES [CASE...]   # draw 0 of each case
    OMP_NUM_THREADS=1 uv run python tests/benchmarks/methods.py best WORKSPACES [CASE...]  # draws 1 and 2 of the best
    uv run python tests/benchmarks/methods.py table                      # what was found, in Markdown

Processes of different cases may run side by side. No validation and no calibration rows, the last checkpoint counts.
Each method is itself alone: labels are not spread over the pool first, as the default does where they are few
(``few_labels.py`` measures that). ``--steps N`` is a rehearsal of N steps for every training; its lines lie in
WORKSPACES.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence

from lines import Line, Lines, Trial, command_line, markdown, pace, percents, run

from labelsvc.methods import METHODS

MPL = "meta-pseudo-labels"
VARIANTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    f"{MPL}:meta_weight=0": (MPL, {"meta_weight": "0"}),
    f"{MPL}:feedback=exact": (MPL, {"feedback": "exact"}),
    f"{MPL}:form=v1": (MPL, {"form": "v1"}),
}
CASES: Mapping[str, tuple[str, Mapping[str, str]]] = {name: (name, {}) for name in METHODS} | {
    case: variant for case, variant in VARIANTS.items() if variant[0] in METHODS
}
LABELS = (1000, 100)
FURTHER_DRAWS = (1, 2)
BEST = 4


def main() -> None:
    """Do what the command line says."""
    told = command_line("methods", __doc__, ("pace", "run", "best", "table"), CASES)
    if told.mode == "table":
        print("\n\n".join(_table(told.lines, labels) for labels in LABELS))  # noqa: T201
    elif told.mode == "pace":
        pace(told.lines, told.workspaces, [_trial(case, 1000, 0) for case in told.cases])
    else:
        run(told, _trials(told))


def _trial(case: str, labels: int, draw: int) -> Trial:
    method, settings = CASES[case]
    return Trial(case, "mnist", labels, draw, method, settings, spread=False)


def _trials(told: argparse.Namespace) -> Iterator[Trial]:
    """Yield the trials of a mode in their order: the first draw of every case, or the further ones of the best."""
    best = _best(told.lines) if told.mode == "best" else told.cases
    for draw in FURTHER_DRAWS if told.mode == "best" else (0,):
        for labels in LABELS:
            yield from (_trial(case, labels, draw) for case in best if case in told.cases)


def _best(lines: Lines) -> Sequence[str]:
    """Return the methods whose students are right most often, over the first draws of both label counts."""
    found: dict[str, float] = {}
    for case in METHODS:
        scores = [line.get("student_accuracy", 0.0) for line in lines.having(kind="run", case=case, draw=0)]
        if len(scores) < len(LABELS):
            raise SystemExit(f"{case} was not run with {LABELS} labels yet; which methods are best is not known")
        found[case] = statistics.mean(scores)
    return sorted(found, key=lambda case: -found[case])[:BEST]


def _table(lines: Lines, labels: int) -> str:
    """Return a table of one label count, the best student first, with every draw's figure in each cell."""
    runs = [lines.having(kind="run", case=case, labels=labels) for case in CASES]
    done = sorted((of_case for of_case in runs if of_case), key=lambda of_case: -_student(of_case))
    header = (
        "method",
        "draws",
        "steps",
        "teacher, %",
        "labels cover, %",
        "of them right, %",
        "student, %",
        "ms a step",
    )
    rows = [_row(sorted(of_case, key=lambda line: line["draw"]), _step(lines, of_case[0])) for of_case in done]
    return f"MNIST, {labels:,} labels:\n\n{markdown(header, rows)}"


def _student(runs: Sequence[Line]) -> float:
    return statistics.mean(line.get("student_accuracy", 0.0) for line in runs)


def _step(lines: Lines, run: Line) -> float:
    """Return how many milliseconds of one core a step of the teacher takes."""
    paced = lines.having(kind="pace", case=run["case"])
    return 1000 * float(paced[-1]["step_seconds"])


def _row(runs: Sequence[Line], step: float) -> Sequence[object]:
    names = ("teacher_accuracy", "labels_cover", "labels_right", "student_accuracy")
    figures = [percents([line.get(name) for line in runs]) for name in names]
    return (f"`{runs[0]['case']}`", len(runs), f"{runs[0].get('steps', 0):,}", *figures, f"{step:.0f}")


if __name__ == "__main__":
    main()
