"""``/v1/label``: pictures in any form that people have them in, and for each a label or none, and how sure.

Turns bodies to pixels and probabilities to answers. A picture that cannot be decoded has an ``error`` in its place;
where none can, the request is refused. Knows neither HTTP's machinery nor onnxruntime.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, create_form_parser

from labelsvc.data.pictures import decode
from labelsvc.errors import PictureError
from labelsvc.records import PictureShape, Pixels
from labelsvc.student.metadata import StudentPolicy, best_of
from labelsvc.student.serve.asgi import BINARY, FORM, JSON, RefusedError
from labelsvc.student.serve.documents import pixels_of, read_object


@dataclass(frozen=True)
class Brought:
    """One picture of a request: its pixels, or why there are none."""

    pixels: Pixels | None
    error: str | None = None
    name: str | None = None  # of the file, where it has one


@dataclass(frozen=True)
class LabelLimits:
    """How many pictures a request may bring, and how many pixels each may have."""

    rows: int
    pixels: int


@dataclass(frozen=True)
class Share:
    """A class, and how probable it is."""

    label: str
    probability: float


@dataclass(frozen=True)
class LabelAnswer:
    """What the student says of a picture; ``label`` is null where it is not sure enough, or ``error`` is set."""

    label: str | None
    confidence: float | None
    top: Sequence[Share]
    error: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class ModelTold:
    """Which model answered."""

    name: str
    version: str
    id: str
    role: str


@dataclass(frozen=True)
class LabelsTold:
    """The whole answer, a part for each picture in their order."""

    model: ModelTold
    policy: StudentPolicy
    answers: Sequence[LabelAnswer]


def read_pictures(body: bytes, content_type: str, shape: PictureShape, limits: LabelLimits) -> list[Brought]:
    """Return the pictures of a body: a form's files, JSON, or the body is one itself.

    Raises:
        RefusedError: 400 for a body that is not what it says, 413 too many, 415 of no known type.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        found = _from_json(body, shape, limits)
    elif kind == FORM:
        found = _from_form(body, content_type, shape, limits)
    elif kind.startswith("image/") or kind == BINARY:
        found = [_decoded(body, shape, limits)]
    else:
        raise RefusedError(415, f"send {JSON}, {FORM}, or one picture as image/png, image/jpeg or the like")
    if not found:
        raise RefusedError(400, "the request brings no picture")
    return found


def check_any(brought: Sequence[Brought]) -> None:
    """Refuse pictures of which none could be decoded.

    Raises:
        RefusedError: 422 with the first one's reason.
    """
    if all(one.pixels is None for one in brought):
        more = f"; nor can {len(brought) - 1:,} more" if len(brought) > 1 else ""
        raise RefusedError(422, f"no picture can be read: {brought[0].error}{more}")


def answers(
    brought: Sequence[Brought],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    policy: StudentPolicy,
    *,
    top: int,
) -> list[LabelAnswer]:
    """Return what is said of each picture; ``probabilities`` [rows, classes] are of those that could be read.

    >>> good, bad = Brought(np.zeros((1, 1, 1), np.uint8)), Brought(None, "no picture")
    >>> said = answers([bad, good], np.array([[0.25, 0.75]], np.float32), ("a", "b"), StudentPolicy(0.5), top=1)
    >>> [(one.label, one.confidence, one.error) for one in said]
    [(None, None, 'no picture'), ('b', 0.75, None)]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    best, confidence = best_of(probabilities)
    accepted = policy.accepts(best, confidence, classes)
    said = iter(
        LabelAnswer(
            label=classes[best[row]] if accepted[row] else None,
            confidence=float(confidence[row]),
            top=[Share(classes[code], float(probabilities[row, code])) for code in order[row]],
        )
        for row in range(len(probabilities))
    )
    unsaid = LabelAnswer(None, None, [])
    return [replace(unsaid if one.error else next(said), error=one.error, name=one.name) for one in brought]


def _from_json(body: bytes, shape: PictureShape, limits: LabelLimits) -> list[Brought]:
    told = read_object(body)
    if len(told) != 1 or not set(told) <= {"pictures", "rows"}:
        raise RefusedError(400, 'the JSON must be {"pictures": [base64, …]} or {"rows": [pixels, …]}')
    [(key, values)] = told.items()
    if not isinstance(values, list):
        raise RefusedError(400, f"`{key}` must be a list")
    _check_count(len(values), limits)
    if key == "rows":
        return [Brought(_raw(row, shape, f"`rows`[{place}]")) for place, row in enumerate(values)]
    if not all(isinstance(text, str) for text in values):
        raise RefusedError(400, "`pictures` must be texts, each a picture's file in base64")
    return [_unwrapped(text, shape, limits) for text in values]


def _raw(row: object, shape: PictureShape, what: str) -> Pixels:
    sides = (shape.height, shape.width, shape.channels)
    flat = (shape.height * shape.width * shape.channels,)
    shapes = [sides, flat, *([sides[:2]] if shape.channels == 1 else [])]
    return np.frombuffer(pixels_of(row, shapes, what), np.uint8).reshape(sides)


def _unwrapped(text: str, shape: PictureShape, limits: LabelLimits) -> Brought:
    """Decode base64, plain or as a data URL."""
    try:
        data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        return Brought(None, "this is no base64")
    return _decoded(data, shape, limits)


def _from_form(body: bytes, content_type: str, shape: PictureShape, limits: LabelLimits) -> list[Brought]:
    files: list[File] = []

    def keep(file: File) -> None:
        _check_count(len(files) + 1, limits)
        files.append(file)

    config = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}  # nothing is written to a disk
    try:
        parser = create_form_parser({"Content-Type": content_type.encode("latin-1")}, None, keep, config)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise RefusedError(400, f"the form cannot be read: {error}") from None
    return [_of_file(file, shape, limits) for file in files]


def _of_file(file: File, shape: PictureShape, limits: LabelLimits) -> Brought:
    file.file_object.seek(0)
    name = (file.file_name or b"").decode("utf-8", "replace")
    return _decoded(file.file_object.read(), shape, limits, name=name)


def _decoded(data: bytes, shape: PictureShape, limits: LabelLimits, *, name: str | None = None) -> Brought:
    try:
        return Brought(decode(data, shape, most_pixels=limits.pixels), name=name)
    except PictureError as error:
        return Brought(None, str(error), name)


def _check_count(count: int, limits: LabelLimits) -> None:
    if count > limits.rows:
        raise RefusedError(413, f"a request brings at most {limits.rows:,} pictures; send them in parts")
