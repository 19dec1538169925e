"""What benchmarks of many long runs share: a line of JSON for each, and one draw of labels taken through the flow.

A run that has its line is not run again, and one that was interrupted goes on. A budget is in core seconds and means
"as many steps as it holds": they are counted once, with as many threads as the runs will have, and every run takes
them, so that one beside more work is not shorter. Nothing that trains reads truth or test rows; they score when all is
done.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from draws import draw
from record import RESULTS, origin

from labelsvc import flows
from labelsvc.errors import LabelsvcError

THRESHOLD = 0.95
BUDGETS = {"teacher": 240.0, "student": 120.0}  # core seconds: two minutes of two cores, and one
FEW, TOLD = 30, 6.0  # a pace is told by a few steps, and by so many more that they take these seconds longer
STUDENT = "student"  # what the pace of students is kept as: it is the same for all of them

Line = dict[str, Any]


@dataclass(frozen=True)
class Lines:
    """A file of results, a JSON object in each line; several processes may add to it."""

    path: Path

    @classmethod
    def named(cls, name: str) -> Lines:
        """Return the lines of a benchmark, beside the results of the others."""
        return cls(RESULTS / f"{name}.jsonl")

    def having(self, **wanted: object) -> list[Line]:
        """Return the lines with these values, oldest first."""
        if not self.path.exists():
            return []
        lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]

    def add(self, **found: object) -> None:
        """Keep a line, with its commit and machine, and print it."""
        line = json.dumps({**found, "threads": torch.get_num_threads(), **origin()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)  # noqa: T201


@dataclass(frozen=True)
class Trial:
    """A method, by a name of its own, on one draw of labels."""

    case: str
    data: str
    labels: int
    draw: int
    method: str = flows.TrainConfig().method
    settings: Mapping[str, str] = field(default_factory=dict)
    spread: bool | None = None  # whether labels are spread over the pool first; None: as the default has it

    @property
    def key(self) -> Line:
        """What tells it from all others."""
        return {"case": self.case, "data": self.data, "labels": self.labels, "draw": self.draw}

    def told(self, steps: int) -> flows.TrainConfig:
        """Return what its teacher's training is told."""
        settings = dict(self.settings)
        return flows.TrainConfig(self.method, steps=steps, seed=self.draw, spread=self.spread, settings=settings)

    @property
    def dealt(self) -> str:
        """The name of its draw."""
        return f"{self.data}-{self.labels}-{self.draw}"

    def ingest(self, workspaces: Path, workspace: Path) -> Path:
        """Ingest its draw, which lies in ``workspaces``, where it was not, and return the truth of the pool."""
        data = Path(os.environ["LABELSVC_TEST_DATA"]) / self.data
        labeled, unlabeled, truth = draw(data, workspaces / self.dealt, labels=self.labels, seed=self.draw)
        roles = flows.IngestConfig(validation=0, calibration=0)
        flows.ingest(workspace, [labeled, unlabeled], test=[data / "test.parquet"], config=roles)
        return truth


