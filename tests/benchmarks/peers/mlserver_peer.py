"""MLServer: ``python mlserver_peer.py STUDENT PORT``."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Served(MLModel):
    """One model, batched adaptively."""

    async def load(self) -> bool:
        """Open the student."""
        from session import Student

        self.student = Student(os.environ["STUDENT"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a request, or several that MLServer has joined."""
        pixels = NumpyCodec.decode_input(payload.inputs[0]).astype(np.uint8)
        output = NumpyCodec.encode_output("probabilities", self.student(pixels))
        return InferenceResponse(model_name=self.name, outputs=[output])


if __name__ == "__main__":
    os.environ["STUDENT"] = str(Path(sys.argv[1]).resolve())
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    folder = Path(tempfile.mkdtemp())
    settings = {"host": "127.0.0.1", "http_port": int(sys.argv[2]), "parallel_workers": 0, "debug": False}
    others = {"grpc_port": int(sys.argv[2]) + 1, "metrics_port": int(sys.argv[2]) + 2}
    (folder / "settings.json").write_text(json.dumps({**settings, **others}))
    model = {"name": Path(sys.argv[1]).stem, "implementation": "mlserver_peer.Served"}
    batching = {"max_batch_size": 64, "max_batch_time": 0.0}
    (folder / "model-settings.json").write_text(json.dumps({**model, **batching}))
    os.execvp("mlserver", ["mlserver", "start", str(folder)])  # noqa: S606
