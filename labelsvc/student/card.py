"""What a student's file says of itself beside its weights, when it is made and when a certificate is earned.

Knows nothing of what the texts rest on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from labelsvc.workspace import written_beside

CERTIFICATE = "labelsvc.certificate"  # JSON: checked, wrong, promised precision, confidence, from which threshold
DTYPE = "labelsvc.dtype"  # fp32, fp16 or int8
GATE = "labelsvc.gate"  # JSON: how far its answers are from the network's, and what fewer bits cost
OPSET, IR_VERSION = "labelsvc.opset", "labelsvc.ir_version"


@dataclass(frozen=True)
class FileFormat:
    """In which versions of ONNX a file is written."""

    opset: int
    ir_version: int


def add_certificate(path: Path, certificate: str) -> None:
    """Write a certificate into an ONNX file's metadata, in place of an earlier one; weights and graph stay."""
    add_facts(path, {CERTIFICATE: certificate})


def add_facts(path: Path, facts: Mapping[str, str]) -> None:
    """Write texts into an ONNX file's metadata, in place of earlier ones of their names; weights and graph stay.

    A file that has them all is left alone.
    """
    model = onnx.load(path)
    kept = {field.key: field.value for field in model.metadata_props}
    if kept == {**kept, **facts}:
        return
    onnx.helper.set_model_props(model, {**kept, **facts})
    with written_beside(path) as partial:
        onnx.save(model, partial)


def checked_format(path: Path) -> FileFormat:
    """Return a file's format, after ONNX's own checker and strict shape inference have passed it."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (opset,) = (known.version for known in model.opset_import if known.domain in ("", "ai.onnx"))
    return FileFormat(opset, model.ir_version)
