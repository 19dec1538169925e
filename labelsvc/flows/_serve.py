"""serve: an ONNX student behind HTTP, without torch, without a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from labelsvc.config import ServeConfig
from labelsvc.errors import InputError, UsageError
from labelsvc.records import SILENCE, Listener, PictureShape, RowCount
from labelsvc.student.infer import load
from labelsvc.student.metadata import StudentPolicy, policy_in_force

EXTRA = ("fastapi", "httptools", "prometheus_client", "python_multipart", "uvicorn", "uvloop")


@dataclass(frozen=True)
class ServeOutcome:
    """What was answered until the server ended."""

    rows: RowCount
    policy: StudentPolicy


def serve(
    student: str | Path, config: ServeConfig | None = None, *, token: str | None = None, listener: Listener = SILENCE
) -> ServeOutcome:
    """Answer over HTTP until SIGTERM: the Open Inference Protocol v2, ``/v1/label``, and a page at ``/``.

    Each request is a note to ``listener``, a line of JSON. ``token`` is what clients must show, unless
    ``config.token_file`` holds it.

    Raises:
        InputError: the student or the token's file is not what it must be.
        UsageError: the extra ``labelsvc[serve]`` is not installed, the address or token cannot be used, or the student
            is not of pictures.
        LabelsvcError: the asked device does not work, or the model cannot compute.
        KeyboardInterrupt: Ctrl-C ended it, in order.
    """
    config = config or ServeConfig()
    server = _server()
    shown = _token(config.token_file) if config.token_file is not None else token
    opened = load(Path(student), device=config.device)
    if not isinstance(opened.shape, PictureShape):
        raise UsageError(
            f"serve answers for students of pictures, and {student} takes {opened.shape}; `labelsvc predict`, "
            "onnxruntime and Triton (`labelsvc export --triton DIR`) take it"
        )
    policy = policy_in_force(opened.policy, config.threshold)
    rows = server.serve(opened, policy, config, name=Path(student).stem, token=shown, say=listener.note)
    return ServeOutcome(rows, policy)


def _server() -> ModuleType:
    """Load what serves.

    Raises:
        UsageError: it is not installed.
    """
    try:
        from labelsvc.student.serve import server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRA:
            raise
        raise UsageError(f"serving needs {error.name}: pip install 'labelsvc[serve]'") from error
    return server


def _token(file: str) -> str:
    """Return the token that a file holds."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--token-file {file} cannot be read: {error}") from error
