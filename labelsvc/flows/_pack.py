"""pack: a folder of pictures becomes a Parquet file that every other verb reads."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from labelsvc.data import packing
from labelsvc.data.packing import PictureFolder, find_pictures
from labelsvc.errors import UsageError
from labelsvc.records import SILENCE, Listener, Progress, RowCount


@dataclass(frozen=True)
class PackOutcome:
    """A written file of pictures; files that are no pictures count as skipped rows."""

    path: str
    rows: RowCount
    classes: tuple[str, ...]
    next_command: str


def pack(
    folder: str | Path,
    target: str | Path,
    *,
    labels: str | Path | None = None,
    listener: Listener = SILENCE,
) -> PackOutcome:
    """Write all pictures below a folder to a Parquet file, their bytes as they are.

    Args:
        folder: a picture's id is its path below it, its label the first folder on that path, if there is one.
        target: the Parquet file, replaced if it is there.
        labels: a CSV or Parquet file that says the labels instead: the columns ``id``, ``path``, ``file`` or
            ``filename`` (a path below the folder, or a unique file name with or without suffix) and ``label``.
        listener: hears what is happening.

    Raises:
        InputError: there is no folder, no picture in it, or the file of labels names what is not there.
        UsageError: the target is not called ``*.parquet``.
    """
    if Path(target).suffix.lower() != ".parquet" or Path(target).is_dir():
        raise UsageError(f"{target} is no name of a Parquet file; call it such as out.parquet")
    found = find_pictures(Path(folder), None if labels is None else Path(labels))
    if found.others:
        others = f"{len(found.others):,} files are no pictures and are left out, such as {found.others[0]}"
        listener.note(f"{others}; pictures end in {', '.join(packing.SUFFIXES)}")
    for done in packing.pack(found, Path(target)):
        listener.progress(Progress("pack", done, len(found.names), "pictures"))
    return PackOutcome(str(target), _rows(found), found.classes, f"labelsvc ingest {shlex.quote(str(target))}")


def _rows(found: PictureFolder) -> RowCount:
    unlabeled = found.labels.count(None)
    pictures, others = len(found.names), len(found.others)
    return RowCount(pictures + others, labeled=pictures - unlabeled, abstained=unlabeled, skipped=others)
