"""What a student's file says of itself beside its weights: a certificate is added once it is earned."""

from __future__ import annotations

from pathlib import Path

import onnx

from labelsvc.workspace import written_beside

CERTIFICATE = "labelsvc.certificate"  # JSON: checked, wrong, promised precision, confidence, from which threshold


def add_certificate(path: Path, certificate: str) -> None:
    """Write a certificate into an ONNX file's metadata, in place of an earlier one; weights and graph stay."""
    model = onnx.load(path)
    kept = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, {**kept, CERTIFICATE: certificate})
    with written_beside(path) as partial:
        onnx.save(model, partial)
