"""The installation without torch: what its requirements name is all that predict and serve need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from training.bars import bars

from labelsvc.networks import build
from labelsvc.records import Model, PictureShape, Preprocessing
from labelsvc.student.export import export

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "docs" / "docker" / "requirements.txt"


def wanted() -> list[str]:
    """Return the lines of the file that name a package."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [line.replace('"', "'") for line in lines if line and not line.startswith("#")]


def test_the_requirements_are_the_projects_own() -> None:
    """Each line is a dependency of the project's or of its extra `serve`, word for word; none of the extra lacks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    serving = project["optional-dependencies"]["serve"]
    known = [*project["dependencies"], *serving, "onnxruntime>=1.29"]
    assert any(line.startswith("onnxruntime>=1.29;") for line in project["dependencies"])
    assert set(serving) <= set(wanted()) <= set(known)


def test_the_dockerfile_copies_what_is_there() -> None:
    """All that the Dockerfile copies exists, and it installs by the file of requirements and nothing else."""
    text = (ROOT / "docs" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    for sources in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())
    installs = re.findall(r"pip install (.*?)(?: &&|$)", text, re.MULTILINE)
    assert installs[-2:] == ["--no-cache-dir -r requirements.txt", "--no-cache-dir --no-deps ."]
    assert re.search(r"^USER labelsvc$", text, re.MULTILINE)


@pytest.mark.slow
def test_a_fresh_environment_predicts_and_serves(tmp_path: Path) -> None:
    """In an environment of these packages alone predict labels and serve is there; torch is not."""
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(["uv", "venv", "--quiet", tmp_path / "venv"], check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", python]
    source = tmp_path / "source"  # building leaves files beside what is built
    for name in ("labelsvc", "cli"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for what in (["-r", REQUIREMENTS], ["--no-deps", source]):
        done = subprocess.run([*install, *what], capture_output=True, text=True, check=False)
        if "error sending request" in done.stderr or "Failed to fetch" in done.stderr:
            pytest.skip("no packages can be fetched here")
        assert done.returncode == 0, done.stderr
    assert subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode != 0
    folder = tmp_path / "pictures"
    _made(tmp_path / "student.onnx", folder)
    program = [python.with_name("labelsvc")]
    environment = {**os.environ, "HOME": str(tmp_path)}
    for arguments in (["predict", tmp_path / "student.onnx", folder, tmp_path / "out.parquet"], ["serve", "--help"]):
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 3


def _made(student: Path, folder: Path) -> None:
    """Write an untrained student and three pictures."""
    from PIL import Image

    pixels, _ = bars(3)
    shape = Preprocessing(PictureShape(8, 8, 1), (0.3,), (0.3,))
    model = Model("m", "r", "student", "supervised", "convnet", "none", "none", ("a", "b"), shape)
    export(build("convnet", shape, 2, seed=0), model, student, pixels=pixels)
    folder.mkdir()
    for number, picture in enumerate(pixels):
        Image.fromarray(picture[..., 0]).save(folder / f"{number}.png")
