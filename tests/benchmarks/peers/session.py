"""The session that every peer runs, with the settings that ``labelsvc serve`` has."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime


class Student:
    """An ONNX file, opened; its input is ``image``, its output ``probabilities``."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.sides = tuple(self.session.get_inputs()[0].shape[1:])
        self.classes = self.session.get_outputs()[0].shape[1]

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities [rows, classes] of pictures [rows, height, width, channels]."""
        return self.session.run(["probabilities"], {"image": pixels})[0]
