"""Ids, labels and groups as text, whatever the type of their column.

A label is its class's name: strings as they are, Hugging Face's codes by name (a negative one is no label), other
integers as their digits, booleans as ``false`` and ``true``, and what pandas makes of integers with gaps undone.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from labelsvc.data.cells import Place
from labelsvc.data.columns import check_labels
from labelsvc.errors import InputError

NO_ID = "the id is null; give each row an id, or none"
QUANTITY = (
    ". labelsvc learns classes, not quantities: cut a quantity into ranges, such as low, middle and high, and label "
    "with these, or name another column with --label-column"
)
_EXACT = 2.0**53  # up to which floats hold all integers


def ids(column: pa.Array, place: Place) -> list[str]:
    """Return a column of ids as text.

    Raises:
        InputError: an id is null.
    """
    texts = _as_text(_plain(column))
    if texts.null_count:
        raise InputError(f"{place.row(texts.is_null())}: {NO_ID}")
    names: list[str] = texts.to_pylist()
    return names


def ids_as_they_are(column: pa.Array) -> list[str | None]:
    """Return a column of ids as text, None where one is null."""
    names: list[str | None] = _as_text(_plain(column)).to_pylist()
    return names


def labels(
    column: pa.Array, place: Place, *, classes: Sequence[str] = (), missing: str | None = None
) -> list[str | None]:
    """Return the class name of each row, None where it has no label.

    ``classes`` are the names of codes, if the file declares them; ``missing`` is the text of a label that means none.

    Raises:
        InputError: the column holds no labels, a code has no name, or a number is not whole.
    """
    check_labels(column.type, column=str(place))
    texts = _named_codes(column, classes, place) if classes else _names(column, place, "label")
    return [None if name == missing else name for name in texts.to_pylist()]


def groups(column: pa.Array, place: Place) -> list[str | None]:
    """Return a column of groups as text, None where a row is in none.

    Raises:
        InputError: a number is not whole.
    """
    names: list[str | None] = _names(column, place, "group").to_pylist()
    return names


def _names(column: pa.Array, place: Place, what: str) -> pa.Array:
    column = _plain(column)
    if pa.types.is_floating(column.type):
        column = _whole_numbers(column, place, what)
    return _as_text(column)


def _named_codes(codes: pa.Array, classes: Sequence[str], place: Place) -> pa.Array:
    unknown = pc.fill_null(pc.greater_equal(codes, len(classes)), fill_value=False)
    if pc.any(unknown).as_py():
        raise InputError(
            f"{place.row(unknown)}: the label's code is none of the {len(classes)} classes "
            "that the file's metadata names (codes start at 0); correct the code or the metadata"
        )
    return pa.array(classes, pa.string()).take(pc.if_else(pc.less(codes, 0), None, codes))


def _whole_numbers(column: pa.Array, place: Place, what: str) -> pa.Array:
    """Undo what pandas does to integers with gaps: floats, and NaN where there is none."""
    column = column.cast(pa.float64())
    column = pc.if_else(pc.is_nan(column), None, column)
    broken = pc.or_(pc.not_equal(pc.floor(column), column), pc.greater(pc.abs(column), _EXACT))
    broken = pc.fill_null(broken, fill_value=False)
    if pc.any(broken).as_py():
        kindly = QUANTITY if what == "label" else ""
        raise InputError(
            f"{place.row(broken)}: the {what} is a fraction, or too large to be exact; give names or codes{kindly}"
        )
    return column.cast(pa.int64())


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _as_text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())
