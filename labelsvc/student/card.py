"""What a student's file says of itself beside its weights: a certificate is added once it is earned.

Knows nothing of what a certificate rests on, only that it is text.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from labelsvc.workspace import written_beside

CERTIFICATE = "labelsvc.certificate"  # JSON: checked, wrong, promised precision, confidence, from which threshold


def add_certificate(path: Path, certificate: str) -> None:
    """Write a certificate into an ONNX file's metadata, in place of an earlier one; weights and graph stay.

    A file that has this very certificate is left alone.
    """
    model = onnx.load(path)
    kept = {field.key: field.value for field in model.metadata_props}
    if kept.get(CERTIFICATE) == certificate:
        return
    onnx.helper.set_model_props(model, {**kept, CERTIFICATE: certificate})
    with written_beside(path) as partial:
        onnx.save(model, partial)