def command_line(name: str, about: str, modes: Sequence[str], cases: Iterable[str]) -> argparse.Namespace:
    """Return what a benchmark is told: a mode, where its workspaces lie, which cases to take (all, where none).

    Its lines lie with the results of the others, those of a rehearsal in its workspaces.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=modes)
    parser.add_argument("workspaces", type=Path, nargs="?", default=Path("workspaces"))
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(cases))
    parser.add_argument("--steps", type=int, help="of every training, for a rehearsal")
    told = parser.parse_args()
    unknown = [case for case in told.cases if case not in cases]
    if unknown:
        parser.error(f"no case is called {unknown[0]}; there are {', '.join(cases)}")
    told.cases = told.cases or list(cases)
    told.lines = Lines.named(name) if told.steps is None else Lines(told.workspaces / f"{name}.jsonl")
    return told


def pace(lines: Lines, workspaces: Path, trials: Iterable[Trial]) -> None:
    """Count how many steps each trial's budget holds, and a student's, where it is not counted."""
    workspaces.mkdir(parents=True, exist_ok=True)
    known = {line["case"] for line in lines.having(kind="pace")}
    for trial in trials:
        if trial.case not in known:
            _count(lines, trial.case, BUDGETS["teacher"], partial(_training_seconds, workspaces, trial))
    if STUDENT not in known:
        with TemporaryDirectory(dir=workspaces) as folder:
            workspace = Path(folder)
            Trial(STUDENT, "mnist", 1000, 0).ingest(workspaces, workspace)
            flows.train(workspace, flows.TrainConfig("supervised", steps=1))
            flows.label(workspace, flows.LabelConfig(threshold=0.0))
            _count(lines, STUDENT, BUDGETS["student"], partial(_distilling_seconds, workspace))


def _count(lines: Lines, case: str, budget: float, seconds: Callable[[int], float]) -> None:
    """Add a line that says how many steps a budget holds, by the time that a few take, and that more take."""
    few, many, more = seconds(FEW), 0.0, FEW
    while many - few < TOLD:
        more *= 4
        many = seconds(more)
    each = (many - few) / (more - FEW)
    steps = int((budget / torch.get_num_threads() - few) / each) + FEW
    lines.add(kind="pace", case=case, budget=budget, steps=steps, step_seconds=each)


def _training_seconds(workspaces: Path, trial: Trial, steps: int) -> float:
    """Return how long a teacher of ``steps`` steps takes in a workspace that knows no other, in all its stages."""
    with TemporaryDirectory(dir=workspaces) as folder:
        trial.ingest(workspaces, Path(folder))
        started = time.monotonic()
        flows.train(folder, trial.told(steps))
        return time.monotonic() - started


def _distilling_seconds(workspace: Path, steps: int) -> float:
    started = time.monotonic()
    flows.distill(workspace, flows.TrainConfig(steps=steps))
    return time.monotonic() - started


@dataclass(frozen=True)
class Length:
    """How many steps teacher and students take, and how often the pool is labeled."""

    teacher: int
    student: int
    rounds: int


def run(told: argparse.Namespace, trials: Iterable[Trial], *, rounds: int = 1) -> None:
    """Take each trial that has no line yet through the flow, and add its line; one that fails is told as well."""
    lines: Lines = told.lines
    for trial in trials:
        if not lines.having(kind="run", **trial.key):
            steps = _paced(lines, trial.case) if told.steps is None else (told.steps, told.steps)
            try:
                found = _through(told.workspaces, trial, Length(*steps, rounds))
            except LabelsvcError as error:
                found = {"error": str(error)}
            settings = {"method": trial.method, "settings": dict(trial.settings), "seed": trial.draw}
            lines.add(kind="run", **trial.key, **settings, budgets=BUDGETS, **found)


def _paced(lines: Lines, case: str) -> tuple[int, int]:
    """Return the steps of a case's teacher and of a student that the budgets hold, as they were counted."""
    counted = {line["case"]: line["steps"] for line in lines.having(kind="pace")}
    missing = [wanted for wanted in (case, STUDENT) if wanted not in counted]
    if missing:
        raise SystemExit(f"how many steps the budget of {missing[0]} holds is not counted; run `pace` first")
    return counted[case], counted[STUDENT]


def _through(workspaces: Path, trial: Trial, length: Length) -> Line:
    """Train, label and distill; then score all three."""
    workspace = workspaces / f"{trial.dealt}-{trial.case}"
    truth = trial.ingest(workspaces, workspace)
    is_whole = not any(run.command == "train" for run in flows.list_runs(workspace))
    started = time.monotonic()
    teacher = flows.train(workspace, trial.told(length.teacher))
    students = length.student if length.rounds > 1 else None
    rule = flows.LabelConfig(threshold=THRESHOLD, model=teacher.model.model_id, rounds=length.rounds, steps=students)
    label_set = flows.label(workspace, rule).label_set
    told = flows.TrainConfig(steps=length.student, seed=trial.draw)
    student = flows.distill(workspace, told, label_set=label_set.label_set_id)
    seconds = time.monotonic() - started
    labels = flows.evaluate(workspace, truth=truth).score
    return {
        "steps": length.teacher,
        "teacher_steps": teacher.steps,  # fewer, where a stored teacher was made of the others
        "student_steps": student.steps,
        "rounds": length.rounds,
        "teacher_accuracy": _accuracy(workspace, teacher.model.model_id),
        "labels_cover": labels.coverage,
        "labels_right": labels.accuracy if labels.labeled else None,
        "student_accuracy": _accuracy(workspace, student.model.model_id),
        "seconds": round(seconds, 1) if is_whole else None,  # of a run that was interrupted, nothing is known
        "collapse": teacher.collapse,
    }


def _accuracy(workspace: Path, model: str) -> float:
    return flows.evaluate(workspace, model=model).score.accuracy


def percents(values: Sequence[float | None]) -> str:
    """Return shares as percentages, in their order.

    >>> percents([0.9944, None])
    '99.44, -'
    """
    return ", ".join("-" if value is None else f"{100 * value:.2f}" for value in values)


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown.

    >>> print(markdown(["a", "b"], [[1, 2]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [header, *rows]
    texts = ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
    return "\n".join([texts[0], "|" + "---|" * len(header), *texts[1:]])
