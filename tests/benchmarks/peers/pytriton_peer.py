"""Triton's own server, by PyTriton: ``python pytriton_peer.py STUDENT PORT``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from session import Student

if __name__ == "__main__":
    student = Student(sys.argv[1])
    port = int(sys.argv[2])

    @batch
    def infer(image: np.ndarray) -> dict[str, np.ndarray]:
        """Return the probabilities of what Triton has joined."""
        return {"probabilities": student(image)}

    with Triton(config=TritonConfig(http_port=port, grpc_port=port + 1, metrics_port=port + 2)) as triton:
        triton.bind(
            model_name=Path(sys.argv[1]).stem,
            infer_func=infer,
            inputs=[Tensor(name="image", dtype=np.uint8, shape=student.sides)],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(student.classes,))],
            config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
