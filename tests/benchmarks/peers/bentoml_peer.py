"""BentoML: ``python bentoml_peer.py STUDENT PORT``."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import bentoml
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))


@bentoml.service(workers=1, traffic={"timeout": 60})
class Served:
    """Batches as they come."""

    def __init__(self) -> None:
        from session import Student

        self.student = Student(os.environ["STUDENT"])

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, data: list[str]) -> list[list[float]]:
        """Return the probabilities of pictures."""
        raw = b"".join(base64.b64decode(text) for text in data)
        return self.student(np.frombuffer(raw, np.uint8).reshape(-1, *self.student.sides)).tolist()


if __name__ == "__main__":
    os.environ["STUDENT"] = sys.argv[1]
    os.chdir(Path(__file__).parent)
    os.execvp("bentoml", ["bentoml", "serve", "bentoml_peer:Served", "--host", "127.0.0.1", "--port", sys.argv[2]])  # noqa: S606
