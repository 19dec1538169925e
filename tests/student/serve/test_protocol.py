"""The Open Inference Protocol's bodies: what is read is what was written, and what is wrong is refused, and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from labelsvc.records import PictureShape
from labelsvc.student.serve.asgi import RefusedError
from labelsvc.student.serve.protocol import Asked, Signature, read_request, write_answer

SIGNATURE = Signature("bars", ("a", "b", "c"), PictureShape(2, 3, 1))
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 1), np.uint8)


def tensor(**changed: object) -> dict[str, Any]:
    """Return the JSON of the tensor ``image``, with changes; None leaves a field out."""
    told = {"name": "image", "datatype": "UINT8", "shape": [4, 2, 3, 1], "data": PIXELS.ravel().tolist(), **changed}
    return {name: value for name, value in told.items() if value is not None}


def read(told: object, rest: bytes = b"", *, header: int | None = None) -> Asked:
    """Read a body of JSON and bytes."""
    text = told if isinstance(told, bytes) else json.dumps(told).encode()
    return read_request(text + rest, len(text) if rest and header is None else header, SIGNATURE, 8)


@pytest.mark.parametrize("data", [PIXELS.ravel().tolist(), PIXELS.tolist()], ids=["flat", "nested"])
def test_json_is_read(data: object) -> None:
    """Pixels come as flat or nested lists."""
    assert np.array_equal(read({"inputs": [tensor(data=data)], "id": "x"}).pixels, PIXELS)


def test_binary_is_read_in_place() -> None:
    """A binary tensor is the body's own memory."""
    asked = read({"inputs": [tensor(data=None, parameters={"binary_data_size": 24})]}, PIXELS.tobytes())
    assert np.array_equal(asked.pixels, PIXELS)
    assert not asked.pixels.flags.owndata


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("best", [None, 2])
def test_answers_hold_what_was_found(*, binary: bool, best: int | None) -> None:
    """In each form the answer names the model and the request, and its tensor has the shape that it tells."""
    found = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], np.float32)
    body, length = write_answer(Asked(PIXELS[:2], "seven", binary, best), found, SIGNATURE)
    told = json.loads(body[:length])
    [output] = told["outputs"]
    assert (told["id"], told["model_name"], told["model_version"]) == ("seven", "bars", "1")
    assert (length is None) == (not binary)
    if best is not None:
        assert (output["datatype"], output["shape"]) == ("BYTES", [2, 2])
        assert b"0.500000:1:b" in body
    elif length is not None:
        assert output["parameters"]["binary_data_size"] == len(body) - length
        assert np.array_equal(np.frombuffer(body, np.float32, offset=length).reshape(output["shape"]), found)
    else:
        assert np.array_equal(np.array(output["data"], np.float32).reshape(output["shape"]), found)


@pytest.mark.parametrize(
    ("parameters", "outputs", "binary", "best"),
    [
        ({}, None, False, None),
        ({"binary_data_output": True}, None, True, None),
        ({"binary_data_output": True}, {"binary_data": False}, False, None),
        ({}, {"binary_data": True, "classification": 99}, True, 3),
        ({"sequence_id": 3, "priority": 1}, None, False, None),
    ],
)
def test_the_form_of_the_answer_is_asked_for(
    parameters: dict[str, object], outputs: dict[str, object] | None, best: int | None, *, binary: bool
) -> None:
    """An output's own parameters count before the request's; unknown ones are ignored, as Triton does."""
    told: dict[str, Any] = {"inputs": [tensor()], "parameters": parameters}
    if outputs is not None:
        told["outputs"] = [{"name": "probabilities", "parameters": outputs}]
    asked = read(told)
    assert (asked.binary, asked.best) == (binary, best)


