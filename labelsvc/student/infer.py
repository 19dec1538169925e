"""A student as its users see it: inputs in, probabilities out, from the ONNX file alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.errors import InputError
from labelsvc.records import Decoded, InputShape, PictureShape, shape_of
from labelsvc.student.feeding import feeds, input_names
from labelsvc.student.metadata import INPUT, PROBABILITIES, StudentPolicy, Words, policy_of, pool_of
from labelsvc.student.session import open_session, run


@dataclass(frozen=True)
class Student:
    """An opened ONNX student."""

    session: Any
    classes: tuple[str, ...]
    shape: InputShape
    origin: Mapping[str, str]  # the file's ``labelsvc.*`` metadata
    policy: StudentPolicy | None = None  # which of its labels count, where the file says so
    pool: Words | None = None  # what it said of its pool, where the file says so

    def probabilities(self, rows: Decoded) -> NDArray[np.float32]:
        """Return the probabilities [rows, classes] of decoded inputs [rows, *sides]."""
        result: NDArray[np.float32] = run(self.session, PROBABILITIES, feeds(self.shape, rows))
        return result


def load(path: Path, *, device: str = "auto") -> Student:
    """Open the student at ``path``.

    Raises:
        InputError: the file is missing, broken, or was not exported by labelsvc.
        LabelsvcError: the asked device does not work.
    """
    session = open_session(path, device)
    metadata = session.get_modelmeta().custom_metadata_map
    shape = _shape(metadata.get(INPUT), session.get_inputs())
    if "class_names" not in metadata or shape is None:
        raise InputError(f"{path} is no student of labelsvc: it has no `class_names`, or other inputs than it says")
    origin = {name: value for name, value in metadata.items() if name.startswith("labelsvc.")}
    return Student(
        session=session,
        classes=tuple(json.loads(metadata["class_names"])),
        shape=shape,
        origin=origin,
        policy=policy_of(metadata),
        pool=pool_of(metadata),
    )


def _shape(told: str | None, inputs: Sequence[Any]) -> InputShape | None:
    """Return the shape that a file tells, else that of the pictures that it takes; None where it is no student's."""
    names = [field.name for field in inputs]
    if told is not None:
        shape = shape_of(json.loads(told))
        return shape if sorted(names) == sorted(input_names(shape)) else None
    is_picture = names == ["image"] and len(inputs[0].shape) == 4
    return PictureShape(*inputs[0].shape[1:]) if is_picture else None
