"""A student as its users see it: pixels in, probabilities out, from the ONNX file alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.errors import InputError
from labelsvc.records import PictureShape, Pixels
from labelsvc.student.metadata import StudentPolicy, Words, policy_of, pool_of
from labelsvc.student.session import open_session, run


@dataclass(frozen=True)
class Student:
    """An opened ONNX student."""

    session: Any
    classes: tuple[str, ...]
    shape: PictureShape
    origin: Mapping[str, str]  # the file's ``labelsvc.*`` metadata
    policy: StudentPolicy | None = None  # which of its labels count, where the file says so
    pool: Words | None = None  # what it said of its pool, where the file says so

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the probabilities [rows, classes] of pictures [rows, height, width, channels]."""
        result: NDArray[np.float32] = run(self.session, "probabilities", {"image": pixels})
        return result


def load(path: Path, *, device: str = "auto") -> Student:
    """Open the student at ``path``.

    Raises:
        InputError: the file is missing, broken, or was not exported by labelsvc.
        LabelsvcError: the asked device does not work.
    """
    session = open_session(path, device)
    metadata = session.get_modelmeta().custom_metadata_map
    inputs = session.get_inputs()
    if "class_names" not in metadata or [field.name for field in inputs] != ["image"] or len(inputs[0].shape) != 4:
        raise InputError(f"{path} is no student of labelsvc: it has no input `image` or no `class_names`")
    height, width, channels = inputs[0].shape[1:]
    origin = {name: value for name, value in metadata.items() if name.startswith("labelsvc.")}
    return Student(
        session=session,
        classes=tuple(json.loads(metadata["class_names"])),
        shape=PictureShape(height, width, channels),
        origin=origin,
        policy=policy_of(metadata),
        pool=pool_of(metadata),
    )
