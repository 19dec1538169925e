"""The Parquet files that names stand for: files, folders with all that lies below, and patterns.

Folders called ``key=value`` below a named folder, or below the start of a pattern, are Hive partitions: a column that
the files in them need not repeat. Opens no file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from labelsvc.errors import InputError

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # Hive's null
_WILD = r"[*?\[]"


@dataclass(frozen=True)
class InputFile:
    """A file, and the values of the columns that stand in its folders."""

    path: Path
    partitions: Mapping[str, str | None] = field(default_factory=dict, hash=False)


def expand(names: Sequence[str | Path]) -> tuple[InputFile, ...]:
    """Return the files that ``names`` stand for, in order, each once.

    A folder stands for all ``*.parquet`` below it, a pattern (``*``, ``?``, ``[...]``, ``**``) for all that it matches,
    sorted. Below a folder or a pattern's start, what begins with a dot or an underscore is left out.

    Raises:
        InputError: there is no such file, a folder holds no Parquet file, or nothing matches a pattern.
    """
    found: dict[Path, InputFile] = {}
    for name in names:
        for file in _expanded(Path(name)):
            key = file.path.resolve()
            first = found.get(key, file)
            found[key] = InputFile(first.path, {**first.partitions, **file.partitions})
    return tuple(found.values())


def partitions(folders: Sequence[str]) -> dict[str, str | None]:
    """Return the columns that stand in the names of folders, of one key the innermost.

    >>> partitions(["2026", "label=a%20cat", "kind=__HIVE_DEFAULT_PARTITION__"])
    {'label': 'a cat', 'kind': None}
    """
    parts = (folder.partition("=") for folder in folders)
    pairs = {unquote(key): value for key, equals, value in parts if equals and key}
    return {key: None if value == NO_VALUE else unquote(value) for key, value in pairs.items()}


def is_hidden(parts: Sequence[str]) -> bool:
    """Say whether a file is left out below a folder: it, or a folder on the way, begins with a dot or an underscore.

    >>> is_hidden(["2026", "_temporary", "a.parquet"]), is_hidden(["2026", "a.parquet"])
    (True, False)
    """
    return any(part.startswith((".", "_")) for part in parts)


def _expanded(name: Path) -> list[InputFile]:
    files: list[InputFile] = []
    if name.is_file():
        files, problem = [InputFile(name)], ""
    elif name.is_dir():
        files = _within(name, _below(name))
        problem = f"the folder {name} holds no *.parquet file; name another, or the files themselves"
    elif re.search(_WILD, str(name)):
        files, problem = _matching(name), f"no file matches {name}; check the pattern"
    else:
        problem = f"there is no file {name}; check the path"
    if not files:
        raise InputError(problem)
    return files


def _matching(pattern: Path) -> list[InputFile]:
    """Return the files that match a pattern, and those below the folders that do."""
    parts = [*pattern.parts, "*.parquet"] if pattern.name == "**" else [*pattern.parts]
    start = next(place for place, part in enumerate(parts) if re.search(_WILD, part))
    root = Path(*parts[:start])
    try:
        matches = sorted(root.glob("/".join(parts[start:])))
    except ValueError as error:
        raise InputError(f"{pattern} is no pattern: {error}") from error
    files = [file for match in matches for file in (_below(match) if match.is_dir() else [match])]
    return _within(root, files)


def _below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def _within(root: Path, paths: Sequence[Path]) -> list[InputFile]:
    """Return the files that are not hidden, with the partitions that stand between ``root`` and each."""
    below = [(path, path.relative_to(root).parts) for path in paths if path.is_file()]
    return [InputFile(path, partitions(parts[:-1])) for path, parts in below if not is_hidden(parts)]
