"""The file that an audit's page saves: which audit, which stage of it, and an answer for each showing of a row.

One JSON object: schema_version, audit, stage, and verdicts, each with id, occurrence (1, or 2 where a row is shown
again), verdict, label (a class, where one was named) and lead_time_s. Verdicts are right, wrong (with the right class
or without), class (the one that a judge picked who was not shown the proposed one), none (of no class) and unsure.
Knows nothing of which rows were drawn.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from labelsvc.errors import InputError

SCHEMA_VERSION = 1
Said = Literal["right", "wrong", "class", "none", "unsure"]
_AGAIN = "save the verdicts on the audit's page again"


@dataclass(frozen=True)
class Answer:
    """What a judge said at one showing of a row."""

    sample_id: str
    occurrence: int
    verdict: Said
    label: str | None
    lead_time_s: float | None


@dataclass(frozen=True)
class VerdictFile:
    """The answers of one stage of an audit, in the order in which they were given."""

    audit_id: str
    stage: int
    answers: tuple[Answer, ...]


def read_verdicts(path: Path) -> VerdictFile:
    """Read what a page saved.

    Raises:
        InputError: there is no such file, or it is none that a page of this version saves; the first mistake is told.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}; check the path, or {_AGAIN}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); {_AGAIN}") from error
    try:
        return _file(said)
    except ValueError as error:
        raise InputError(f"{path} is no file of verdicts: {error}; {_AGAIN}") from error


def _file(said: Any) -> VerdictFile:  # noqa: ANN401 - JSON
    if not isinstance(said, dict):
        raise ValueError("it holds no object")
    if said.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"its schema_version is {said.get('schema_version')!r}, not {SCHEMA_VERSION}")
    audit, stage, verdicts = _values(said, "audit", "stage", "verdicts")
    if not isinstance(audit, str) or not _is_count(stage) or not isinstance(verdicts, list):
        raise ValueError("it lacks audit, stage or verdicts")
    return VerdictFile(audit, int(stage), tuple(_answer(row, one) for row, one in enumerate(verdicts)))


def _answer(row: int, said: Any) -> Answer:  # noqa: ANN401 - JSON
    where = f"verdict {row:,} (from 0)"
    if not isinstance(said, dict):
        raise ValueError(f"{where} is no object")
    sample_id, occurrence, verdict, label, seconds = _values(
        said, "id", "occurrence", "verdict", "label", "lead_time_s"
    )
    if not isinstance(sample_id, str) or not _is_count(occurrence):
        raise ValueError(f"{where} has no id or no occurrence")
    if verdict not in get_args(Said):
        raise ValueError(f"{where} is {verdict!r}, which is none of {', '.join(get_args(Said))}")
    if not isinstance(label, str | None) or (verdict == "class" and label is None):
        raise ValueError(f"{where} names no class")
    if verdict not in ("wrong", "class") and label is not None:
        raise ValueError(f"{where} is {verdict} and names a class, {label!r}")
    if seconds is not None and not _is_duration(seconds):
        raise ValueError(f"{where} took {seconds!r}, which is no number of seconds")
    return Answer(sample_id, int(occurrence), verdict, label, None if seconds is None else float(seconds))


def _values(said: dict[str, Any], *names: str) -> list[Any]:
    return [said.get(name) for name in names]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
