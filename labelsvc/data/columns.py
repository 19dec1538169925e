"""Which columns of a file hold the picture, the vector or the features, the id, the label and the group.

A column that the user names is taken if its type allows it. Otherwise a picture and a vector are known by their type;
in a file without either, all columns that a model can learn from are features of a table. An id and a label are known
by a short list of names; a group is only what the user names. Keys of Hive partitions count as columns
of text. Reads schemas only, never a row.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from labelsvc.data import forms
from labelsvc.data.features import check_columns, is_vector, kind_of
from labelsvc.data.forms import is_binary, is_picture_struct, is_text
from labelsvc.data.remote import Remote
from labelsvc.errors import InputError
from labelsvc.records import InputShape, TableShape, VectorShape

PICTURE_NAMES = ("image", "img", "picture", "jpg", "png", "bytes")
PATH_NAMES = ("image", "img", "picture", "path", "file", "filename", "filepath", "imagepath", "imagefile")
ID_NAMES = ("id", "sample_id", "image_id", "uuid", "__key__")
LABEL_NAMES = ("label", "class", "target", "y")


@dataclass(frozen=True)
class ColumnNames:
    """What the user named; ``None`` asks us to find it, or says that there is none."""

    image: str | None = None
    id: str | None = None
    label: str | None = None
    group: str | None = None
    root: str | None = None  # where the paths of pictures start
    shape: tuple[int, ...] | None = None  # of pictures that are raw bytes
    missing: str | None = None  # the label that means none
    vector: str | None = None
    features: tuple[str, ...] = ()  # of a table
    exclude: tuple[str, ...] = ()  # that are no features
    split_by: str | None = None  # whose largest values are of rows that are kept from training


@dataclass(frozen=True)
class Columns:
    """The columns of one file; ``None`` where it has none of the kind. Its input is a picture, a vector or features.

    ``partitions`` are the values, alike for all rows, of those columns that stand in the file's folders.
    """

    image: str | None
    id: str | None
    label: str | None
    group: str | None = None
    root: str | Remote | None = None
    shape: tuple[int, ...] | None = None
    missing: str | None = None
    partitions: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    vector: str | None = None
    features: tuple[str, ...] = ()
    split_by: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))  # JSON makes lists of tuples
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(self.shape))

    @property
    def kind(self) -> Literal["image", "vector", "table"]:
        """What its rows are."""
        if self.image is not None:
            return "image"
        return "vector" if self.vector is not None else "table"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that models see."""
        one = self.image or self.vector
        return self.features if one is None else (one,)


def find_columns(
    schema: pa.Schema, wanted: ColumnNames, *, where: str, partitions: Mapping[str, str | None] | None = None
) -> Columns:
    """Find the columns of input, id, label and group in ``schema``; ``where`` is the file's name for messages.

    A picture has one of the forms that ``forms`` lists: with a telling name, or the only one there is. Strings are
    paths of pictures only below ``wanted.root``. Where there is no picture, a column of vectors is the input, and where
    there is none of these either, all columns are features that ``profile`` may make something of. ``partitions`` are
    the keys of the file's folders with their values; a column of the file goes before a key of its name. A label is
    taken by the name ``label`` whatever its type, for ``read_batches`` to refuse if it must.

    Raises:
        InputError: a named column is missing or of an unfit type; there is nothing to learn from, or several columns
            may be the picture or the vector.
    """
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise InputError(f"{where} has more than one column called {_quoted(twice)}; rename all but one")
    keys = {key: value for key, value in (partitions or {}).items() if key not in schema.names}
    whole = pa.schema([*schema, *(pa.field(key, pa.string()) for key in keys)])
    label = _named(whole, wanted.label, _holds_labels, where=where)
    found = (
        _named(whole, wanted.id, _holds_ids, where=where) or _first(whole, ID_NAMES, _holds_ids),
        label or _first(whole, LABEL_NAMES[:1], _holds_any) or _first(whole, LABEL_NAMES[1:], _holds_labels),
        _named(whole, wanted.group, _holds_groups, where=where),
    )
    used = {key: value for key, value in keys.items() if key in found}
    root = None if wanted.root is None else str(Path(wanted.root).absolute())  # it may be read again from elsewhere
    split_by = _named(schema, wanted.split_by, _has_an_order, where=where)
    columns = Columns(None, *found, root, wanted.shape, wanted.missing, used, split_by=split_by)
    return _with_input(columns, schema, wanted, where)


