"""How fast files are beside one another, here and now: they take turns, so that a busy machine is busy for them all.

Loads neither torch nor the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from labelsvc.records import Pixels
from labelsvc.student.infer import Student
from labelsvc.student.session import PROVIDERS

BATCHES = (1, 32)
FEWEST, MOST = 9, 200  # calls of each
SECONDS = 0.5  # for each, between these


def speeds(students: Sequence[Student], pixels: Pixels) -> list[float]:
    """Return the median seconds that each student takes for these pictures at once."""
    return taking_turns([partial(student.probabilities, pixels) for student in students])


def device_of(student: Student) -> str:
    """Return where a student runs: cpu or cuda."""
    return "cuda" if student.session.get_providers()[0] == PROVIDERS["cuda"] else "cpu"


def taking_turns(calls: Sequence[Callable[[], object]]) -> list[float]:
    """Return the median seconds that each of some calls takes, called in turn; two calls of each are not counted."""
    for call in (*calls, *calls):
        call()
    taken: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + SECONDS * len(calls)
    while len(taken[-1]) < FEWEST or (len(taken[-1]) < MOST and time.perf_counter() < end):
        for call, seconds in zip(calls, taken, strict=True):
            begun = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begun)
    return [median(seconds) for seconds in taken]
