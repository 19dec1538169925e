"""What each verb may be told, as frozen records with their defaults, and how texts become values.

The command line fills these from flag, environment, ``labelsvc.toml`` and default; Python callers make them directly.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labelsvc.errors import InputError, UsageError

DEFAULT_BUDGET = 120.0  # seconds, where neither steps nor a budget are given
DEFAULT_THRESHOLD = 0.95
LOSSES: Mapping[str, float] = {"fp16": 0.1, "int8": 0.5}  # points that a file in fewer bits than fp32 may cost


@dataclass(frozen=True)
class IngestConfig:
    """Which columns to read, and how many labeled rows to keep from training (shares below 1, else counts)."""

    id_column: str | None = None
    label_column: str | None = None
    image_column: str | None = None
    validation: float | None = None
    calibration: float | None = None
    cache_gb: float = 20.0  # of decoded inputs kept; beyond it the least recently used go, to be decoded again
    group_column: str | None = None  # rows of one value (photos of one product) share a role
    image_root: str | None = None  # where relative paths of pictures start; nothing outside it is read
    shape: tuple[int, ...] | None = None  # (height, width[, channels]) of pictures that are raw bytes
    size: tuple[int, int] | None = None  # (height, width) to which all pictures are decoded
    labels: str | None = None  # a file of (id, label), joined by id
    classes: tuple[str, ...] = ()  # names and order of the classes; others are then an error
    missing_label: str | None = None  # the label that means none
    max_failed: str = "0"  # inputs that may fail to decode: a count, or a share as 1%
    vector_column: str | None = None
    features: tuple[str, ...] = ()  # columns of a table to learn from, whatever they look like; none: all that serve
    exclude: tuple[str, ...] = ()  # columns of a table to leave out
    split_by: str | None = None  # a column: labeled rows with its largest values are kept from training


@dataclass(frozen=True)
class TrainConfig:
    """How to train: ``steps`` or a ``budget`` in seconds, not both."""

    method: str = "auto"
    steps: int | None = None
    budget: float | None = None
    network: str = "auto"
    views: str = "auto"
    device: str = "auto"
    seed: int = 0
    balanced: bool = False
    keep_moments: int = 0
    spread: bool | None = None  # whether labels are spread over the pool first; None: where they are few
    baseline: bool = True  # whether a teacher is compared with a supervised one where there are validation rows
    teacher: str | None = None  # whose words some methods learn from: any unique ending of a model's id, or ``latest``
    settings: Mapping[str, str] = field(default_factory=dict)
    recipe: str | None = None  # a published one by its name, in place of method, network and their settings
    trust_import: bool = False  # whether a network that is a path may be of any library

    def __post_init__(self) -> None:
        if self.steps is not None and self.budget is not None:
            raise UsageError("--steps and --budget exclude each other; give one")
        if self.steps is not None and self.steps < 0:
            raise UsageError(f"--steps {self.steps} must not be negative")
        if self.budget is not None and not self.budget > 0:  # NaN is not
            raise UsageError(f"--budget {self.budget} must be a positive number of seconds")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} must not be negative")
        if self.keep_moments < 0:
            raise UsageError(f"--keep-moments {self.keep_moments} must not be negative")

    @property
    def seconds(self) -> float | None:
        """The budget in seconds, None where steps were given."""
        if self.steps is not None:
            return None
        return DEFAULT_BUDGET if self.budget is None else self.budget


@dataclass(frozen=True)
class LabelConfig:
    """Which labels to accept: from a confidence on, of a class of its own where it has one, or for a promise.

    With a ``precision`` the threshold is found: the lowest one for which that precision can be promised.
    """

    threshold: float | None = None  # None: what the precision allows, or .95
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None  # any unique ending of a model's id, or ``latest``
    device: str = "auto"
    message: str = ""
    rounds: int = 1  # label, then (distill, label) one time less
    steps: int | None = None  # of each student between rounds; None: as many as its teacher took
    budget: float | None = None  # of each student between rounds, in seconds
    precision: float | None = None  # how often labels must be right
    confidence: float = 0.95  # how surely
    per_class: bool = False  # the promise is made for each class, not for all together
    uncertified: bool = False  # labels are written even where nothing can be promised
    gate: bool = True  # rows that look like no class at all get no label
    predictions: str | None = None  # a file of (id, a probability for each class): another model's words
    adjust_prior: bool = False  # the confidence allows for how frequent each class is in the pool

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"--rounds {self.rounds} must be at least 1")
        if self.predictions is not None and self.rounds > 1:
            raise UsageError(
                "--from-predictions is for one round, as another program's model learns nothing here; leave out "
                "--rounds, then `labelsvc distill --steps N` makes a student, which `labelsvc label` goes on with"
            )
        _check_promise(0.95 if self.precision is None else self.precision, self.confidence)
        if self.precision is not None and (self.threshold is not None or self.class_thresholds):
            raise UsageError("--precision finds the threshold; leave out --threshold and --class-threshold")

    @property
    def accepted_from(self) -> float:
        """The threshold where no precision is asked for."""
        return DEFAULT_THRESHOLD if self.threshold is None else self.threshold


@dataclass(frozen=True)
class AuditConfig:
    """What an audit is to prove of a label set, and how its rows are drawn and judged."""

    precision: float
    confidence: float = 0.95
    n: int | None = None  # rows of the first stage; None: as many as the precision needs
    label_set: str = "current"
    seed: int = 0
    stages: int = 1
    show_labels: bool = True  # whether the page shows the proposed label and its score

    def __post_init__(self) -> None:
        _check_promise(self.precision, self.confidence)
        for flag, count in (("--n", self.n), ("--stages", self.stages)):
            if count is not None and count < 1:
                raise UsageError(f"{flag} {count} must be at least 1")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} must not be negative")


@dataclass(frozen=True)
class PlanConfig:
    """The promise and the training of which ``plan`` tells the cost."""

    precision: float = 0.95
    confidence: float = 0.95
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        _check_promise(self.precision, self.confidence)


@dataclass(frozen=True)
class SuggestConfig:
    """How many rows to suggest for labeling, by which model's doubts."""

    n: int = 50
    model: str | None = None  # any unique ending of a model's id, or ``latest``
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UsageError(f"--n {self.n} must be at least 1")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} must not be negative")