def _with_input(columns: Columns, schema: pa.Schema, wanted: ColumnNames, where: str) -> Columns:
    """Return ``columns`` with the picture, the vector or the features of a file, whichever it has or the user names."""
    told = wanted.image or wanted.vector or wanted.features
    image = _named(schema, wanted.image, _holds_pictures, where=where) or (
        None if told else _only_picture(schema, wanted, where)
    )
    if image is not None:
        _check_picture(schema.field(image).type, wanted, f"column {image!r} of {where}")
        return replace(columns, image=image)
    vector = _named(schema, wanted.vector, is_vector, where=where) or (
        None if told else _only_vector(schema, wanted, where)
    )
    if vector is not None:
        return replace(columns, vector=vector)
    others = {columns.id, columns.label, columns.group, *wanted.exclude}
    named = tuple(_named(schema, name, _holds_features, where=where) or name for name in wanted.features)
    features = named or tuple(one.name for one in schema if one.name not in others and _holds_features(one.type))
    texts = not named and all(is_text(schema.field(name).type) for name in features)
    if not features or (texts and any(_names_a_picture(name) for name in features)):
        raise InputError(
            f"{where} has no picture column (encoded pictures as struct{{bytes, path}} or binary, paths with "
            "--image-root, raw bytes with --shape), no vectors (lists of floats) and no features (numbers, texts, "
            f"times); its columns are {_described(schema)}; name one with --image-column, --vector-column or --features"
        )
    return replace(columns, features=features)


def fitting_columns(
    schema: pa.Schema,
    wanted: ColumnNames,
    shape: InputShape,
    *,
    where: str,
    partitions: Mapping[str, str | None] | None = None,
) -> Columns:
    """Find the columns of a file for a model that takes inputs of ``shape``; else as ``find_columns``.

    Raises:
        InputError: the file has inputs of another kind, lacks a column or has it in another type; or as there.
    """
    if isinstance(shape, TableShape):
        check_columns(schema, shape, where=where)
        wanted = replace(wanted, features=tuple(column.name for column in shape.columns))
    elif isinstance(shape, VectorShape):
        wanted = replace(wanted, vector=wanted.vector or _only_vector(schema, wanted, where))
    found = find_columns(schema, wanted, where=where, partitions=partitions)
    if found.kind != shape.kind:
        raise InputError(
            f"{where} has no {_INPUTS[shape.kind]}, which the student takes ({shape}); its columns are "
            f"{_described(schema)}"
        )
    return found


_INPUTS = {"image": "picture column", "vector": "column of vectors", "table": "such columns"}


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


def check_labels(kind: pa.DataType, *, column: str) -> None:
    """Refuse a column that can hold no labels; ``column`` names it and its file.

    Raises:
        InputError: its values are neither class names nor codes.
    """
    if not _holds_labels(kind):
        raise InputError(f"{column} is {kind}; {_EXPECTED[_holds_labels]}; name another with --label-column")


def check_ids(kind: pa.DataType, *, column: str) -> None:
    """Refuse a column that can hold no ids; ``column`` names it and its file.

    Raises:
        InputError: its values are neither strings nor integers.
    """
    if not _holds_ids(kind):
        raise InputError(f"{column} is {kind}; {_EXPECTED[_holds_ids]}")


