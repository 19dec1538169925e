"""One small task, taken through the whole flow once; each test gets its own copy of the workspace."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from digits import FAST, LABELED, POOL, TEST, Said, labelsvc, write_digits, write_truth


@dataclass(frozen=True)
class Flow:
    """A workspace with everything in it, its files, and what each verb said."""

    folder: Path
    said: dict[str, Said]

    @property
    def workspace(self) -> Path:
        """The workspace; not to be changed."""
        return self.folder / "workspace"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with labeled.parquet, pool.parquet, test.parquet and truth.parquet."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder / "labeled.parquet", LABELED)
    write_digits(folder / "pool.parquet", POOL, labels=False)
    write_digits(folder / "test.parquet", TEST)
    write_truth(folder / "truth.parquet", POOL)
    return folder


@pytest.fixture(scope="session")
def flow(files: Path) -> Flow:
    """Give a task that went through ingest, train, label, distill and export."""
    here = ("--workspace", files / "workspace")
    data = (files / "labeled.parquet", files / "pool.parquet", "--test", files / "test.parquet")
    said = {"ingest": labelsvc("ingest", *data, *here)}
    said["train"] = labelsvc("train", *FAST, "--keep-moments", "2", *here)
    said["label"] = labelsvc("label", "--threshold", "0.4", "--message", "first", *here)
    said["distill"] = labelsvc("distill", *FAST, *here)
    said["export"] = labelsvc("export", files / "student.onnx", *here)
    assert {name: one.err for name, one in said.items() if one.code} == {}
    return Flow(files, said)


@pytest.fixture
def workspace(flow: Flow, tmp_path: Path) -> Path:
    """Give a copy of the whole task's workspace, to be changed at will."""
    return Path(shutil.copytree(flow.workspace, tmp_path / "workspace"))


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LABELSVC_")]:
        monkeypatch.delenv(name)
