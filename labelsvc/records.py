"""What passes between the rooms: frozen records with names from the field.

Holds no behaviour beyond what a record says of itself, and knows of no file, table or network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Role = Literal["train", "validation", "calibration", "test", "pool"]
ModelRole = Literal["teacher", "student"]
Source = Literal["decision", "given", "pseudo", "none"]

SampleNumbers = NDArray[np.int64]  # [rows], the store's keys of samples
ClassCodes = NDArray[np.int32]  # [rows], positions in the workspace's class names
Pixels = NDArray[np.uint8]  # [rows, height, width, channels]
Values = NDArray[np.float32]  # [rows, values] of a table or of vectors; in a table, NaN where a value is null
Decoded = NDArray[Any]  # inputs as they lie in the cache: pixels or values

ColumnKind = Literal["number", "boolean", "category", "time"]


@dataclass(frozen=True)
class PictureShape:
    """The size to which every picture of a workspace is decoded; ``channels`` is 1 (grey) or 3 (RGB)."""

    height: int
    width: int
    channels: int
    kind = "image"
    dtype = "uint8"

    @property
    def sides(self) -> tuple[int, ...]:
        """The dimensions of a decoded picture."""
        return self.height, self.width, self.channels

    @property
    def bytes(self) -> int:
        """How much memory a decoded picture takes."""
        return self.height * self.width * self.channels

    def __str__(self) -> str:
        return f"{self.height}×{self.width}×{self.channels}"


@dataclass(frozen=True)
class Column:
    """A column of a table as models see it: a float32 a row, NaN where it is null.

    A category is its place in ``categories``, any other text the place after the last; a time is the days since
    ``origin``, which is in microseconds since 1970. ``mean`` and ``std`` are of what was there when the workspace met
    the column, of numbers and times alone.
    """

    name: str
    kind: ColumnKind
    mean: float = 0.0
    std: float = 1.0
    has_nulls: bool = False  # whether some were null then: models are told which
    categories: tuple[str, ...] = ()
    origin: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", tuple(self.categories))  # JSON makes lists of tuples


@dataclass(frozen=True)
class TableShape:
    """The columns of a table that models learn from, in their order: those of a workspace, once and for all."""

    columns: tuple[Column, ...]
    kind = "table"
    dtype = "float32"

    @property
    def sides(self) -> tuple[int, ...]:
        """The dimensions of a decoded row."""
        return (len(self.columns),)

    @property
    def bytes(self) -> int:
        """How much memory a decoded row takes."""
        return 4 * len(self.columns)

    def __str__(self) -> str:
        return f"{len(self.columns)} columns"


@dataclass(frozen=True)
class VectorShape:
    """Vectors of one length; models see them divided by ``scale``, the root mean square of their values."""

    length: int
    scale: float
    kind = "vector"
    dtype = "float32"

    @property
    def sides(self) -> tuple[int, ...]:
        """The dimensions of a vector."""
        return (self.length,)

    @property
    def bytes(self) -> int:
        """How much memory a vector takes."""
        return 4 * self.length

    def __str__(self) -> str:
        return f"vectors of {self.length}"


InputShape = PictureShape | TableShape | VectorShape


def shape_of(told: Mapping[str, Any]) -> InputShape:
    """Return a shape from its fields, as ``dataclasses.asdict`` and JSON leave them.

    >>> shape_of({"height": 28, "width": 28, "channels": 1}), shape_of({"length": 64, "scale": 0.5})
    (PictureShape(height=28, width=28, channels=1), VectorShape(length=64, scale=0.5))
    """
    if "columns" in told:
        return TableShape(tuple(Column(**column) for column in told["columns"]))
    return VectorShape(**told) if "length" in told else PictureShape(**told)


@dataclass(frozen=True)
class Preprocessing:
    """What a model does to its input beyond its shape's own scale: less ``mean``, divided by ``std``.

    Of pictures, uint8 pixels / 255, per channel; tables and vectors are scaled by their shape, and have neither.
    """

    shape: InputShape
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class LabeledSamples:
    """Samples with a class each, in the order of ``numbers``."""

    numbers: SampleNumbers
    classes: ClassCodes

    def __len__(self) -> int:
        return len(self.numbers)

    def none(self) -> LabeledSamples:
        """Return none of them."""
        return LabeledSamples(self.numbers[:0], self.classes[:0])


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
    target_precision: float | None = None
    confidence_level: float | None = None
    least_familiarity: float | None = None  # under it a row may be of a class that no label names; None: no such gate


@dataclass(frozen=True)
class Certificate:
    """A bound behind a claim: of ``checked`` rows ``wrong`` were wrong, so a precision may be promised, or may not.

    ``class_name`` is None for all classes together; ``reason`` says why a certificate is not valid; ``threshold`` is
    the confidence from which on a student's holds, None for a label set's, which has its policy's.
    """

    certificate_id: str
    kind: Literal["calibration", "audit", "student"]
    checked: int
    wrong: int
    promised_precision: float
    confidence: float
    look: int
    rows_digest: str
    valid: bool
    reason: str | None = None
    label_set_id: str | None = None
    model_id: str | None = None
    class_name: str | None = None
    threshold: float | None = None


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
    familiarity: NDArray[np.float64] | None = None  # how alike to labeled rows; None where nobody asked

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, chosen: NDArray[np.bool_]) -> PseudoLabels:
        """Return the rows of which ``chosen`` [rows] is true."""
        columns: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            whole = getattr(self, name)
            columns[name] = None if whole is None else whole[chosen]
        return PseudoLabels(**columns)


@dataclass(frozen=True)
class AuditPlan:
    """What an audit was declared to be before any of it was judged. The level is shared equally by its stages."""

    precision: float
    confidence: float
    sizes: tuple[int, ...]  # rows judged in all at the end of each stage

    @property
    def level(self) -> float:
        """How often a stage may certify a label set whose precision is below the asked one."""
        return (1 - self.confidence) / len(self.sizes)


@dataclass(frozen=True)
class Audit:
    """A drawn audit of a label set."""

    audit_id: str
    run_id: str
    label_set_id: str
    seed: int
    plan: AuditPlan


@dataclass(frozen=True)
class Drawn:
    """A row of an audit: the stage that shows it, and at which places of that stage's page (from 0), once or twice."""

    sample_no: int
    stage: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class Shown:
    """A row of an audit as its page shows it: the proposed class and its score beside the places of ``Drawn``."""

    sample_no: int
    sample_id: str
    class_code: int
    confidence: float
    places: tuple[int, ...]


@dataclass(frozen=True)
class Verdict:
    """What a judge said of a row at its first or second showing; ``class_code`` is the right class, where named."""

    sample_no: int
    occurrence: int
    verdict: Literal["right", "wrong", "none", "unsure"]  # none: of no class
    class_code: int | None = None
    seconds: float | None = None


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
