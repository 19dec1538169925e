"""What each verb may be told, as frozen records with their defaults, and how texts become values.

The command line fills these from flag, environment, ``labelsvc.toml`` and default; Python callers make them directly.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labelsvc.errors import InputError, UsageError

DEFAULT_BUDGET = 120.0  # seconds, where neither steps nor a budget are given
DEFAULT_THRESHOLD = 0.95


@dataclass(frozen=True)
class IngestConfig:
    """Which columns to read, and how many labeled rows to keep from training (shares below 1, else counts)."""

    id_column: str | None = None
    label_column: str | None = None
    image_column: str | None = None
    validation: float | None = None
    calibration: float | None = None
    cache_gb: float = 20.0  # of decoded inputs kept; beyond it the least recently used go, to be decoded again


@dataclass(frozen=True)
class TrainConfig:
    """How to train: ``steps`` or a ``budget`` in seconds, not both."""

    method: str = "softmatch"
    steps: int | None = None
    budget: float | None = None
    network: str = "auto"
    views: str = "auto"
    device: str = "auto"
    seed: int = 0
    balanced: bool = False
    keep_moments: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)

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
    """Which labels to accept: confidence at or above the threshold, of a class of its own where it has one."""

    threshold: float = DEFAULT_THRESHOLD
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None  # any unique ending of a model's id, or ``latest``
    device: str = "auto"
    message: str = ""


@dataclass(frozen=True)
class PredictConfig:
    """How to use a student on new rows."""

    threshold: float = 0.0
    device: str = "auto"
    image_column: str | None = None
    id_column: str | None = None


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
