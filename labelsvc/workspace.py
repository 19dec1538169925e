"""Where a labeling task keeps what it makes: one folder, one store, a folder per run, a cache.

::

    workspace/
      labels.duckdb        samples, labels, runs, models
      runs/<run id>/       weights, metrics, pool predictions; frozen when the run ends
      cache/<digest>/      decoded inputs; may be deleted at any time

Knows paths and how to give a finished file its name; knows nothing of what is in the files.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labelsvc.errors import InputError, LabelsvcError


@dataclass(frozen=True)
class Workspace:
    """One labeling task's folder."""

    root: Path

    @property
    def store_path(self) -> Path:
        """The DuckDB file."""
        return self.root / "labels.duckdb"

    @property
    def cache_path(self) -> Path:
        """The folder of decoded inputs."""
        return self.root / "cache"

    def run_path(self, run_id: str) -> Path:
        """Return the folder of one run, made where it is missing."""
        path = self.root / "runs" / run_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def checkpoint_path(self, run_id: str) -> Path:
        """Return where the state of a training lies while it lasts."""
        return self.root / "runs" / run_id / "checkpoint.pt"

    def relative(self, path: Path) -> str:
        """Return ``path`` as the store writes it: relative to the workspace."""
        return path.relative_to(self.root).as_posix()


def create(root: Path) -> Workspace:
    """Return the workspace at ``root``, making the folder where it is missing.

    Raises:
        InputError: the folder cannot be made or written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the workspace {root}: {error.strerror}; name another with --workspace"
        ) from error
    if not os.access(root, os.W_OK):
        raise InputError(f"the workspace {root} cannot be written; name another with --workspace")
    return Workspace(root)


def find(root: Path) -> Workspace:
    """Return the workspace at ``root``, which must hold a store.

    Raises:
        InputError: nothing was ingested there.
    """
    workspace = Workspace(root)
    if not workspace.store_path.exists():
        raise InputError(
            f"there is no workspace at {root} (no labels.duckdb in it); "
            "make one with `labelsvc ingest FILE...`, or name yours with --workspace"
        )
    return workspace


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target`` to write to; it takes the target's name when the block succeeds.

    What the block leaves behind when it fails is removed, and ``target`` is as it was.

    Raises:
        InputError: the place cannot be written.
        LabelsvcError: there is no room for it.
    """
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}.", suffix=target.suffix)
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            partial.chmod(0o644)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_ENTRY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST})


@contextmanager
def writing_to(target: Path) -> Iterator[None]:
    """Say of a failure to write what was to be written, and what to do about it.

    Raises:
        InputError: the place cannot be written.
        LabelsvcError: there is no room for it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise LabelsvcError(
                f"{target} cannot be written: {os.strerror(error.errno)}; make room there and run the command again. "
                "Nothing of it was kept, and what was there before is as it was"
            ) from error
        if error.errno in NO_ENTRY and str(error.filename or "").startswith(str(target.parent)):
            raise InputError(f"{target} cannot be written: {error.strerror}; name another place") from error
        raise
