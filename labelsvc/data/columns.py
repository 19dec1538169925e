"""Which columns of a table hold the picture, the id and the label.

A column that the user names is taken if its type allows it. Otherwise a picture is known by its type, an id
and a label by a short list of names. Reads schemas only, never a row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from labelsvc.errors import InputError

PICTURE_NAMES = ("image", "img", "picture", "jpg", "png", "bytes")
ID_NAMES = ("id", "sample_id", "image_id", "uuid", "__key__")
LABEL_NAMES = ("label", "class", "target", "y")


@dataclass(frozen=True)
class ColumnNames:
    """What the user named; ``None`` asks us to find it."""

    image: str | None = None
    id: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of one file; ``None`` where it has none of the kind."""

    image: str
    id: str | None
    label: str | None


def find_columns(schema: pa.Schema, wanted: ColumnNames, *, where: str) -> Columns:
    """Find the columns of picture, id and label in ``schema``; ``where`` is the file's name for messages.

    A picture is struct{bytes, path} or a binary column: with a telling name, or the only one there is.

    Raises:
        InputError: a named column is missing or of an unfit type; there is no picture column, or several.
    """
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise InputError(f"{where} has more than one column called {_quoted(twice)}; rename all but one")
    image = _named(schema, wanted.image, _holds_pictures, where=where) or _only_picture(schema, where)
    return Columns(
        image=image,
        id=_named(schema, wanted.id, _holds_ids, where=where) or _first(schema, ID_NAMES, _holds_ids),
        label=_named(schema, wanted.label, _holds_labels, where=where) or _first(schema, LABEL_NAMES, _holds_labels),
    )


def label_names(schema: pa.Schema, label_column: str | None) -> tuple[str, ...]:
    """Return the class names that Hugging Face's metadata gives to codes in ``label_column``, else ``()``."""
    if label_column is None or label_column not in schema.names:
        return ()
    if not pa.types.is_integer(schema.field(label_column).type):
        return ()  # the codes were already turned into names, the metadata stayed
    feature = _huggingface_features(schema).get(label_column)
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return ()
    return tuple(str(name) for name in feature.get("names") or ())


def is_picture_struct(kind: pa.DataType) -> bool:
    """Say whether a column is Hugging Face's Image: a struct with binary ``bytes``, first or not."""
    if not pa.types.is_struct(kind):
        return False
    position = kind.get_field_index("bytes")
    return position >= 0 and _is_binary(kind.field(position).type)


def _only_picture(schema: pa.Schema, where: str) -> str:
    binary = [field.name for field in schema if _is_binary(field.type)]
    telling = [name for name in binary if name.lower() in PICTURE_NAMES]
    structs = [field.name for field in schema if is_picture_struct(field.type)]
    candidates = structs + telling or binary
    if not candidates:
        raise InputError(
            f"{where} has no picture column (encoded pictures as struct{{bytes, path}} or binary); "
            f"its columns are {_described(schema)}"
        )
    if len(candidates) > 1:
        raise InputError(
            f"{where} has several columns that may be the picture: {_quoted(candidates)}; name one with --image-column"
        )
    return str(candidates[0])


def _named(schema: pa.Schema, name: str | None, fits: Callable[[pa.DataType], bool], *, where: str) -> str | None:
    if name is None:
        return None
    if name not in schema.names:
        raise InputError(f"{where} has no column {name!r}; its columns are {_described(schema)}")
    kind = schema.field(name).type
    if not fits(kind):
        raise InputError(f"column {name!r} of {where} is {kind}; {_EXPECTED[fits]}")
    return name


def _first(schema: pa.Schema, names: Sequence[str], fits: Callable[[pa.DataType], bool]) -> str | None:
    by_name = {field.name.lower(): field for field in reversed(list(schema))}
    for name in names:
        if name in by_name and fits(by_name[name].type):
            return str(by_name[name].name)
    return None


def _holds_pictures(kind: pa.DataType) -> bool:
    return is_picture_struct(kind) or _is_binary(kind)


def _holds_ids(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return _is_text(kind) or pa.types.is_integer(kind)


def _holds_labels(kind: pa.DataType) -> bool:
    types = pa.types
    return _holds_ids(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)


_EXPECTED: dict[Callable[[pa.DataType], bool], str] = {
    _holds_pictures: "pictures are encoded bytes, as struct{bytes, path} or binary",
    _holds_ids: "ids are strings or integers",
    _holds_labels: "labels are class names or codes: strings, integers or a dictionary of them",
}


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _huggingface_features(schema: pa.Schema) -> dict[str, Any]:
    text = (schema.metadata or {}).get(b"huggingface")
    try:
        features = json.loads(text)["info"]["features"] if text else {}
    except (ValueError, KeyError, TypeError):
        return {}  # somebody else's metadata under that key
    return features if isinstance(features, dict) else {}


def _described(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
