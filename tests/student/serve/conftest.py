"""A student with a policy and a pool in its file, and one server of it for all tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from training.bars import bars

from labelsvc.student import infer
from labelsvc.student.infer import Student
from labelsvc.student.metadata import StudentPolicy, Words, as_metadata

from ..exported import Exported
from .running import Running, serving

POLICY = StudentPolicy(0.4, {"right": 0.99999}, origin="a policy of the tests")


@pytest.fixture(scope="session")
def served(exported: Exported, student: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the path of a student that says by which policy it labels, and what it said of its pool."""
    path = tmp_path_factory.mktemp("served") / "bars.onnx"
    words = student.probabilities(bars(300, seed=2)[0])
    pool = Words.of(words.argmax(axis=1), words.max(axis=1).astype(np.float64), len(student.classes))
    graph = onnx.load(exported.path)
    told = {field.key: field.value for field in graph.metadata_props}
    onnx.helper.set_model_props(graph, {**told, **as_metadata(POLICY, pool)})
    onnx.save(graph, path)
    return path


@pytest.fixture(scope="session")
def opened(served: Path) -> Student:
    """Give that student, opened here, to compare with."""
    return infer.load(served, device="cpu")


@pytest.fixture(scope="session")
def running(served: Path) -> Iterator[Running]:
    """Give a running server."""
    with serving(
        served, "--max-body-mb", "1", "--max-rows", "256", "--queue-rows", "512", "--body-seconds", "2"
    ) as found:
        yield found
