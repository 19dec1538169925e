"""A folder of pictures to one Parquet file, which is what the other verbs read.

A picture's id is its path below the folder. Its label is the first folder on that path, or what a file of labels says.
Bytes are copied as they are, nothing is decoded.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.data.label_files import LabelFile, read_labels
from labelsvc.data.pictures import read_picture
from labelsvc.errors import InputError
from labelsvc.workspace import written_beside

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp")
KEYS = ("path", "file", "filename", "file_name", "id")  # the column of a file of labels that names the picture
GROUP_ROWS, GROUP_BYTES = 5_000, 64 << 20  # of a row group, at most; a single picture may have more bytes
PAGE_ROWS = 16  # a page ends after this many at the earliest, and a reader holds whole pages of photos in memory
NAMED = 3  # entries in a message

_FEATURES = {
    "id": {"dtype": "string", "_type": "Value"},
    "image": {"_type": "Image"},
    "label": {"dtype": "string", "_type": "Value"},
}
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.string()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder by their paths below it, the label of each, and what else lies there."""

    folder: Path
    names: tuple[str, ...]
    labels: tuple[str | None, ...]
    others: tuple[Path, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of all classes, sorted."""
        return tuple(sorted({label for label in self.labels if label is not None}))


def find_pictures(folder: Path, labels: Path | None = None) -> PictureFolder:
    """Find all pictures below a folder, known by their suffix; hidden files and folders are passed over.

    Raises:
        InputError: there is no such folder or no picture in it; the file of labels cannot be read, names a picture
            that is not there or one of several alike.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name the one that holds the pictures")
    files = list(walk(folder))
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not pictures:
        raise InputError(f"the folder {folder} holds no picture (a file that ends in {', '.join(SUFFIXES)})")
    names = tuple(name_below(picture, folder) for picture in pictures)
    told = _classes(names) if labels is None else _told(names, read_labels(labels, keys=KEYS), labels)
    others = tuple(file for file in files if file.suffix.lower() not in SUFFIXES)
    return PictureFolder(folder, names, tuple(told), others)


def pack(found: PictureFolder, target: Path) -> Iterator[int]:
    """Write the pictures to a Parquet file, yielding after each row group how many are written.

    ``target`` takes its name at the end.

    Raises:
        InputError: a picture cannot be read.
    """
    done = 0
    with (
        written_beside(target) as partial,
        pq.ParquetWriter(
            partial, SCHEMA, compression="zstd", use_dictionary=["label"], write_batch_size=PAGE_ROWS
        ) as writer,
    ):
        for pictures in _row_groups(found):
            rows = slice(done, done + len(pictures))
            writer.write_table(_table(found.names[rows], pictures, found.labels[rows]))
            done += len(pictures)
            yield done


def _table(names: Sequence[str], pictures: Sequence[bytes], labels: Sequence[str | None]) -> pa.Table:
    cells = [{"bytes": data, "path": PurePosixPath(name).name} for data, name in zip(pictures, names, strict=True)]
    columns = zip((names, cells, labels), SCHEMA, strict=True)
    return pa.table([pa.array(values, field.type) for values, field in columns], schema=SCHEMA)


def walk(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield what lies below a folder, sorted at each level, links followed unless they lead to where one came from."""
    here = folder.resolve()
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from walk(path, above | {here})
        else:
            yield path


def name_below(picture: Path, folder: Path) -> str:
    """Return the path of a picture from its folder on, with slashes.

    Raises:
        InputError: it is no UTF-8.
    """
    name = picture.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the name of {str(picture)!r} is no UTF-8; rename it") from error
    return name


def _classes(names: Sequence[str]) -> list[str | None]:
    """Return the first folder of each path, None where the picture lies in none."""
    parts = (PurePosixPath(name).parts for name in names)
    return [folders[0] if folders else None for *folders, _ in parts]


def _told(names: Sequence[str], file: LabelFile, path: Path) -> list[str | None]:
    """Return the label that a file tells of each picture, None of those that it does not name.

    Raises:
        InputError: an entry names no picture or several, or two entries tell different labels of one.
    """
    told: dict[int, str | None] = {}
    for place, label in zip(_meant(names, file.ids, path), file.labels, strict=True):
        known = told.setdefault(place, label)
        if known is None:
            told[place] = label
        elif label not in (None, known):
            raise InputError(f"{path} gives {names[place]!r} two labels, {known!r} and {label!r}; keep one of them")
    return [told.get(place) for place in range(len(names))]


def _meant(names: Sequence[str], keys: Sequence[str], path: Path) -> list[int]:
    """Return the place of the picture that each key means."""
    meanings = _meanings(names)
    plain = [str(PurePosixPath(key)) for key in keys]  # ./cat/1.png is cat/1.png
    unknown = [repr(key) for key in plain if key not in meanings]
    if unknown:
        raise InputError(
            f"{path} names {len(unknown):,} pictures that are not in the folder: {', '.join(unknown[:NAMED])}; "
            "correct or remove these rows"
        )
    for key in plain:
        if len(meanings[key]) > 1:
            several = ", ".join(names[place] for place in meanings[key][:NAMED])
            raise InputError(f"{path} names {key!r}, which may be any of {several}; write the path below the folder")
    return [meanings[key][0] for key in plain]


def _meanings(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the places of the pictures that a text may mean: a path, else a file name, else one without suffix."""
    paths = [PurePosixPath(name) for name in names]
    meanings: dict[str, list[int]] = {}
    for texts in (names, [path.name for path in paths], [path.stem for path in paths]):
        places: dict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            places[text].append(place)
        meanings = {**places, **meanings}
    return meanings


def _row_groups(found: PictureFolder) -> Iterator[list[bytes]]:
    """Yield the bytes of all pictures, in order, a row group at a time."""
    group: list[bytes] = []
    size = 0
    for name in found.names:
        data = read_picture(found.folder / name)
        if group and (len(group) == GROUP_ROWS or size + len(data) > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(data)
        size += len(data)
    if group:
        yield group
