"""Triton's own server as a judge of the protocol: what it answers and refuses, ours answers and refuses.

It runs through PyTriton in an interpreter that has it, which ``LABELSVC_PYTRITON`` names; without one these are
skipped::

    uv venv triton --python /usr/bin/python3.11 && uv pip install --python triton/bin/python nvidia-pytriton onnxruntime
    LABELSVC_PYTRITON=triton/bin/python uv run pytest -m slow tests/student/serve/test_oracle.py
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from training.bars import bars

from .running import PATIENCE, Reply, Running, infer_body
from .test_hostile import GOOD, INFER, JSON, inference

PYTHON = os.environ.get("LABELSVC_PYTRITON")
PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
PIXELS = bars(5, seed=3)[0]
PATHS = ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/bars/ready", "/v2/models/nobody", "/v3")
BEYOND = {"deep lists", "deep data", "deep objects"}  # of which Triton 2.51 dies
TAKEN = {"data large"}  # 256 as an 8-bit number, which Triton takes for 0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON is None, reason="LABELSVC_PYTRITON names no interpreter that has PyTriton"),
]


@pytest.fixture(scope="module")
def judge(served: Path) -> Iterator[Running]:
    """Give Triton, which serves the same file under the same name."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    python = Path(str(PYTHON)).absolute()
    environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    command = [str(python), str(PEERS / "pytriton_peer.py"), str(served), str(port)]
    with subprocess.Popen(
        command, text=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as started:
        found = Running(started, "127.0.0.1", port)
        try:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until and started.poll() is None and not _answers(found):
                time.sleep(0.5)
            yield found
        finally:
            started.send_signal(signal.SIGINT)
            started.wait(timeout=PATIENCE)


def _answers(server: Running) -> bool:
    try:
        return server.ask("POST", INFER, GOOD, JSON).status == 200
    except OSError:
        return False


def test_metadata_is_worded_alike(running: Running, judge: Running) -> None:
    """Tensors have the same names, types and shapes, and every field of the protocol is there."""
    told, wanted = (triton.InferenceServerClient(one.url).get_model_metadata("bars") for one in (running, judge))
    assert set(told) >= set(wanted)
    for name in ("name", "versions", "inputs", "outputs"):
        assert told[name] == wanted[name]
    for path, ours, theirs in ((path, running.ask("GET", path), judge.ask("GET", path)) for path in PATHS):
        assert ours.status == theirs.status, path


def good() -> dict[str, dict[str, Any]]:
    """Return requests that differ in what they say of their answer, or in how they write their data."""
    body = infer_body(PIXELS)
    nested = [{**body["inputs"][0], "data": PIXELS.tolist()}]
    wishes = [{"binary_data": True}, {"binary_data": False}, {}]
    cases = {f"output {wish}": {"outputs": [{"name": "probabilities", "parameters": wish}]} for wish in wishes}
    cases |= {
        "nothing more": {},
        "an id": {"id": "a1"},
        "an empty id": {"id": ""},
        "nested data": {"inputs": nested},
        "no outputs": {"outputs": []},
        "an output": {"outputs": [{"name": "probabilities"}]},
        "all binary": {"parameters": {"binary_data_output": True}},
        "all but one binary": {**cases["output {'binary_data': False}"], "parameters": {"binary_data_output": True}},
        "other parameters": {"parameters": {"priority": 1, "of its own": "x"}},
    }
    return {name: {**body, **more} for name, more in cases.items()}


@pytest.mark.parametrize("name", good())
def test_what_is_asked_is_answered_alike(running: Running, judge: Running, name: str) -> None:
    """JSON or binary, the same fields, types, shapes and numbers come back."""
    ours, theirs = (parsed(one.post(INFER, good()[name])) for one in (running, judge))
    data, wanted = ours.pop("data"), theirs.pop("data")
    assert {key: value for key, value in ours.items() if value != ""} == theirs  # an empty id comes back here
    assert np.allclose(data, wanted, atol=1e-6)


def test_classes_are_worded_alike(running: Running, judge: Running) -> None:
    """The classification extension says probability and place alike; this Triton was told no names."""
    wish = [{"name": "probabilities", "parameters": {"classification": 2}}]
    ours, theirs = (parsed(one.post(INFER, infer_body(PIXELS, outputs=wish))) for one in (running, judge))
    assert [word.rsplit(":", 1)[0] for word in ours.pop("data")] == theirs.pop("data")
    assert ours == theirs


@pytest.mark.parametrize("name", sorted(set(inference()) - BEYOND - TAKEN))
def test_what_is_refused_is_refused_there(running: Running, judge: Running, name: str) -> None:
    """Nothing that Triton answers is refused here: it refuses each of these too, often with 500."""
    path, body, headers, codes = inference()[name]
    assert judge.ask("POST", path, body, headers).status >= 400
    assert running.ask("POST", path, body, headers).status in codes


def parsed(reply: Reply) -> dict[str, Any]:
    """Return an answer's fields, with its tensor's numbers as ``data`` whatever their form."""
    assert reply.status == 200, reply.body
    length = int(reply.headers.get("inference-header-content-length", len(reply.body)))
    told: dict[str, Any] = json.loads(reply.body[:length])
    (tensor,) = told.pop("outputs")
    tail = reply.body[length:]
    return {**told, **tensor, "data": np.frombuffer(tail, "<f4").tolist() if tail else tensor["data"]}
