"""The Open Inference Protocol, version 2, with its binary tensors: bodies to pixels, and probabilities to bodies.

Pure functions, which know neither HTTP nor onnxruntime. Like Triton's server they ignore parameters that they do not
know; like it they refuse names, types and shapes that the model does not have, with 400.
https://github.com/kserve/open-inference-protocol, and Triton's extensions "binary tensor data" and "classification".
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.records import PictureShape, Pixels
from labelsvc.student.serve.asgi import RefusedError
from labelsvc.student.serve.documents import pixels_of, read_object, shown

VERSION = "1"
EXTENSIONS = ("binary_tensor_data", "classification", "model_repository")
INPUT, OUTPUT = "image", "probabilities"
PLATFORM = "onnxruntime_onnx"


@dataclass(frozen=True)
class Signature:
    """The model as its clients know it."""

    name: str
    classes: tuple[str, ...]
    shape: PictureShape

    @property
    def sides(self) -> tuple[int, int, int]:
        """A picture's shape."""
        return self.shape.height, self.shape.width, self.shape.channels


@dataclass(frozen=True)
class Asked:
    """What a client asks: pictures [rows, height, width, channels], and in which form it wants its answer."""

    pixels: Pixels
    id: str | None = None
    binary: bool = False
    best: int | None = None  # so many best classes as text, in place of all probabilities


def read_request(body: bytes, header_bytes: int | None, signature: Signature, most_rows: int) -> Asked:
    """Return what a body asks; ``header_bytes`` of it are JSON, all of it where that is None, the rest is a tensor.

    Raises:
        RefusedError: 400 with what is wrong, 413 for too many rows.

    >>> told = '{"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 1], "data": [3, 4]}]}'
    >>> read_request(told.encode(), None, Signature("m", ("a", "b"), PictureShape(1, 2, 1)), 8).pixels.tolist()
    [[[[3], [4]]]]
    """
    length = len(body) if header_bytes is None else header_bytes
    if not 0 <= length <= len(body):
        raise RefusedError(400, f"Inference-Header-Content-Length is {length:,} in a body of {len(body):,} bytes")
    told = read_object(memoryview(body)[:length])
    identifier = told.get("id")
    if not isinstance(identifier, str | None):
        raise RefusedError(400, "`id` must be text")
    tensor = _only(told.get("inputs"), "inputs", INPUT)
    shape = _checked_shape(tensor, signature, most_rows)
    binary, best = _wanted(told, len(signature.classes))
    return Asked(_pixels(tensor, shape, body, length), identifier, binary, best)


def _only(tensors: object, where: str, name: str) -> Mapping[str, Any]:
    """Return the one tensor that there may be."""
    if not isinstance(tensors, list) or not all(isinstance(tensor, dict) for tensor in tensors):
        raise RefusedError(400, f"`{where}` must be a list of tensors [{{…}}]")
    names = [tensor.get("name") for tensor in tensors]
    if names != [name]:
        told = json.dumps(names[:4])[:200]
        raise RefusedError(400, f"`{where}` names {told}; the model has one, called {name!r}")
    found: Mapping[str, Any] = tensors[0]
    return found


def _parameters(told: Mapping[str, Any]) -> Mapping[str, Any]:
    found = told.get("parameters", {})
    if not isinstance(found, dict):
        raise RefusedError(400, "`parameters` must be an object {…}")
    return found


def _checked_shape(tensor: Mapping[str, Any], signature: Signature, most_rows: int) -> tuple[int, ...]:
    if tensor.get("datatype") != "UINT8":
        raise RefusedError(400, f"the datatype of {INPUT!r} must be 'UINT8'")
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(side) is int for side in shape):
        raise RefusedError(400, f"the shape of {INPUT!r} must be a list of whole numbers")
    if len(shape) != 4 or tuple(shape[1:]) != signature.sides or shape[0] < 1:
        wanted = ["rows", *signature.sides]
        raise RefusedError(400, f"{INPUT!r} has the shape {shown(shape)}; it must be {json.dumps(wanted)}, rows from 1")
    if shape[0] > most_rows:
        raise RefusedError(413, f"{shape[0]:,} rows are more than the {most_rows:,} of a request; send them in parts")
    return tuple(shape)


