"""A paper's hyper-parameters as fields of a method: default, symbol, bounds and meaning, said once and in place.

They are checked when a method is made, and `labelsvc methods NAME` lists them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labelsvc.errors import UsageError


@dataclass(frozen=True)
class Hyperparameter:
    """What is known of one of a method's fields beside its name."""

    default: bool | int | float | str
    symbol: str  # in the paper, empty where it has none
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    is_open: bool = False  # whether the bounds themselves are refused

    @property
    def bounds(self) -> str:
        """The values that it takes, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return " or ".join(self.choices)
        if self.is_open:
            return f"between {self.low:g} and {self.high:g}, neither included"
        return f"{self.low:g} to {self.high:g}"

    def admits(self, value: Any) -> bool:  # noqa: ANN401 - whatever a caller gave
        """Return whether ``value`` is one of them; NaN never is."""
        if isinstance(self.default, bool):
            return isinstance(value, bool)
        if self.choices:
            return value in self.choices
        if self.is_open:
            return bool(self.low < value < self.high)
        return bool(self.low <= value <= self.high)


def number(default: float, low: float, high: float, meaning: str, *, symbol: str = "", is_open: bool = False) -> Any:  # noqa: ANN401 - a field stands for its default
    """Return a field for a number between two bounds, whole if its default is."""
    return _field(Hyperparameter(default, symbol, meaning, low, high, is_open=is_open))


def choice(default: str, choices: tuple[str, ...], meaning: str) -> Any:  # noqa: ANN401
    """Return a field for one of several words."""
    return _field(Hyperparameter(default, "", meaning, choices=choices))


def truth(default: bool, meaning: str) -> Any:  # noqa: ANN401
    """Return a field for true or false."""
    return _field(Hyperparameter(default, "", meaning))


def _field(about: Hyperparameter) -> Any:  # noqa: ANN401
    return dataclasses.field(default=about.default, metadata={"about": about})


def of(method: Any) -> Iterator[tuple[str, Hyperparameter]]:  # noqa: ANN401 - any method, or its class
    """Yield the name of each hyper-parameter of a method, or of its class, with what is known of it."""
    for field in dataclasses.fields(method):
        if "about" in field.metadata:
            yield field.name, field.metadata["about"]


def check(method: Any) -> None:  # noqa: ANN401 - any method
    """Refuse a method with a hyper-parameter out of its bounds.

    Raises:
        UsageError: one is; the message names it and what it may be.
    """
    for name, about in of(method):
        value = getattr(method, name)
        if not about.admits(value):
            raise UsageError(f"{name}={value} is out of bounds: {about.meaning}, {about.bounds}")
