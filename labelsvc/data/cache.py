"""Decoded inputs on disk: one folder per dataset, memory-mapped, safe to delete at any time.

::

    cache/<digest>/
      inputs.bin    [rows, *sides] of the shape's type (uint8 of pictures, float32 else), nothing else in the file
      meta.json     the shape and the number of rows; written last

An input's position is its running index over the rows that decode, in file and row order, so that a folder
written anew from the same files has every input where it was. Knows nothing of samples.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from labelsvc.data.columns import Columns
from labelsvc.data.decoding import decode_batches, rows_per_batch
from labelsvc.data.reading import file_digest, read_batches
from labelsvc.errors import InputError
from labelsvc.records import Decoded, InputShape, shape_of
from labelsvc.workspace import Workspace, writing_to

FILE = "inputs.bin"
ABANDONED_AFTER = 24 * 3600.0  # seconds without a write, of a folder that never got its name


@dataclass(frozen=True)
class SourceFile:
    """A file that was ingested: where it lies, its SHA-256 then, its columns."""

    path: Path
    digest: str
    columns: Columns


class InputWriter:
    """Write inputs in order into a folder that takes its name when the block succeeds, else is gone."""

    def __init__(self, folder: Path, shape: InputShape) -> None:
        self._folder = folder
        self._shape = shape
        self.rows = 0

    def __enter__(self) -> Self:
        with writing_to(self._folder):
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._partial = Path(tempfile.mkdtemp(dir=self._folder.parent, prefix=f".{self._folder.name}."))
            self._file = (self._partial / FILE).open("wb")
        return self

    def append(self, decoded: Decoded) -> int:
        """Write inputs [rows, *sides] and return the position of the first."""
        first = self.rows
        if decoded.shape[1:] != self._shape.sides:
            raise AssertionError(f"inputs of {decoded.shape[1:]} in a cache of {self._shape}")
        with writing_to(self._folder):
            self._file.write(np.ascontiguousarray(decoded, self._shape.dtype).data)
        self.rows += len(decoded)
        return first

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing_to(self._folder):
                self._file.close()
                if kind is None:
                    meta = {"shape": asdict(self._shape), "rows": self.rows}
                    (self._partial / "meta.json").write_text(json.dumps(meta))
                    self._partial.chmod(0o755)
                    _put_in_place(self._partial, self._folder)
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)


def cache_folder(workspace: Workspace, digest: str) -> Path:
    """Return where the decoded inputs of a dataset lie."""
    return workspace.cache_path / digest


def open_decoded(folder: Path) -> Decoded | None:
    """Return a folder's inputs, memory-mapped and read-only, or ``None`` where there are none complete."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        shape, rows = shape_of(meta["shape"]), int(meta["rows"])
        size = (folder / FILE).stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    dimensions = (rows, *shape.sides)
    if size != rows * shape.bytes:
        return None
    with suppress(OSError):
        (folder / "meta.json").touch()  # when it was last used, for trim
    if rows == 0:
        return np.empty(dimensions, shape.dtype)
    return np.memmap(folder / FILE, np.dtype(shape.dtype), "r", shape=dimensions)


def rebuild(folder: Path, sources: Sequence[SourceFile], *, shape: InputShape, rows: int | None = None) -> Decoded:
    """Decode ``sources`` anew into ``folder`` and open it; ``rows`` is how many inputs there must be.

    Raises:
        InputError: a source file is gone or changed since it was ingested, or other rows decode than then.
    """
    for source in sources:
        _check_unchanged(source)
    batches = read_batches(
        [source.path for source in sources],
        [source.columns for source in sources],
        rows=rows_per_batch(shape),
    )
    with InputWriter(folder, shape) as writer:
        for batch in decode_batches(batches, shape):
            writer.append(batch.decoded)
        if rows is not None and writer.rows != rows:
            raise InputError(
                f"{writer.rows:,} rows of {_named(sources)} can be decoded now, {rows:,} could at "
                "ingest: was Pillow changed, or a picture's own file? Ingest the files into a new workspace"
            )
    decoded = open_decoded(folder)
    if decoded is None:
        raise InputError(f"the cache {folder} went away while it was opened; run the command again")
    return decoded


def trim(workspace: Workspace, limit_bytes: int, *, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Remove the least recently used folders beyond ``limit_bytes`` in all, and return their names.

    Folders named in ``keep`` count but stay. What an interrupted writer left over a day ago goes as well.
    """
    folders = sorted(_folders(workspace.cache_path), key=lambda folder: folder.last_used)
    abandoned = [folder for folder in folders if folder.unfinished and folder.age > ABANDONED_AFTER]
    taken = sum(folder.size for folder in folders) - sum(folder.size for folder in abandoned)
    removed = abandoned
    for folder in folders:
        if taken > limit_bytes and not folder.unfinished and folder.path.name not in keep:
            taken -= folder.size
            removed.append(folder)
    for folder in removed:
        shutil.rmtree(folder.path, ignore_errors=True)
    return tuple(folder.path.name for folder in removed)


@dataclass(frozen=True)
class _Folder:
    """What trimming needs to know of a folder in the cache."""

    path: Path
    size: int
    last_used: float

    @property
    def unfinished(self) -> bool:
        return self.path.name.startswith(".")

    @property
    def age(self) -> float:
        return time.time() - self.last_used


def _folders(cache: Path) -> Iterator[_Folder]:
    for path in cache.iterdir() if cache.is_dir() else ():
        with suppress(FileNotFoundError, NotADirectoryError):  # others may finish or trim meanwhile
            stats = [file.stat() for file in path.iterdir()]
            times = [stat.st_mtime for stat in stats] or [path.stat().st_mtime]
            yield _Folder(path, sum(stat.st_size for stat in stats), max(times))


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename ``partial`` to ``folder``; one of that name steps aside, since folders cannot be replaced."""
    if folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".old.") as aside:
            folder.rename(Path(aside) / folder.name)
            partial.rename(folder)
    else:
        partial.rename(folder)


def _check_unchanged(source: SourceFile) -> None:
    if not source.path.exists():
        raise InputError(f"{source.path} is gone, and the cache of its decoded inputs too; put the file back")
    if file_digest(source.path) != source.digest:
        raise InputError(
            f"{source.path} changed since it was ingested, and the cache of its decoded inputs is gone; "
            "put the old file back, or ingest the new one into a new workspace"
        )


def _named(sources: Sequence[SourceFile]) -> str:
    return ", ".join(str(source.path) for source in sources)
