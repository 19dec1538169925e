"""Open ONNX files with onnxruntime: nothing phones home, and no device is fallen back from in silence.

Since 1.29 onnxruntime's Linux wheels send telemetry and leave a device id in the user's cache unless the
environment says otherwise *before* they are imported, so this is the one place that imports it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from labelsvc.errors import InputError, LabelsvcError, UsageError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
SILENT = 4  # onnxruntime's severity that keeps its own lines off stderr; what matters is raised


def onnxruntime() -> ModuleType:
    """Import onnxruntime with its telemetry off."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    runtime = importlib.import_module("onnxruntime")
    runtime.set_default_logger_severity(SILENT)
    return runtime


def open_session(path: Path, device: str) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    """Open a session for ``path`` on ``device`` (auto, cpu or cuda; auto takes CUDA where it works).

    Raises:
        InputError: the file is missing, or onnxruntime cannot load it.
        UsageError: no device has that name.
        LabelsvcError: CUDA was asked for and does not work.
    """
    if device not in ("auto", *PROVIDERS):
        raise UsageError(f"no device is called {device!r}; there are auto, {', '.join(PROVIDERS)}")
    if not path.exists():
        raise InputError(f"there is no file {path}; `labelsvc export {path.name}` makes one")
    runtime = onnxruntime()
    if device == "auto":
        usable = PROVIDERS["cuda"] in runtime.get_available_providers() and _cuda_device_exists()
        return _try_cuda(runtime, path) if usable else _open(runtime, path, "cpu")
    session = _open(runtime, path, device)
    if PROVIDERS[device] not in session.get_providers():
        raise LabelsvcError(f"--device {device}: onnxruntime cannot run there; `labelsvc doctor` says what it sees")
    return session


def version(session: Any) -> str:  # noqa: ANN401 - onnxruntime ships no types
    """Return which onnxruntime computes a session's answers, and where: others may round differently."""
    return f"onnxruntime {onnxruntime().__version__}, {session.get_providers()[0]}"


def run(session: Any, name: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:  # noqa: ANN401
    """Return the output ``name`` of a session for arrays; on CUDA they are bound to the device, and only it copies."""
    if PROVIDERS["cuda"] not in session.get_providers():
        answer: NDArray[Any] = session.run([name], dict(inputs))[0]
        return answer
    value = onnxruntime().OrtValue.ortvalue_from_numpy
    binding = session.io_binding()
    for field, array in inputs.items():
        binding.bind_ortvalue_input(field, value(array, "cuda", 0))
    binding.bind_output(name, "cuda")
    session.run_with_iobinding(binding)
    bound: NDArray[Any] = binding.copy_outputs_to_cpu()[0]
    return bound


def _try_cuda(runtime: ModuleType, path: Path) -> Any:  # noqa: ANN401
    session = _open(runtime, path, "cuda")
    return session if PROVIDERS["cuda"] in session.get_providers() else _open(runtime, path, "cpu")


def _open(runtime: ModuleType, path: Path, device: str) -> Any:  # noqa: ANN401
    if device == "cuda":
        runtime.preload_dlls()
    options = runtime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to decoding
    try:
        return runtime.InferenceSession(str(path), options, providers=[PROVIDERS[device]])
    except Exception as error:
        raise InputError(f"onnxruntime cannot load {path}: {str(error).splitlines()[0]}") from error


def _cuda_device_exists() -> bool:
    return Path("/dev/nvidia0").exists() or os.name == "nt"
