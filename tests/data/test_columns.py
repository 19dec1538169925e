"""What is taken for picture, id and label."""

from __future__ import annotations

import pyarrow as pa
import pytest

from labelsvc.data.columns import ColumnNames, Columns, find_columns, label_names
from labelsvc.errors import InputError

from .parquet_files import IMAGE, IMAGE_PATH_FIRST, with_class_names


def found(
    columns: dict[str, pa.DataType], partitions: dict[str, str | None] | None = None, **wanted: str | tuple[int, ...]
) -> Columns:
    """Find the columns of a file called f.parquet."""
    names = ColumnNames(**wanted)  # type: ignore[arg-type]
    return find_columns(pa.schema(list(columns.items())), names, where="f.parquet", partitions=partitions)


@pytest.mark.parametrize("kind", [IMAGE, IMAGE_PATH_FIRST], ids=["bytes first", "path first"])
def test_struct_is_a_picture_in_either_order(kind: pa.DataType) -> None:
    """A struct with bytes is the picture, whatever its name and the order of its fields."""
    columns = found({"id": pa.int64(), "photo": kind, "blob": pa.binary(), "label": pa.string()})
    assert columns == Columns("photo", "id", "label")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_only_binary_column_is_the_picture(kind: pa.DataType) -> None:
    """The only binary column is the picture under any name."""
    assert found({"payload": kind, "age": pa.int32()}) == Columns("payload", None, None)


def test_telling_name_decides_among_binary_columns() -> None:
    """Of several binary columns, the one with a picture's name is taken."""
    assert found({"signature": pa.binary(), "JPG": pa.binary()}).image == "JPG"


def test_several_pictures_are_an_error_that_names_them() -> None:
    """Two columns that may be the picture are named, with the flag that decides."""
    with pytest.raises(InputError, match=r"'image', 'depth'; name one with --image-column"):
        found({"image": IMAGE, "depth": IMAGE})
    assert found({"image": IMAGE, "depth": IMAGE}, image="depth").image == "depth"


def test_nothing_to_learn_from_is_an_error_that_lists_columns_and_types() -> None:
    """Without pictures, vectors and features, the message lists what there is."""
    with pytest.raises(InputError, match=r"f\.parquet has no picture column.*id \(string\), raw \(list"):
        found({"id": pa.string(), "raw": pa.list_(pa.int8())})


def test_without_pictures_a_file_is_a_table_or_vectors() -> None:
    """All other columns that may be features are; a column of vectors goes before them, unless they are named."""
    kinds = {"id": pa.string(), "age": pa.int32(), "job": pa.string(), "label": pa.string(), "seen": pa.timestamp("us")}
    assert found(kinds) == Columns(None, "id", "label", features=("age", "job", "seen"))
    embedded = kinds | {"embedding": pa.list_(pa.float16(), 8)}
    assert found(embedded) == Columns(None, "id", "label", vector="embedding")
    assert found(embedded, features=("job",)).features == ("job",)
    assert found(kinds, exclude=("job", "age")).features == ("seen",)
    with pytest.raises(InputError, match="'embedding', 'other'; name one with --vector-column"):
        found(embedded | {"other": pa.list_(pa.float32())})
    assert found(embedded | {"other": pa.list_(pa.float32())}, vector="other").vector == "other"


def test_a_picture_goes_before_all_else() -> None:
    """A file with pictures is one of pictures, whatever else it holds."""
    kinds = {"image": IMAGE, "age": pa.int32(), "embedding": pa.list_(pa.float32(), 8)}
    assert found(kinds).kind == "image"


@pytest.mark.parametrize("which", ["image", "id", "label"])
def test_missing_named_column_is_an_error_that_lists_columns(which: str) -> None:
    """A column that the user named and that is not there is an error, never a guess."""
    with pytest.raises(InputError, match=r"no column 'nope'; its columns are image \(struct"):
        found({"image": IMAGE, "id": pa.string()}, **{which: "nope"})


@pytest.mark.parametrize(("which", "named"), [("image", "id"), ("id", "image"), ("label", "image")])
def test_named_column_of_unfit_type_is_an_error(which: str, named: str) -> None:
    """A named column that cannot serve is refused with its type."""
    with pytest.raises(InputError, match=f"column '{named}' of f.parquet is "):
        found({"image": IMAGE, "id": pa.string()}, **{which: named})


def test_id_and_label_are_found_by_name_and_type() -> None:
    """Ids and labels need a known name and a type that fits; the more specific name comes first."""
    kinds = {"image": IMAGE, "uuid": pa.string(), "Sample_ID": pa.int64(), "target": pa.list_(pa.int8())}
    assert found(kinds) == Columns("image", "Sample_ID", None)
    assert found(kinds | {"y": pa.dictionary(pa.int8(), pa.string())}).label == "y"


