"""What passes between the rooms: frozen records with names from the field.

Holds no behaviour beyond what a record says of itself, and knows of no file, table or network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Role = Literal["train", "validation", "calibration", "test", "pool"]
ModelRole = Literal["teacher", "student"]
Source = Literal["decision", "given", "pseudo", "none"]

SampleNumbers = NDArray[np.int64]  # [rows], the store's keys of samples
ClassCodes = NDArray[np.int32]  # [rows], positions in the workspace's class names
Pixels = NDArray[np.uint8]  # [rows, height, width, channels]


@dataclass(frozen=True)
class PictureShape:
    """The size to which every picture of a workspace is decoded; ``channels`` is 1 (grey) or 3 (RGB)."""

    height: int
    width: int
    channels: int

    @property
    def values(self) -> int:
        """How many values a picture has, of a byte each."""
        return self.height * self.width * self.channels

    def __str__(self) -> str:
        return f"{self.height}×{self.width}×{self.channels}"


@dataclass(frozen=True)
class Preprocessing:
    """What a model does to its input: uint8 pixels / 255, less ``mean``, divided by ``std``, per channel."""

    shape: PictureShape
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class LabeledSamples:
    """Samples with a class each, in the order of ``numbers``."""

    numbers: SampleNumbers
    classes: ClassCodes

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class RowCount:
    """What became of the rows that a command was given; they always add up."""

    given: int = 0
    labeled: int = 0
    abstained: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: RowCount) -> RowCount:
        return RowCount(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Model:
    """Trained weights, and what is needed to use and to trace them."""

    model_id: str
    run_id: str
    role: ModelRole
    method: str
    network: str
    path: str  # of the safetensors file, relative to the workspace
    sha256: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float = 1.0
    calibrated: bool = False  # whether ``temperature`` was fitted on validation rows
    parent_id: str | None = None
    round: int = 1


@dataclass(frozen=True)
class Policy:
    """The rule that accepts labels: confidence at or above a threshold, for all classes or for one."""

    policy_id: str
    run_id: str
    model_id: str
    threshold: float
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    score: str = "confidence"


@dataclass(frozen=True)
class LabelSet:
    """The full, immutable result of one round under one policy."""

    label_set_id: str
    run_id: str
    model_id: str
    policy_id: str
    rows: int
    digest: str
    round: int = 1
    parent_id: str | None = None
    message: str = ""


@dataclass(frozen=True)
class PseudoLabels:
    """What a model says of samples: class and confidence, the runner-up and its probability, by ``numbers``.

    Before selection these are a model's words for every sample that it was shown, after it the accepted labels.
    """

    numbers: SampleNumbers
    classes: ClassCodes
    confidence: NDArray[np.float64]
    runner_up: ClassCodes
    runner_up_probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, chosen: NDArray[np.bool_]) -> PseudoLabels:
        """Return the rows of which ``chosen`` [rows] is true."""
        return PseudoLabels(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class MetricPoint:
    """One point of a curve."""

    step: int
    name: str
    value: float
    round: int = 1


@dataclass(frozen=True)
class Progress:
    """How far a long step has come; ``facts`` are short figures worth showing beside the bar."""

    stage: str
    done: int
    total: int
    unit: str = "rows"
    facts: Mapping[str, str] = field(default_factory=dict)


class Listener(Protocol):
    """Who is told what a flow is doing. The command line shows it; a notebook may ignore it."""

    def note(self, message: str) -> None:
        """Hear one thing worth knowing, in a sentence."""

    def progress(self, progress: Progress) -> None:
        """Hear how far a long step has come."""


class Silence:
    """A listener that does not care."""

    def note(self, message: str) -> None:
        """Ignore the message."""

    def progress(self, progress: Progress) -> None:
        """Ignore the progress."""


SILENCE: Listener = Silence()
