"""What ``--json`` prints: one object with a schema version, the command, and the fields of its outcome.

Turns records into plain JSON; knows nothing of what they mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any

import typer

SCHEMA_VERSION = 1


def say(command: str, record: object = None, **more: object) -> None:
    """Print the one object: ``record``'s fields, and ``more`` beside them."""
    outcome = plain(record) if record is not None else {}
    answer = {"schema_version": SCHEMA_VERSION, "command": command, **outcome, **plain(more)}
    typer.echo(dumps(answer))


def dumps(value: object) -> str:
    """Return ``value`` as JSON text, without NaN."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return ``value`` in JSON's own types: records and mappings as objects, times in ISO 8601, no NaN.

    >>> plain({"pair": (1, float("nan")), "at": date(2026, 11, 20)})
    {'pair': [1, None], 'at': '2026-11-20'}
    """
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return _plain_other(value)


def _plain_other(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Decimal):  # DuckDB's wide integers arrive as such
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "to_pylist"):  # an Arrow table
        return plain(value.to_pylist())
    if hasattr(value, "item"):  # a NumPy number
        return plain(value.item())
    return str(value)
