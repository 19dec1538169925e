"""--resume: an interrupted run goes on as it was started, without its options being said again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from labelsvc.config import IngestConfig, LabelConfig, TrainConfig
from labelsvc.errors import UsageError
from labelsvc.flows._run import RunConfig
from labelsvc.flows._session import open_store, unfinished
from labelsvc.records import Listener
from labelsvc.store.runs import RunRecord
from labelsvc.workspace import find


@dataclass(frozen=True)
class ToldRun:
    """What an invocation of ``run`` was told."""

    files: tuple[str, ...]
    test: tuple[str, ...]
    onnx: str | None
    config: RunConfig


def interrupted_training(workspace: str | Path, command: str, listener: Listener) -> TrainConfig:
    """Return what the newest ``train`` or ``distill`` was told, if it was interrupted.

    Raises:
        UsageError: there is nothing to go on with.
    """
    return TrainConfig(**_settings(TrainConfig, _newest(workspace, command, listener).config))


def interrupted_rounds(workspace: str | Path, listener: Listener) -> LabelConfig:
    """Return what the newest ``label --rounds`` was told, if it was interrupted.

    Raises:
        UsageError: there is nothing to go on with.
    """
    return LabelConfig(**_settings(LabelConfig, _newest(workspace, "rounds", listener).config))


def interrupted_run(workspace: str | Path, listener: Listener) -> ToldRun:
    """Return what the newest ``run`` was told, if it was interrupted.

    Raises:
        UsageError: there is nothing to go on with.
    """
    told = _newest(workspace, "run", listener).config
    config = RunConfig(
        IngestConfig(**_settings(IngestConfig, told["ingest"])),
        TrainConfig(**_settings(TrainConfig, told["train"])),
        LabelConfig(**_settings(LabelConfig, told["label"])),
    )
    return ToldRun(tuple(told["files"]), tuple(told["test"]), told["onnx"] or None, config)


def _newest(workspace: str | Path, command: str, listener: Listener) -> RunRecord:
    place = find(Path(workspace))
    found = unfinished(place, open_store(place), command)
    if found is None:
        raise UsageError(f"the newest {command!r} of {place.root} was not interrupted; there is nothing to resume")
    listener.note(f"run {found.run_id} of {found.started_at:%Y-%m-%d %H:%M} UTC goes on with its own settings")
    return found


def _settings(kind: type[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return those recorded values that are settings of ``kind``, as they were before JSON made lists of tuples."""
    names = {field.name for field in fields(kind)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items() if name in names}
