"""What reduced-mpl exists for: the time of a step and the peak memory, beside meta-pseudo-labels at the same batch.

For a large teacher with a small student, and for one network in both roles, under both kinds of feedback. A ratio above
1 says how many times more meta-pseudo-labels takes. Times are of steps taken in turn by both in one process. Memory is
the maximum resident set of a process of its own, less that of one which only loads the parts and the rows; on a GPU it
is what torch allocated at most.

Run: ``uv run python tests/benchmarks/reduced_mpl.py [LARGE [SMALL]]``, by default wideresnet-28-2 and convnet.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from record import keep_table, paired

from labelsvc import networks, views
from labelsvc.methods import make
from labelsvc.networks import Classifier
from labelsvc.records import PictureShape, Pixels, Preprocessing, SampleNumbers
from labelsvc.training.device import find_device, prepare
from labelsvc.training.lesson import Lesson, Sampler
from labelsvc.training.loop import Plan, begin, take_step
from labelsvc.training.rows import open_rows

LABELED, POOL, CLASSES, STEPS, ROUNDS = 200, 2_000, 10, 1, 5
BATCHES = {"labeled_batch": "16", "pool_batch": "48"}
PEAK_STEPS = 3
SHAPE = PictureShape(28, 28, 1)
METHODS = ("meta-pseudo-labels", "reduced-mpl")


@dataclass(frozen=True)
class Case:
    """Who learns from whom, by which feedback."""

    teacher: str
    student: str
    feedback: str


class Noise:
    """Pictures of noise: a step's time does not depend on what it sees."""

    def __init__(self, rows: int) -> None:
        self._pixels = np.random.default_rng(0).integers(0, 256, (rows, 28, 28, 1), dtype=np.uint8)

    def gather(self, numbers: SampleNumbers) -> Pixels:
        """Return rows."""
        return self._pixels[numbers]

    def release(self) -> None:
        """Keep everything."""


def main() -> None:
    """Measure all cases and keep the table."""
    if sys.argv[1:2] == ["--peak"]:
        _take_some(*sys.argv[2:])
        return
    named = sys.argv[1:]
    large, small = (*named, *("wideresnet-28-2", "convnet")[len(named) :])
    pairs = [(large, small), (large, large), (small, small)]
    idle = _peak("nothing", Case("", "", ""))
    keep_table("reduced_mpl", [_compared(Case(*pair, form), idle) for pair in pairs for form in ("sampled", "exact")])


def _compared(case: Case, idle: float) -> dict[str, float | str]:
    """Return times and peaks of both methods, and their ratios."""
    seconds = paired(*(_stepping(method, case) for method in METHODS), rounds=ROUNDS)
    theirs, ours = (1000 * statistics.median(each) / STEPS for each in seconds)
    high, low = (_peak(method, case) - idle for method in METHODS)
    return {
        "teacher": case.teacher,
        "student": case.student,
        "feedback": case.feedback,
        "mpl_ms": round(theirs, 1),
        "reduced_ms": round(ours, 1),
        "time_ratio": round(statistics.median(a / b for a, b in zip(*seconds, strict=True)), 2),
        "mpl_mb": round(high),
        "reduced_mb": round(low),
        "memory_ratio": round(high / low, 2),
    }


def _stepping(method: str, case: Case) -> Callable[[], None]:
    """Return what takes a few steps of a training that is under way."""
    device = find_device("auto")
    prepare(device)
    lesson = _lesson(device)
    settings = {**BATCHES, "feedback": case.feedback}
    plan = Plan(make(method, settings), 10**6, 0, device)
    state = begin(lambda number: _network(case.teacher if number else case.student, number), lesson, plan)
    state.step = plan.steps // 2  # past whatever a method does only in the beginning
    sampler = Sampler(lesson, plan.method, steps=plan.steps, seed=plan.seed)

    def work() -> None:
        for _ in range(STEPS):
            take_step(state, sampler.draw(state.step, state.generator), plan)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return work


def _lesson(device: torch.device) -> Lesson:
    source = Noise(LABELED + POOL)
    labeled = open_rows(np.arange(LABELED), source, device, 784)
    pool = open_rows(np.arange(LABELED, LABELED + POOL), source, device, 784)
    words = torch.randn(POOL, CLASSES, generator=torch.Generator().manual_seed(0)).mul(3).softmax(dim=1)
    prior = torch.full((CLASSES,), 1 / CLASSES)
    return Lesson(labeled, torch.arange(LABELED) % CLASSES, pool, views.find("glyphs"), prior, words)


def _network(name: str, number: int) -> Classifier:
    return networks.build(name, Preprocessing(SHAPE, (0.5,), (0.3,)), CLASSES, seed=number)


def _peak(method: str, case: Case) -> float:
    """Return the most memory that a process of a few steps takes, in megabytes."""
    command = [sys.executable, __file__, "--peak", method, case.teacher, case.student, case.feedback]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def _take_some(method: str, *case: str) -> None:
    """Take a few steps, and print the most memory that they took, in megabytes."""
    if method == "nothing":
        _lesson(find_device("auto"))
    else:
        work = _stepping(method, Case(*case))
        for _ in range(PEAK_STEPS):
            work()
    print(torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else _resident())  # noqa: T201


def _resident() -> float:
    """Return this process's own peak; what getrusage says of it begins with that of the process that started it."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