WRONG: list[tuple[object, str]] = [
    ({}, "inputs"),
    ({"inputs": {}}, "inputs"),
    ({"inputs": []}, "one, called 'image'"),
    ({"inputs": [3]}, "list of tensors"),
    ({"inputs": [tensor(), tensor()]}, "one, called 'image'"),
    ({"inputs": [tensor(name="input_0")]}, "input_0"),
    ({"inputs": [tensor(name=None)]}, "null"),
    ({"inputs": [tensor(datatype="FP32")]}, "UINT8"),
    ({"inputs": [tensor(datatype=None)]}, "UINT8"),
    ({"inputs": [tensor(shape="4231")]}, "list of whole numbers"),
    ({"inputs": [tensor(shape=[4, 6])]}, "shape"),
    ({"inputs": [tensor(shape=[0, 2, 3, 1], data=[])]}, "rows from 1"),
    ({"inputs": [tensor(shape=[-4, 2, 3, 1])]}, "rows from 1"),
    ({"inputs": [tensor(shape=[4.0, 2, 3, 1])]}, "whole numbers"),
    ({"inputs": [tensor(shape=[True, 2, 3, 1])]}, "whole numbers"),
    ({"inputs": [tensor(shape=[3, 2, 3, 1])]}, r"\[24\]; it must be \[18\]"),
    ({"inputs": [tensor(data=None)]}, "data"),
    ({"inputs": [tensor(data=[[1, 2], [3]])]}, "ragged"),
    ({"inputs": [tensor(data=[[1, 2], 3])]}, "ragged"),
    ({"inputs": [tensor(data=[256] * 24)]}, "from 0 to 255"),
    ({"inputs": [tensor(data=[-1] * 24)]}, "from 0 to 255"),
    ({"inputs": [tensor(data=[10**40] * 24)]}, "from 0 to 255"),
    ({"inputs": [tensor(data=[1.0] * 24)]}, "whole numbers"),
    ({"inputs": [tensor(data=[True] * 24)]}, "whole numbers"),
    ({"inputs": [tensor(data=["1"] * 24)]}, "whole numbers"),
    ({"inputs": [tensor(parameters=[])]}, "object"),
    ({"inputs": [tensor(parameters={"binary_data_size": 24})]}, "not both"),
    ({"inputs": [tensor(data=None, parameters={"binary_data_size": 24})]}, "0 bytes follow"),
    ({"inputs": [tensor(data=None, parameters={"binary_data_size": "24"})]}, "must be 24"),
    ({"inputs": [tensor()], "id": 7}, "`id`"),
    ({"inputs": [tensor()], "outputs": [{"name": "logits"}]}, "logits"),
    ({"inputs": [tensor()], "outputs": "all"}, "list of tensors"),
    ({"inputs": [tensor()], "parameters": {"binary_data_output": "yes"}}, "true or false"),
    ({"inputs": [tensor()], "outputs": [{"name": "probabilities", "parameters": {"classification": 0}}]}, "from 1"),
    ([], "object"),
    (b"", "no JSON"),
    (b"\xff\xfe{}", "no JSON"),
    (b'{"inputs": NaN}', "NaN"),
    (b'{"inputs": ' + b"[" * 100_000, "deep"),
    (b'{"inputs": ' + b"9" * 5_000 + b"}", "no JSON"),
]


@pytest.mark.parametrize(("told", "reason"), WRONG)
def test_what_is_wrong_is_refused(told: object, reason: str) -> None:
    """Each mistake is a 400 that names it."""
    with pytest.raises(RefusedError, match=reason) as refused:
        read(told)
    assert refused.value.status == 400


def test_too_many_rows_are_too_much() -> None:
    """A shape of more rows than a request may bring is refused before its data are looked at."""
    with pytest.raises(RefusedError, match="in parts") as refused:
        read({"inputs": [tensor(shape=[2**62, 2, 3, 1])]})
    assert refused.value.status == 413


@pytest.mark.parametrize("header", [-1, 10_000])
def test_a_header_of_no_such_length_is_refused(header: int) -> None:
    """The JSON cannot be longer than the body."""
    with pytest.raises(RefusedError, match="Content-Length"):
        read({"inputs": [tensor()]}, header=header)


def test_bytes_that_nobody_claims_are_refused() -> None:
    """What follows the JSON belongs to a tensor."""
    with pytest.raises(RefusedError, match="3 bytes follow"):
        read({"inputs": [tensor()]}, b"abc")
