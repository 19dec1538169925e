"""What every flow that writes does alike: one run in the store, with its start, its end and what came of it."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labelsvc import __version__
from labelsvc.errors import LabelsvcError
from labelsvc.records import LabelSet, RowCount
from labelsvc.store import runs
from labelsvc.store.database import Store
from labelsvc.workspace import Workspace

PARTS = ("torch", "torchvision", "duckdb", "pyarrow", "onnxruntime-gpu", "onnxruntime", "numpy")
PATIENCE = 600.0  # seconds that a run waits for the store's lock before what it found is lost


@dataclass
class Session:
    """A run while it lasts. What is set here is recorded when it ends."""

    workspace: Workspace
    store: Store
    run_id: str
    resumed: bool = False  # whether an earlier process began it
    rows: RowCount = field(default_factory=RowCount)
    stop_reason: str | None = None
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.workspace.run_path(self.run_id)


def open_store(workspace: Workspace) -> Store:
    """Return the store of a workspace, not yet opened."""
    return Store(workspace.store_path)


@contextmanager
def recorded(workspace: Workspace, run: runs.NewRun, *, resumable: bool = False) -> Iterator[Session]:
    """Record ``run`` from its start to its end, whichever way it ends.

    Where it is ``resumable`` and one of the same config was interrupted, that run goes on.
    """
    store = open_store(workspace)
    earlier = unfinished(workspace, store, run.command, run.config_hash) if resumable else None
    if earlier is None:
        run_id = runs.start(store, run)
    else:
        run_id = earlier.run_id
        runs.reopen(store, run_id)
    session = Session(workspace, Store(workspace.store_path, patience=PATIENCE), run_id, resumed=earlier is not None)
    try:
        yield session
    except BaseException as error:
        status: runs.Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        said = _in_a_line(error)
        with suppress(LabelsvcError):  # what went wrong first is what must be told
            runs.finish(session.store, session.run_id, status, session.rows, error=said, outcome=session.outcome)
        raise
    runs.finish(
        session.store,
        session.run_id,
        "done",
        session.rows,
        stop_reason=session.stop_reason,
        outcome=session.outcome,
    )


def unfinished(
    workspace: Workspace, store: Store, command: str, config_hash: str | None = None
) -> runs.RunRecord | None:
    """Return the newest run of a command if it can be gone on with: interrupted, or failed with a checkpoint."""
    found = runs.find_unfinished(store, command, config_hash)
    if found is None or (found.status == "failed" and not workspace.checkpoint_path(found.run_id).exists()):
        return None
    return found


def predictions_of(workspace: Workspace, store: Store, label_set: LabelSet) -> Path | None:
    """Return the file of all that a label set's model said of what it was shown, None where it is gone.

    Where the prior was adjusted, these are the adjusted words, by which the labels were accepted.
    """
    outcome = runs.get(store, label_set.run_id).outcome
    said = outcome.get("adjusted") or outcome.get("predictions")
    path = workspace.root / said if said else None
    return path if path is not None and path.is_file() else None


def versions() -> Mapping[str, str]:
    """Return the versions of labelsvc, Python and the parts that decide results."""
    found = {"labelsvc": __version__, "python": platform.python_version()}
    for part in PARTS:
        try:
            found[part] = importlib.metadata.version(part)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _in_a_line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the user"
    return f"{type(error).__name__}: {error}".splitlines()[0]
