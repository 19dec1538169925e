"""Taking turns: who is compared is measured alike."""

from __future__ import annotations

import time

import pytest
from training.bars import bars

from labelsvc.student import speed
from labelsvc.student.infer import Student
from labelsvc.student.speed import FEWEST, MOST, device_of, speeds, taking_turns


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure for no longer than the fewest calls take."""
    monkeypatch.setattr(speed, "SECONDS", 0.0)


def test_calls_take_turns() -> None:
    """Each is called as often as the others, in turn, after two calls that do not count."""
    order: list[str] = []
    taking_turns([lambda: order.append("a"), lambda: order.append("b")])
    assert order == ["a", "b"] * (FEWEST + 2)


def test_no_call_is_made_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick calls are made often, but not for ever."""
    monkeypatch.setattr(speed, "SECONDS", 1e9)
    calls: list[int] = []
    taking_turns([lambda: calls.append(1)])
    assert len(calls) == MOST + 2


def test_a_pause_does_not_count() -> None:
    """The median is told: one call that was held up changes nothing."""
    pauses = iter([0.0] * 5 + [0.2] + [0.0] * 100)
    slow, quick = taking_turns([lambda: time.sleep(0.002), lambda: time.sleep(next(pauses))])
    assert quick < 0.002 <= slow


def test_students_are_timed_where_they_run(student: Student) -> None:
    """Every student has a time for the pictures, and names its device."""
    found = speeds([student, student], bars(4)[0])
    assert len(found) == 2
    assert min(found) > 0
    assert device_of(student) == "cpu"
