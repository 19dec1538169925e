"""Records of exported students, for the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.bars import PREPROCESSING

from labelsvc.records import Model, Preprocessing
from labelsvc.student.export import Parity

NAMES = ("left", 'a "quoted" näme', "right")
TEMPERATURE = 1.7


@dataclass(frozen=True)
class Exported:
    """A student's file, and how it compared with the network."""

    path: Path
    parity: Parity


def model(*, network: str = "convnet", preprocessing: Preprocessing = PREPROCESSING) -> Model:
    """Return the record of a trained model."""
    return Model(
        model_id="m-1",
        run_id="r-1",
        role="student",
        method="supervised",
        network=network,
        path="runs/r-1/student.safetensors",
        sha256="ab" * 32,
        classes=NAMES,
        preprocessing=preprocessing,
        temperature=TEMPERATURE,
        calibrated=True,
    )