def raw_note(schema: pa.Schema, columns: Columns) -> str | None:
    """Return a sentence on what reading raw pixels as lists costs, None for a column of any other form."""
    if columns.image is None:
        return None
    kind = schema.field(columns.image).type
    sides = forms.raw_sides(kind)
    if sides is None or not forms.is_list_of_pixels(kind):
        return None
    return (
        f"column {columns.image!r} holds raw pixels as lists, which Parquet reads at about 0.44 GB/s and in four times "
        f"their size; the same bytes as fixed_size_binary[{math.prod(sides)}] are read at 7 GB/s without a copy"
    )


def _only_picture(schema: pa.Schema, wanted: ColumnNames, where: str) -> str | None:
    """Return the column that is a picture by its type, or has a telling name, or is the only one that may be."""
    types = {column.name: column.type for column in schema}
    certain = [name for name, kind in types.items() if is_picture_struct(kind) or forms.knows_its_shape(kind)]
    telling = [name for name, kind in types.items() if name not in certain and _tells(name, kind, wanted)]
    binary = [name for name, kind in types.items() if is_binary(kind)]
    of_shape = [name for name, kind in types.items() if _has_bytes_of(kind, wanted.shape)]
    candidates = certain + telling or binary or of_shape
    if len(candidates) > 1:
        raise InputError(
            f"{where} has several columns that may be the picture: {_quoted(candidates)}; name one with --image-column"
        )
    return str(candidates[0]) if candidates else None


def _only_vector(schema: pa.Schema, wanted: ColumnNames, where: str) -> str | None:
    """Return the column of vectors, if there is one."""
    found = [one.name for one in schema if is_vector(one.type) and one.name not in wanted.exclude]
    if len(found) > 1:
        raise InputError(f"{where} has several columns of vectors: {_quoted(found)}; name one with --vector-column")
    return str(found[0]) if found else None


def _names_a_picture(name: str) -> bool:
    """Say whether a column of texts may be paths of pictures."""
    return name.lower().replace("_", "") in PATH_NAMES


def _tells(name: str, kind: pa.DataType, wanted: ColumnNames) -> bool:
    """Say whether a column's name says that it holds pictures, which its type allows."""
    if is_text(kind):
        return wanted.root is not None and _names_a_picture(name)
    return name.lower() in PICTURE_NAMES and _holds_pictures(kind)


def _has_bytes_of(kind: pa.DataType, shape: tuple[int, ...] | None) -> bool:
    return shape is not None and forms.raw_sides(kind) == (math.prod(shape),)


def _check_picture(kind: pa.DataType, wanted: ColumnNames, column: str) -> None:
    if is_text(kind) and wanted.root is None:
        raise InputError(f"{column} is {kind}; paths of pictures need the folder where they start: --image-root FOLDER")
    if forms.raw_sides(kind) is not None:
        forms.pixel_shape(kind, wanted.shape, column=column)


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
    return is_picture_struct(kind) or is_binary(kind) or is_text(kind) or forms.raw_sides(kind) is not None


def _holds_features(kind: pa.DataType) -> bool:
    return kind_of(kind) is not None or pa.types.is_null(kind)


def _has_an_order(kind: pa.DataType) -> bool:
    return kind_of(kind) in ("number", "time")


def _holds_ids(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return is_text(kind) or pa.types.is_integer(kind)


def _holds_labels(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return _holds_ids(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)


def _holds_groups(kind: pa.DataType) -> bool:
    return _holds_labels(kind)


def _holds_any(kind: pa.DataType) -> bool:
    return kind is not None


_EXPECTED: dict[Callable[[pa.DataType], bool], str] = {
    _holds_pictures: "pictures are encoded bytes (struct{bytes, path} or binary), paths (strings with --image-root) "
    "or raw pixels (fixed_size_binary, lists or tensors of uint8)",
    is_vector: "vectors are lists of floats, of one length",
    _holds_features: "features are numbers, booleans, texts (categories) and times",
    _has_an_order: "rows are split by numbers or times",
    _holds_ids: "ids are strings or integers",
    _holds_labels: "labels are class names or codes: strings, integers, booleans or a dictionary of them",
    _holds_groups: "groups are strings, integers, booleans or a dictionary of them",
}


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
