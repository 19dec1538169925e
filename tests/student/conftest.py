"""One exported student for the whole room: exporting takes a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from training.bars import bars, lesson, plan, small, trained

from labelsvc.networks import Classifier
from labelsvc.student import infer
from labelsvc.student.export import export
from labelsvc.student.infer import Student

from .exported import Exported, model


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """Give a network that tells bars apart."""
    return trained(lesson(), plan(small("supervised"), 40))[0].student.network


@pytest.fixture(scope="session")
def exported(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give the network's file, alone in its folder."""
    path = tmp_path_factory.mktemp("exported") / "student.onnx"
    return Exported(path, export(classifier, model(), path, rows=bars(20)[0]))


@pytest.fixture(scope="session")
def student(exported: Exported) -> Student:
    """Give the student that the file holds."""
    return infer.load(Path(exported.path), device="cpu")
