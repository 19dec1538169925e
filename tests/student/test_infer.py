"""Opening students: what is refused, what is not loaded, and what is not sent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch

from labelsvc.errors import InputError, LabelsvcError, UsageError
from labelsvc.student import infer

from .exported import Exported

pytestmark = pytest.mark.seconds


def python(code: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that knows nothing of this one's settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, env={**inherited, **environment}, capture_output=True, text=True, check=False)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """A file that is not there is bad input, and the message says what makes one."""
    with pytest.raises(InputError, match=r"labelsvc export gone\.onnx"):
        infer.load(tmp_path / "gone.onnx")


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    """A file that onnxruntime cannot load is bad input, said in one line."""
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(InputError, match=r"cannot load .*text\.onnx") as refused:
        infer.load(tmp_path / "text.onnx", device="cpu")
    assert "\n" not in str(refused.value)


def test_somebody_elses_model_is_refused(exported: Exported, tmp_path: Path) -> None:
    """A graph without class names is no student of ours."""
    graph = onnx.load(exported.path)
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="no student of labelsvc"):
        infer.load(tmp_path / "other.onnx", device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_is_never_replaced_in_silence(exported: Exported) -> None:
    """Where CUDA was asked for and does not work, opening fails; auto takes the CPU."""
    with pytest.raises(LabelsvcError, match="--device cuda: onnxruntime cannot run there"):
        infer.load(exported.path, device="cuda")
    assert infer.load(exported.path).session.get_providers() == ["CPUExecutionProvider"]


def test_unknown_devices_are_refused(exported: Exported) -> None:
    """A name that is no device is a wrong call."""
    with pytest.raises(UsageError, match="tpu"):
        infer.load(exported.path, device="tpu")


def test_predicting_loads_no_torch() -> None:
    """What a student's users need loads neither torch nor the store."""
    done = python(
        "import labelsvc.student.predict, labelsvc.student.infer, labelsvc.student.session, sys; "
        "print(*sorted({'torch', 'duckdb', 'sklearn', 'onnx'} & set(sys.modules)))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_nothing_phones_home(exported: Exported, tmp_path: Path) -> None:
    """Opening and running a student leaves no file in the user's home, where telemetry would keep its device id."""
    code = (
        "import sys, numpy as np; from pathlib import Path; from labelsvc.student import infer; "
        "student = infer.load(Path(sys.argv[1]), device='cpu'); "
        "print(student.probabilities(np.zeros((2, 8, 8, 1), np.uint8)).shape)"
    )
    homes = {name: str(tmp_path / name) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    for folder in homes.values():
        Path(folder).mkdir()
    done = python(code, exported.path, **homes)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "(2, 3)", "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
