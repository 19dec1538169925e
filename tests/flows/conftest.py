"""Workspaces at each step of the flow: made once, and copied for each test, which may do with its copy as it likes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labelsvc import flows

from .digits import HELD_OUT, NINETY, QUICK, Digits, load, one_thread


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Train on one thread, so that weights are the same whatever the machine."""
    with one_thread():
        yield


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """Give the digits and their files."""
    return load(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def ingested_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ingest 60 train, 20 validation, 20 calibration, 300 pool and 200 test digits."""
    place = tmp_path_factory.mktemp("ingested") / "workspace"
    flows.ingest(place, [digits.labeled, digits.unlabeled], test=[digits.test], config=HELD_OUT)
    return place


@pytest.fixture(scope="session")
def taught_once(ingested_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a teacher."""
    place = shutil.copytree(ingested_once, tmp_path_factory.mktemp("taught") / "workspace")
    flows.train(place, QUICK)
    return place


@pytest.fixture(scope="session")
def labeled_once(taught_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label the pool at a threshold of 0.9."""
    place = shutil.copytree(taught_once, tmp_path_factory.mktemp("labeled") / "workspace")
    flows.label(place, NINETY)
    return place


@pytest.fixture(scope="session")
def distilled_once(labeled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distill a student."""
    place = shutil.copytree(labeled_once, tmp_path_factory.mktemp("distilled") / "workspace")
    flows.distill(place, QUICK)
    return place


@pytest.fixture(scope="session")
def exported_once(distilled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the student, and give its path; ``workspace`` lies beside it."""
    folder = tmp_path_factory.mktemp("exported")
    flows.export(shutil.copytree(distilled_once, folder / "workspace"), folder / "student.onnx")
    return folder / "student.onnx"


@pytest.fixture
def ingested(ingested_once: Path, tmp_path: Path) -> Path:
    """Give a workspace of one's own with samples and no model."""
    return shutil.copytree(ingested_once, tmp_path / "workspace")


@pytest.fixture
def taught(taught_once: Path, tmp_path: Path) -> Path:
    """Give a workspace of one's own with a teacher."""
    return shutil.copytree(taught_once, tmp_path / "workspace")


@pytest.fixture
def labeled(labeled_once: Path, tmp_path: Path) -> Path:
    """Give a workspace of one's own with a teacher and a label set."""
    return shutil.copytree(labeled_once, tmp_path / "workspace")


@pytest.fixture
def distilled(distilled_once: Path, tmp_path: Path) -> Path:
    """Give a workspace of one's own with a teacher, a label set and its student."""
    return shutil.copytree(distilled_once, tmp_path / "workspace")


@pytest.fixture
def second(ingested_once: Path, tmp_path: Path) -> Callable[[], Path]:
    """Make another copy of the workspace without a model, to compare with."""
    return lambda: shutil.copytree(ingested_once, tmp_path / "second")