@dataclass(frozen=True)
class CertifyConfig:
    """What fresh labeled rows are to prove of a student."""

    precision: float
    confidence: float = 0.95
    threshold: float | None = None  # None: the lowest one for which it is proven
    device: str = "auto"
    image_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None  # rows of one value count once
    image_root: str | None = None
    shape: tuple[int, ...] | None = None
    vector_column: str | None = None

    def __post_init__(self) -> None:
        _check_promise(self.precision, self.confidence)
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"--threshold {self.threshold:g} is no probability; it must lie between 0 and 1")


@dataclass(frozen=True)
class ExportConfig:
    """In how many bits a student's file computes, what that may cost, and what is written beside it."""

    dtype: str = "fp32"
    force: bool = False  # write it even where it is slower than fp32, which itself needs neither this nor the next
    max_loss: float | None = None  # points of accuracy, or of agreement with the fp32 file; None: of ``LOSSES``
    triton: str | None = None  # a folder of models for Triton to write it into, too
    device: str = "auto"  # where it is timed

    def __post_init__(self) -> None:
        if self.dtype not in ("fp32", *LOSSES):
            raise UsageError(f"no dtype is called {self.dtype!r}; there are fp32, {', '.join(LOSSES)}")
        if self.max_loss is not None and not 0 <= self.max_loss <= 100:
            raise UsageError(f"--max-loss {self.max_loss:g} must lie between 0 and 100 points")

    @property
    def allowed_loss(self) -> float:
        """How many points a file of this dtype may lose."""
        return LOSSES.get(self.dtype, 0.0) if self.max_loss is None else self.max_loss


@dataclass(frozen=True)
class PredictConfig:
    """How to use a student on new rows, and what to say of each."""

    threshold: float | None = None  # None: what the student's file says, else .95
    top_k: int = 0  # how many classes to tell of each row, the likeliest first
    probabilities: bool = False  # of all classes
    device: str = "auto"
    image_column: str | None = None
    id_column: str | None = None
    image_root: str | None = None
    shape: tuple[int, ...] | None = None
    max_failed: str = "0"
    vector_column: str | None = None

    def __post_init__(self) -> None:
        if self.top_k < 0:
            raise UsageError(f"--top-k {self.top_k} must not be negative")


