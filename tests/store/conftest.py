"""Small stores to ask questions of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from labeling_task import Task, labels

from labelsvc.records import PseudoLabels
from labelsvc.store import Store


@pytest.fixture
def make_labels() -> Callable[[Sequence[int], Sequence[int]], PseudoLabels]:
    """Give tests the accepted labels of their choice."""
    return labels


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Give an empty labeling task that waits only briefly for locks."""
    return Task(Store(tmp_path / "labels.duckdb", patience=0.3), tmp_path)


@pytest.fixture
def animals(task: Task) -> Task:
    """Give a task of two classes: 0 is a cat, 1 a dog, 2 to 7 are unlabeled, t is a test row."""
    task.ingest(
        [("a", "h0", "cat"), ("b", "h1", "dog"), *((f"p{n}", f"h{n}", None) for n in range(2, 8))],
    )
    task.ingest([("t", "ht", "dog")], role="test")
    return task
