"""A student as Triton Inference Server takes it: a folder of a model repository with its configuration and labels.

::

    DIR/NAME/config.pbtxt
    DIR/NAME/labels.txt     a class a line, by code
    DIR/NAME/1/model.onnx

Knows the layout and the text format; starts no server.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import onnx

from labelsvc.errors import InputError, UsageError
from labelsvc.records import InputShape, PictureShape, TableShape
from labelsvc.student.feeding import input_names
from labelsvc.workspace import writing_to

LARGEST_BATCH = 128  # rows; beyond 32 a CPU gains nothing, a GPU little
MODEL = "labelsvc.model"  # the metadata that names the model


def write_repository(folder: Path, student: Path, classes: Sequence[str], shape: InputShape) -> Path:
    """Write a student's file into a model repository, under the name that its stem is, and return its folder.

    What this very model had there before is replaced when the new folder is whole.

    Raises:
        InputError: another model lies there, or the place cannot be written.
        UsageError: the stem is no name for a model.
    """
    name = student.stem
    if name != name.strip() or name.startswith("."):
        raise UsageError(f"{student}: {name!r} is no name for a model in a repository; name the file otherwise")
    place = folder / name
    refuse_another(place, _model_in(student))
    with writing_to(place):
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{name}.", dir=folder))
        try:
            _fill(partial, student, configuration(name, len(classes), shape), classes)
            partial.chmod(0o755)
            _put(partial, place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place


def refuse_another(place: Path, model_id: str | None) -> None:
    """Refuse a model's folder that holds anything else than this model.

    Raises:
        InputError: it does.
    """
    if place.exists() and (model_id is None or _model_in(place / "1" / "model.onnx") != model_id):
        raise InputError(f"{place} holds something else than this model; name another file or folder, or remove it")


def configuration(name: str, classes: int, shape: InputShape) -> str:
    """Return the text of ``config.pbtxt``: Triton adds the batch in front of these dimensions, and batches by itself.

    >>> print(configuration("student", 10, PictureShape(28, 28, 1)).splitlines()[0])
    name: "student"
    """
    return f"""name: "{_quoted(name)}"
platform: "onnxruntime_onnx"
max_batch_size: {LARGEST_BATCH}
input [
{_inputs(shape)}
]
output [
  {{
    name: "probabilities"
    data_type: TYPE_FP32
    dims: [ {classes} ]
    label_filename: "labels.txt"
  }}
]
dynamic_batching {{ }}
"""


TYPES = {"number": "TYPE_FP32", "boolean": "TYPE_FP32", "category": "TYPE_STRING", "time": "TYPE_INT64"}


def _inputs(shape: InputShape) -> str:
    """Return the inputs of a student of such a shape, each with its type and its dimensions."""
    if isinstance(shape, TableShape):
        told: list[tuple[str, tuple[int, ...]]] = [(TYPES[one.kind], (1,)) for one in shape.columns]
    else:
        told = [("TYPE_UINT8" if isinstance(shape, PictureShape) else "TYPE_FP32", shape.sides)]
    return ",\n".join(
        f"""  {{
    name: "{_quoted(name)}"
    data_type: {kind}
    dims: [ {", ".join(map(str, sides))} ]
  }}"""
        for name, (kind, sides) in zip(input_names(shape), told, strict=True)
    )


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _fill(folder: Path, student: Path, config: str, classes: Sequence[str]) -> None:
    (folder / "1").mkdir()
    shutil.copyfile(student, folder / "1" / "model.onnx")
    (folder / "config.pbtxt").write_text(config, encoding="utf-8")
    lines = [" ".join(name.split()) for name in classes]  # a name of several lines would shift all that follow
    (folder / "labels.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _put(partial: Path, place: Path) -> None:
    """Give the new folder its name; the older one leaves at that moment."""
    if place.exists():
        older = Path(mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        place.rename(older / "older")
        partial.rename(place)
        shutil.rmtree(older)
    else:
        partial.rename(place)


def _model_in(path: Path) -> str | None:
    """Return which model a file holds, None where it is none of ours."""
    try:
        metadata = onnx.load(path, load_external_data=False).metadata_props
    except Exception:  # whatever it is, it is not ours
        return None
    return next((field.value for field in metadata if field.key == MODEL), None)
