"""Files of another program's predictions: Parquet or CSV with a column ``id`` and one of probabilities for each class.

Other columns are left alone. The numbers are taken as they are; a row adds up to 1, within what single precision and
a few printed digits lose. Knows nothing of which ids there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labelsvc.data import labels
from labelsvc.data.cells import Place
from labelsvc.data.columns import check_ids
from labelsvc.data.forms import is_text
from labelsvc.data.label_files import IDS
from labelsvc.data.tables import read_columns
from labelsvc.errors import InputError

TOLERANCE = 1e-3  # of a row's sum


@dataclass(frozen=True)
class PredictionFile:
    """What a file says: each id once, in its order, and the probabilities [rows, classes] of each."""

    ids: list[str]
    scores: NDArray[np.float64]


def read_prediction_file(path: Path, classes: Sequence[str], *, keys: Sequence[str] = IDS) -> PredictionFile:
    """Return the ids and their probabilities; the ids stand in the first of the columns ``keys`` that there is.

    Raises:
        InputError: the file cannot be read, lacks a column, or has an id twice or none; or a row's values are no
            probabilities, or do not add up to 1.
    """
    table = read_columns(path, lambda names: _columns(names, classes, keys, path))
    key = table.schema.names[0]
    column = table[key].combine_chunks()
    check_ids(column.type, column=f"column {key!r} of {path}")
    ids = labels.ids(column, Place(path, key, 0))
    _refuse_twice(ids, path)
    scores = np.stack([_numbers(table[name].combine_chunks(), Place(path, name, 0)) for name in classes], axis=1)
    _check(scores, ids, classes, path)
    return PredictionFile(ids, np.minimum(scores, 1.0))


def _columns(names: list[str], classes: Sequence[str], keys: Sequence[str], path: Path) -> list[str]:
    """Return the column of ids and those of the classes, in the classes' order."""
    key = next((name for name in keys if name in names), None)
    if key is None:
        raise InputError(f"{path} has no column {' or '.join(map(repr, keys))}; it has {_listed(names)}")
    wanted = [key, *classes]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(
            f"{path} has no column for {_listed(missing)}; predictions have one column of probabilities for each "
            f"class, called as the class is: {_listed(list(classes))}"
        )
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise InputError(f"{path} has more than one column called {twice[0]!r}; rename all but one")
    return wanted


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(map(repr, names[:most])) or "none") + more


def _refuse_twice(ids: Sequence[str], path: Path) -> None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise InputError(f"{path} has the id {one!r} twice; keep one row of it")
        seen.add(one)


def _numbers(column: pa.Array, place: Place) -> NDArray[np.float64]:
    """Return a column as float64, NaN where it is null."""
    kind, types = column.type, pa.types
    if not (is_text(kind) or types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind)):
        raise InputError(f"{place} is {kind}; probabilities are numbers")
    try:
        found: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise InputError(f"{place.at(_first_word(column))}: it is no number; probabilities are numbers") from error
    return found


def _first_word(texts: pa.Array) -> int:
    """Return the first row of a column of text that is no number."""
    for row in range(len(texts)):
        try:
            texts.slice(row, 1).cast(pa.float64())
        except pa.ArrowInvalid:
            return row
    raise AssertionError("the column as a whole is no column of numbers")


def _check(scores: NDArray[np.float64], ids: Sequence[str], classes: Sequence[str], path: Path) -> None:
    """Refuse the first row that is no distribution."""
    for wrong, what in ((~np.isfinite(scores), "missing, or no number"), (scores < 0, "negative")):
        if wrong.any():
            row, code = (int(place) for place in np.argwhere(wrong)[0])
            raise InputError(
                f"{path}, id {ids[row]!r}: the probability of {classes[code]!r} is {what}; "
                "give each class a probability, or leave the row out"
            )
    sums = scores.sum(axis=1)
    odd = np.flatnonzero(np.abs(sums - 1) > TOLERANCE)
    if len(odd):
        raise InputError(
            f"{path}, id {ids[odd[0]]!r}: the probabilities of the {len(classes)} classes add up to "
            f"{sums[odd[0]]:.6g}, not to 1 ({len(odd):,} such rows); give probabilities, such as the softmax of scores"
        )
