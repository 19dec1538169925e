"""What the routes answer, as OpenAPI tells it: the protocol's records, the bodies that are taken, the refusals.

``python -m labelsvc.student.serve.contract`` prints schemas/openapi.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from labelsvc.student.serve.asgi import BINARY, FORM, JSON
from labelsvc.student.serve.protocol import INPUT, OUTPUT

Documented = dict[int | str, dict[str, Any]]  # what a route answers, by code
REASONS = {
    400: "The body is not what it must be; the reason says how.",
    401: "The server wants its token.",
    404: "There is no such model, version or path.",
    408: "The body did not come in time.",
    413: "More bytes, rows or pictures than one request may bring.",
    415: "A body of another type, or packed otherwise, than is read here.",
    422: "No picture of the request can be read, or a parameter is out of its bounds.",
    429: "Too much waits already; Retry-After says when to try again.",
    500: "The model cannot compute this.",
    503: "Not ready yet, or ending; Retry-After says when to try again.",
}


@dataclass(frozen=True)
class Refused:
    """Why a request was refused."""

    error: str


@dataclass(frozen=True)
class Live:
    """The server runs."""

    live: bool


@dataclass(frozen=True)
class Ready:
    """Whether requests are answered now."""

    ready: bool


@dataclass(frozen=True)
class ServerTold:
    """What serves."""

    name: str
    version: str
    extensions: Sequence[str]


@dataclass(frozen=True)
class TensorTold:
    """An input or output; -1 is any number of rows."""

    name: str
    datatype: str
    shape: Sequence[int]


@dataclass(frozen=True)
class ModelDescribed:
    """What is served."""

    name: str
    versions: Sequence[str]
    platform: str
    inputs: Sequence[TensorTold]
    outputs: Sequence[TensorTold]


@dataclass(frozen=True)
class IndexEntry:
    """A model in the repository."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


@dataclass(frozen=True)
class TensorGiven:
    """A tensor of an answer; with binary_data_size in ``parameters`` its data follow the JSON."""

    name: str
    datatype: Literal["FP32", "BYTES"]
    shape: Sequence[int]
    data: Sequence[float | str] | None = None
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True)
class Inferred:
    """An answer of the protocol."""

    model_name: str
    model_version: str
    outputs: Sequence[TensorGiven]
    id: str | None = None


def refusals(*codes: int) -> Documented:
    """Return what a route's documentation says of the codes that it may refuse with."""
    return {code: {"model": Refused, "description": REASONS[code]} for code in codes}


def taken(bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a route's documentation says of its body, a schema for each type."""
    content = {kind: {"schema": dict(schema)} for kind, schema in bodies.items()}
    return {"requestBody": {"required": True, "content": content}}


_PARAMETERS = {"type": "object", "description": "Those that are not known are ignored."}
_NUMBERS = {"type": "array", "description": "Pixels from 0 to 255, flat or nested in the shape."}
_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"const": INPUT},
        "datatype": {"const": "UINT8"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 4, "maxItems": 4},
        "data": _NUMBERS,
        "parameters": {**_PARAMETERS, "properties": {"binary_data_size": {"type": "integer"}}},
    },
}
_OUTPUT = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"const": OUTPUT},
        "parameters": {
            **_PARAMETERS,
            "properties": {
                "binary_data": {"type": "boolean"},
                "classification": {"type": "integer", "minimum": 1},
            },
        },
    },
}
INFERENCE = taken(
    {
        JSON: {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 1},
                "outputs": {"type": "array", "items": _OUTPUT, "maxItems": 1},
                "parameters": {**_PARAMETERS, "properties": {"binary_data_output": {"type": "boolean"}}},
            },
        },
        BINARY: {
            "type": "string",
            "format": "binary",
            "description": "The JSON, Inference-Header-Content-Length bytes of it, and then the tensor.",
        },
    }
)
_PICTURES = {
    "type": "object",
    "required": ["pictures"],
    "additionalProperties": False,
    "properties": {
        "pictures": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "description": "A picture's file in base64, plain or as a data URL."},
        }
    },
}
_ROWS = {
    "type": "object",
    "required": ["rows"],
    "additionalProperties": False,
    "properties": {
        "rows": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "description": "One picture's pixels from 0 to 255, in the model's shape."},
        }
    },
}
PICTURES = taken(
    {
        JSON: {"oneOf": [_PICTURES, _ROWS]},
        FORM: {
            "type": "object",
            "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
        },
        "image/*": {"type": "string", "format": "binary", "description": "One picture's file."},
    }
)


if __name__ == "__main__":
    from labelsvc.student.serve.app import build

    print(json.dumps(build().openapi(), indent=2))  # noqa: T201 - this is its output