def _pixels(tensor: Mapping[str, Any], shape: tuple[int, ...], body: bytes, length: int) -> Pixels:
    """Return the tensor that the JSON or the rest of the body holds; the latter is not copied."""
    needed = math.prod(shape)
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if len(body) > length:
            raise RefusedError(400, f"{len(body) - length:,} bytes follow the JSON, and no tensor has binary_data_size")
        data = pixels_of(tensor.get("data"), [(needed,), shape], "`data`")
        return np.frombuffer(data, np.uint8).reshape(shape)
    if "data" in tensor:
        raise RefusedError(400, "a tensor has `data` or `binary_data_size`, not both")
    if type(size) is not int or not size == needed == len(body) - length:
        follow = f"{len(body) - length:,} bytes follow the JSON"
        raise RefusedError(400, f"binary_data_size must be {needed:,} for the shape {shown(shape)}, and {follow}")
    return np.frombuffer(body, np.uint8, needed, length).reshape(shape)


def _wanted(told: Mapping[str, Any], classes: int) -> tuple[bool, int | None]:
    """Return whether the answer is to be binary, and how many best classes it is to name."""
    parameters = _parameters(told)
    outputs = told.get("outputs")
    if outputs:
        wish = _parameters(_only(outputs, "outputs", OUTPUT))
        binary, best = wish.get("binary_data", parameters.get("binary_data_output", False)), wish.get("classification")
    else:
        binary, best = parameters.get("binary_data_output", False), None
    if not isinstance(binary, bool):
        raise RefusedError(400, "`binary_data` and `binary_data_output` are true or false")
    if best is not None and (type(best) is not int or best < 1):
        raise RefusedError(400, "`classification` says how many classes, from 1")
    return binary, None if best is None else min(best, classes)


def write_answer(asked: Asked, probabilities: NDArray[np.float32], signature: Signature) -> tuple[bytes, int | None]:
    """Return an answer's body, and how many bytes of it are JSON where a tensor follows.

    >>> signature = Signature("m", ("a", "b"), PictureShape(1, 1, 1))
    >>> asked = Asked(np.zeros((1, 1, 1, 1), np.uint8), best=1)
    >>> body, _ = write_answer(asked, np.array([[0.25, 0.75]], np.float32), signature)
    >>> json.loads(body)["outputs"][0]["data"]
    ['0.750000:1:b']
    """
    words = None if asked.best is None else _best(probabilities, signature.classes, asked.best)
    tensor: dict[str, Any] = {
        "name": OUTPUT,
        "datatype": "FP32" if words is None else "BYTES",
        "shape": probabilities.shape if words is None else (len(probabilities), asked.best),
    }
    raw = b""
    if asked.binary:
        raw = probabilities.tobytes() if words is None else _counted(words)
        tensor["parameters"] = {"binary_data_size": len(raw)}
    else:
        tensor["data"] = probabilities.ravel().tolist() if words is None else words
    told: dict[str, Any] = {"model_name": signature.name, "model_version": VERSION, "outputs": [tensor]}
    if asked.id is not None:
        told["id"] = asked.id
    text = json.dumps(told).encode()
    return text + raw, len(text) if asked.binary else None


def _best(probabilities: NDArray[np.float32], classes: Sequence[str], count: int) -> list[str]:
    """Return the best classes of each row as Triton words them: probability, code and name."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return [
        f"{row[code]:f}:{code}:{classes[code]}"
        for row, codes in zip(probabilities, order, strict=True)
        for code in codes
    ]


def _counted(words: Sequence[str]) -> bytes:
    """Return texts as a binary tensor of BYTES holds them: each after its length, in four bytes, little-endian."""
    encoded = [word.encode() for word in words]
    return b"".join(struct.pack("<I", len(word)) + word for word in encoded)
