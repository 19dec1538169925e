"""LitServe: ``python litserve_peer.py STUDENT PORT``."""

from __future__ import annotations

import base64
import sys

import litserve
import numpy as np
from session import Student


class Served(litserve.LitAPI):
    """One picture a request, batched as they come."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Open the student in the worker."""
        self.student = Student(sys.argv[1])

    def decode_request(self, request: dict[str, str]) -> np.ndarray:
        """Return the picture."""
        return np.frombuffer(base64.b64decode(request["data"]), np.uint8).reshape(self.student.sides)

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Return what LitServe has stacked, computed."""
        return self.student(np.ascontiguousarray(pictures))

    def encode_response(self, output: np.ndarray) -> dict[str, list[float]]:
        """Return JSON."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Served(max_batch_size=64, batch_timeout=0.0), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error")