def test_a_column_called_label_is_the_label() -> None:
    """What is called label is taken for it whatever its type, so that a wrong type is never passed over silently."""
    assert found({"image": IMAGE, "Label": pa.list_(pa.int8()), "class": pa.string()}).label == "Label"


def test_only_a_named_group_is_a_group() -> None:
    """No column is taken for a group by its name; the named one is checked as others are."""
    kinds = {"image": IMAGE, "group": pa.string(), "when": pa.timestamp("s")}
    assert found(kinds).group is None
    assert found(kinds, group="group").group == "group"
    with pytest.raises(InputError, match=r"column 'when' of f.parquet is timestamp\[s\]; groups are strings"):
        found(kinds, group="when")


def test_strings_are_paths_below_a_root_only() -> None:
    """A string column with a telling name holds pictures where the user told their root, and text otherwise."""
    kinds = {"name": pa.string(), "File_Path": pa.string(), "label": pa.string()}
    assert found(kinds, root="/pictures").image == "File_Path"
    assert found(kinds, root="/pictures", image="name") == Columns("name", None, "label", root="/pictures")
    with pytest.raises(InputError, match=r"f\.parquet has no picture column .*--image-root"):
        found(kinds)
    with pytest.raises(InputError, match=r"column 'name' of f\.parquet is string; .*--image-root FOLDER"):
        found(kinds, image="name")
    with pytest.raises(InputError, match="'image', 'path'; name one with --image-column"):
        found({"path": pa.string(), "image": IMAGE}, root="/pictures")


def test_bytes_of_one_width_are_pictures_by_name_or_by_shape() -> None:
    """Raw bytes are pictures if they are called so, or are the only ones of the told shape; a key is neither."""
    kinds = {"key": pa.binary(16), "pixels": pa.binary(784)}
    assert found(kinds, shape=(28, 28)).image == "pixels"
    assert found({"key": pa.binary(16), "image": pa.binary(784)}, shape=(28, 28)).image == "image"
    with pytest.raises(InputError, match=r"no picture column .*--shape"):
        found(kinds)


@pytest.mark.parametrize(
    "kind",
    [
        pa.fixed_shape_tensor(pa.uint8(), [8, 6]),
        pa.fixed_shape_tensor(pa.uint8(), [8, 6, 4]),
        pa.list_(pa.list_(pa.uint8(), 6), 8),
    ],
    ids=str,
)
def test_what_has_a_pictures_shape_is_one(kind: pa.DataType) -> None:
    """A tensor or nested list of bytes with a picture's sides is found under any name."""
    assert found({"x": kind, "vector": pa.fixed_shape_tensor(pa.float32(), [8, 6])}).image == "x"


def test_keys_of_folders_are_columns() -> None:
    """Id, label and group may stand in the file's folders; the file's own column goes first, other keys are left."""
    kinds = {"image": IMAGE, "id": pa.string()}
    keys = {"label": "cat", "site": "north", "year": "2026"}
    assert found(kinds, keys, group="site") == Columns(
        "image", "id", "label", "site", partitions={"label": "cat", "site": "north"}
    )
    assert found(kinds | {"label": pa.string()}, keys).partitions == {}
    assert found(kinds, {"kind": None}, label="kind").partitions == {"kind": None}
    with pytest.raises(InputError, match=r"no column 'nope'; its columns are .*label .string."):
        found(kinds, keys, label="nope")
    assert hash(found(kinds, keys)) == hash(found(kinds, keys))


def test_column_names_that_repeat_are_an_error() -> None:
    """Two columns of one name cannot be told apart."""
    schema = pa.schema([("image", IMAGE), ("id", pa.string()), ("id", pa.string())])
    with pytest.raises(InputError, match="more than one column called 'id'"):
        find_columns(schema, ColumnNames(), where="f.parquet")


def test_class_names_come_from_the_metadata() -> None:
    """Names are read for a column of codes, and for no other."""
    table = with_class_names(pa.table({"label": [0, 1], "y": [1, 0]}), ["cat", "dog"])
    assert label_names(table.schema, "label") == ("cat", "dog")
    assert label_names(table.schema, "y") == ()
    assert label_names(table.schema, None) == ()
    strings = with_class_names(pa.table({"label": ["cat", "dog"]}), ["cat", "dog"])
    assert label_names(strings.schema, "label") == ()


@pytest.mark.parametrize("text", [b"{}", b"not json", b'{"info": null}', b"[1]", b'{"info": {"features": [1]}}'])
def test_foreign_metadata_names_no_classes(text: bytes) -> None:
    """Metadata of another make under Hugging Face's key is ignored."""
    schema = pa.schema([("label", pa.int64())], metadata={"huggingface": text})
    assert label_names(schema, "label") == ()