@dataclass(frozen=True)
class ServeConfig:
    """Where a student answers, which of its labels count, and how much it takes at once."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any that is free
    threshold: float | None = None  # None: what the student's file says, else .95
    device: str = "auto"
    token_file: str | None = None
    max_body_mb: float = 16.0  # of a request, and of what it unpacks to
    max_rows: int = 1_024  # of a request
    max_pixels: int = 25_000_000  # of a picture before it is squeezed
    batch_rows: int = 64  # computed at once
    queue_rows: int = 4_096  # taken and not answered yet
    max_wait: float = 0.0  # milliseconds that a batch waits for more
    body_seconds: float = 30.0  # that a request's body may take to arrive
    drain_seconds: float = 30.0  # that the end waits for answers

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise UsageError(f"--port {self.port} is no port; it must lie between 0 and 65535")
        if self.threshold is not None and not 0 <= self.threshold <= 1:  # NaN is not
            raise UsageError(f"--threshold {self.threshold:g} is no probability; it must lie between 0 and 1")
        for name in ("max_body_mb", "max_rows", "max_pixels", "batch_rows", "body_seconds", "drain_seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name):g} must be positive")
        if not 0 <= self.max_wait < math.inf:
            raise UsageError(f"--max-wait {self.max_wait:g} must be a number of milliseconds, or 0")
        if self.queue_rows < self.max_rows:
            raise UsageError(f"--queue-rows {self.queue_rows} must hold a request of --max-rows {self.max_rows}")


def _check_promise(precision: float, confidence: float) -> None:
    """Refuse shares that nobody can promise.

    Raises:
        UsageError: one does not lie between 0 and 1.
    """
    for flag, share in (("--precision", precision), ("--confidence", confidence)):
        if not 0 < share < 1:  # NaN is not
            raise UsageError(f"{flag} {share:g} must lie between 0 and 1, such as 0.95")


def digest(*parts: object) -> str:
    """Return one digest of configs and of the digests of what they were applied to."""
    plain = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in parts]  # type: ignore[call-overload]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def parse_duration(text: str) -> float:
    """Return seconds from a number with a unit: 90, 90s, 2m, 1.5h.

    Raises:
        UsageError: it is none, or not positive.

    >>> parse_duration("2m"), parse_duration("1.5h"), parse_duration("90")
    (120.0, 5400.0, 90.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", text.strip())
    seconds = float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"] if found else 0.0
    if seconds <= 0:
        raise UsageError(f"{text!r} is no duration; write 90s, 2m or 1.5h")
    return seconds


def parse_sides(text: str, flag: str) -> tuple[int, ...]:
    """Return (height, width) or (height, width, channels) from 28x28 or 32x32x3; a single side is a square's.

    Raises:
        UsageError: it is none of these.

    >>> parse_sides("28x28", "--size"), parse_sides("64", "--size"), parse_sides("32x48x3", "--shape")
    ((28, 28), (64, 64), (32, 48, 3))
    """
    if re.fullmatch(r"[1-9][0-9]*([x×][1-9][0-9]*){0,2}", text.strip()) is None:
        raise UsageError(f"{flag} {text}: write HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS, such as 28x28 or 32x32x3")
    sides = tuple(int(side) for side in re.split("[x×]", text.strip()))
    return sides * 2 if len(sides) == 1 else sides


def parse_tolerance(text: str, rows: int) -> int:
    """Return how many of ``rows`` rows may fail: a count, or a share such as 1%.

    Raises:
        UsageError: it is neither.

    >>> parse_tolerance("3", 1000), parse_tolerance("0.5%", 1000)
    (3, 5)
    """
    found = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)%", text.strip())
    if found is None or float(found[2] or 0) > 100:
        raise UsageError(f"--max-failed {text}: write a count such as 10, or a share such as 1%")
    return int(found[1]) if found[1] else math.floor(float(found[2]) * rows / 100)


def parse_pairs(texts: list[str], flag: str) -> dict[str, str]:
    """Return the pairs of ``NAME=VALUE`` texts.

    Raises:
        UsageError: one has no equals sign, or a name comes twice.

    >>> parse_pairs(["a=1", "b=x=y"], "--set")
    {'a': '1', 'b': 'x=y'}
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text}: write {flag} NAME=VALUE")
        if name in pairs:
            raise UsageError(f"{flag} names {name!r} twice")
        pairs[name] = value
    return pairs


def read_file(path: Path) -> dict[str, dict[str, Any]]:
    """Return the tables of a ``labelsvc.toml``, one for each verb; empty where there is no file.

    Raises:
        InputError: the file is no TOML, or has values outside tables.
    """
    if not path.exists():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(f"{path}: {name!r} stands outside a table; write it below [train] or another verb")
    return tables
