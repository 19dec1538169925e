"""A hundred ways to be rude: each is a 4xx with a reason, the process lives, and the next good request is right."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import struct
import time
import zlib
from collections.abc import Mapping

import numpy as np
import pytest
from training.bars import bars

from labelsvc.data.pictures import png
from labelsvc.student.infer import Student

from .running import Running, infer_body

pytestmark = pytest.mark.seconds

PIXELS = bars(3, seed=9)[0]
GOOD = json.dumps(infer_body(PIXELS)).encode()
INFER, LABEL = "/v2/models/bars/infer", "/v1/label"
JSON = {"content-type": "application/json"}
PNG = {"content-type": "image/png"}
FORM = {"content-type": "multipart/form-data; boundary=edge"}
LIMIT = 2**20  # of the running server's bodies
Case = tuple[str, bytes, Mapping[str, str], set[int]]


def told(**changed: object) -> bytes:
    """Return an inference request whose tensor has changes; None leaves a field out."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": [3, 8, 8, 1], "data": PIXELS.ravel().tolist(), **changed}
    return json.dumps({"inputs": [{key: value for key, value in tensor.items() if value is not None}]}).encode()


def binary(shape: object, size: object, data: bytes, length: object = None) -> tuple[bytes, dict[str, str]]:
    """Return a binary inference request, and its header."""
    parameters = {"binary_data_size": size}
    tensor = {"name": "image", "datatype": "UINT8", "shape": shape, "parameters": parameters}
    text = json.dumps({"inputs": [tensor]}).encode()
    return text + data, {"inference-header-content-length": str(len(text) if length is None else length)}


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a part of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def giant(width: int, height: int) -> bytes:
    """Return a small PNG file that tells of a large picture."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def file_part(data: bytes, more: bytes = b"") -> bytes:
    """Return a form's part."""
    head = b'--edge\r\nContent-Disposition: form-data; name="f"; filename="f.png"\r\n' + more
    return head + b"\r\n" + data + b"\r\n"


def inference() -> dict[str, Case]:
    """Return what is wrong with requests of the protocol."""
    cases: dict[str, Case] = {}
    bodies: dict[str, bytes] = {
        "nothing": b"",
        "null": b"null",
        "list": b"[]",
        "number": b"7",
        "text": b'"inputs"',
        "half": GOOD[:-20],
        "twice": GOOD + GOOD,
        "utf-16": GOOD.decode().encode("utf-16"),
        "latin": b'{"inputs": "\xe9"}',
        "zeros": bytes(1000),
        "nan": told(data=None)[:-3] + b', "data": [NaN]}]}',
        "infinity": b'{"inputs": [{"data": [Infinity, -Infinity]}]}',
        "huge number": b'{"inputs": ' + b"9" * 100_000 + b"}",
        "huge float": told(data=None)[:-3] + b', "data": [1e999]}]}',
        "deep lists": b"[" * 200_000,
        "deep data": told(data=None)[:-3] + b', "data": ' + b"[" * 50_000 + b"]" * 50_000 + b"}]}",
        "deep objects": b'{"a":' * 100_000,
        "no inputs": b"{}",
        "inputs null": b'{"inputs": null}',
        "two inputs": json.dumps({"inputs": infer_body(PIXELS)["inputs"] * 2}).encode(),
        "id number": json.dumps({**infer_body(PIXELS), "id": 5}).encode(),
        "outputs text": json.dumps({**infer_body(PIXELS), "outputs": "all"}).encode(),
        "outputs unknown": json.dumps({**infer_body(PIXELS), "outputs": [{"name": "x"}]}).encode(),
        "outputs nameless": json.dumps({**infer_body(PIXELS), "outputs": [{}]}).encode(),
        "parameters list": json.dumps({**infer_body(PIXELS), "parameters": [1]}).encode(),
        "classification text": json.dumps(
            {**infer_body(PIXELS), "outputs": [{"name": "probabilities", "parameters": {"classification": "9"}}]}
        ).encode(),
        "name other": told(name="input"),
        "name number": told(name=0),
        "name long": told(name="x" * 100_000),
        "shared memory": told(data=None, parameters={"shared_memory_region": "x", "shared_memory_byte_size": 9}),
        "datatype float": told(datatype="FP32"),
        "datatype bytes": told(datatype="BYTES"),
        "datatype null": told(datatype=None),
        "shape text": told(shape="3,8,8,1"),
        "shape short": told(shape=[3, 64]),
        "shape long": told(shape=[3, 8, 8, 1] + [1] * 5_000),
        "shape zero": told(shape=[0, 8, 8, 1]),
        "shape minus": told(shape=[-3, 8, 8, 1]),
        "shape float": told(shape=[3.5, 8, 8, 1]),
        "shape other": told(shape=[3, 16, 4, 1]),
        "shape disagrees": told(shape=[2, 8, 8, 1]),
        "data short": told(data=PIXELS.ravel().tolist()[:-1]),
        "data long": told(data=[*PIXELS.ravel().tolist(), 1]),
        "data empty": told(data=[]),
        "data null": told(data=None),
        "data text": told(data="abc"),
        "data object": told(data={"0": 1}),
        "data texts": told(data=["1"] * 192),
        "data floats": told(data=[0.5] * 192),
        "data booleans": told(data=[True] * 192),
        "data nulls": told(data=[None] * 192),
        "data large": told(data=[256] * 192),
        "data negative": told(data=[-1] * 192),
        "data wide": told(data=[2**70] * 192),
        "data ragged": told(data=[[1, 2, 3], [4]]),
        "data mixed": told(data=[[1, 2], 3]),
        "data lists of nothing": told(data=[[]] * 1000),
        "data lists and objects": told(data=[[1], {}]),
    }
    cases |= {name: (INFER, body, JSON, {400}) for name, body in bodies.items()}
    cases["rows many"] = (INFER, told(shape=[257, 8, 8, 1]), JSON, {413})
    cases["rows astronomic"] = (INFER, told(shape=[2**70, 8, 8, 1]), JSON, {413})
    data = PIXELS.tobytes()
    for name, wrong in {
        "binary short": binary([3, 8, 8, 1], 192, data[:-1]),
        "binary long": binary([3, 8, 8, 1], 192, data + b"x"),
        "binary none": binary([3, 8, 8, 1], 192, b""),
        "binary size": binary([3, 8, 8, 1], 191, data),
        "binary size text": binary([3, 8, 8, 1], "192", data),
        "binary size minus": binary([3, 8, 8, 1], -192, data),
        "binary size huge": binary([3, 8, 8, 1], 2**63, data),
        "binary unclaimed": (told() + data, {"inference-header-content-length": str(len(told()))}),
        "binary header past the end": binary([3, 8, 8, 1], 192, data, 10**6),
        "binary header minus": binary([3, 8, 8, 1], 192, data, -1),
        "binary header text": binary([3, 8, 8, 1], 192, data, "many"),
        "binary header endless": binary([3, 8, 8, 1], 192, data, "9" * 5_000),
        "binary header short": binary([3, 8, 8, 1], 192, data, 10),
        "binary raw": (data, {"inference-header-content-length": "0"}),
    }.items():
        cases[name] = (INFER, wrong[0], wrong[1], {400})
    return cases


def packings() -> dict[str, Case]:
    """Return what is wrong with packed bodies."""
    packed = gzip.compress(GOOD)
    bomb = gzip.compress(bytes(50 * LIMIT))
    return {
        "gzip of nothing": (INFER, b"", {"content-encoding": "gzip"}, {400}),
        "gzip that is none": (INFER, GOOD, {"content-encoding": "gzip"}, {400}),
        "gzip cut short": (INFER, packed[:-9], {"content-encoding": "gzip"}, {400}),
        "gzip broken": (INFER, packed[:20] + b"\0\0\0\0" + packed[24:], {"content-encoding": "gzip"}, {400}),
        "gzip with a tail": (INFER, packed + b"tail", {"content-encoding": "gzip"}, {400}),
        "gzip twice": (INFER, packed + packed, {"content-encoding": "gzip"}, {400}),
        "gzip of gzip": (INFER, gzip.compress(packed), {"content-encoding": "gzip"}, {400}),
        "deflate that is none": (INFER, GOOD, {"content-encoding": "deflate"}, {400}),
        "brotli": (INFER, GOOD, {"content-encoding": "br"}, {415}),
        "gzip, gzip": (INFER, gzip.compress(packed), {"content-encoding": "gzip, gzip"}, {415}),
        "bomb": (INFER, bomb, {"content-encoding": "gzip"}, {413}),
        "bomb of a picture": (LABEL, bomb, {**PNG, "content-encoding": "gzip"}, {413}),
        "bomb, deflate": (LABEL, zlib.compress(bytes(50 * LIMIT)), {**JSON, "content-encoding": "deflate"}, {413}),
        "too large": (INFER, bytes(LIMIT + 1), JSON, {413}),
        "much too large": (LABEL, bytes(20 * LIMIT), PNG, {413}),
    }


def labels() -> dict[str, Case]:
    """Return what is wrong with pictures."""
    good = png(PIXELS[0])
    encoded = base64.b64encode(good).decode()
    wrong: dict[str, tuple[object, set[int]]] = {
        "empty object": ({}, {400}),
        "unknown key": ({"images": [encoded]}, {400}),
        "both keys": ({"pictures": [encoded], "rows": []}, {400}),
        "no pictures": ({"pictures": []}, {400}),
        "pictures text": ({"pictures": encoded}, {400}),
        "pictures numbers": ({"pictures": [1, 2]}, {400}),
        "pictures null": ({"pictures": [None]}, {400}),
        "pictures nested": ({"pictures": [[encoded]]}, {400}),
        "picture no base64": ({"pictures": ["*not base64*"]}, {422}),
        "picture no ascii": ({"pictures": ["\u00e9\ud800"]}, {422}),
        "picture empty": ({"pictures": [""]}, {422}),
        "picture url": ({"pictures": ["https://example.com/x.png"]}, {422}),
        "picture path": ({"pictures": ["/etc/passwd"]}, {422}),
        "pictures many": ({"pictures": [""] * 257}, {413}),
        "rows text": ({"rows": "abc"}, {400}),
        "rows texts": ({"rows": ["abc"]}, {400}),
        "rows short": ({"rows": [[1, 2]]}, {400}),
        "rows floats": ({"rows": [[0.5] * 64]}, {400}),
        "rows large": ({"rows": [[300] * 64]}, {400}),
        "rows unlike": ({"rows": [[1] * 64, [1] * 63]}, {400}),
        "rows many": ({"rows": [[1] * 64] * 257}, {413}),
    }
    cases: dict[str, Case] = {
        f"label {name}": (LABEL, json.dumps(body).encode(), JSON, codes) for name, (body, codes) in wrong.items()
    }
    pictures = {
        "cut short": good[: len(good) // 2],
        "header alone": good[:30],
        "giant": giant(30_000, 30_000),
        "giant by one side": giant(2**31 - 1, 1),
        "no pixels": giant(0, 0),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "tiff": b"II*\0" + bytes(100),
        "pdf": b"%PDF-1.7",
        "html": b"<script>alert(1)</script>",
        "noise": np.random.default_rng(0).bytes(5_000),
        "nothing": b"",
    }
    cases |= {f"picture {name}": (LABEL, data, PNG, {422}) for name, data in pictures.items()}
    end = b"--edge--\r\n"
    forms: dict[str, tuple[bytes, Mapping[str, str], set[int]]] = {
        "no edge": (file_part(good) + end, {"content-type": "multipart/form-data"}, {400}),
        "another edge": (file_part(good) + end, {"content-type": "multipart/form-data; boundary=other"}, {400}),
        "endless edge": (
            file_part(good) + end,
            {"content-type": f"multipart/form-data; boundary={'e' * 9_000}"},
            {400},
        ),
        "no end": (file_part(good), FORM, {400}),
        "no file": (b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' + end, FORM, {400}),
        "nothing": (b"", FORM, {400}),
        "nothing but its end": (end, FORM, {400}),
        "no disposition": (b"--edge\r\n\r\nx\r\n" + end, FORM, {400}),
        "long header": (file_part(good, b"X: " + b"x" * 20_000 + b"\r\n") + end, FORM, {400}),
        "many headers": (file_part(good, b"X: x\r\n" * 500) + end, FORM, {400}),
        "many files": (file_part(b"x") * 257 + end, FORM, {413}),
        "bad pictures": (file_part(b"x") * 3 + end, FORM, {422}),
    }
    cases |= {f"form {name}": (LABEL, *what) for name, what in forms.items()}
    cases |= {
        "type none": (LABEL, good, {}, {415}),
        "type text": (LABEL, good, {"content-type": "text/plain"}, {415}),
        "type urlencoded": (LABEL, b"a=b", {"content-type": "application/x-www-form-urlencoded"}, {415}),
        "top zero": (f"{LABEL}?top=0", good, PNG, {422}),
        "top text": (f"{LABEL}?top=all", good, PNG, {422}),
        "top huge": (f"{LABEL}?top={'9' * 400}", good, PNG, {422}),
        "model unknown": ("/v2/models/nobody/infer", GOOD, JSON, {404}),
        "model a path": ("/v2/models/..%2f..%2fetc%2fpasswd/infer", GOOD, JSON, {404}),
        "version unknown": ("/v2/models/bars/versions/7/infer", GOOD, JSON, {404}),
        "path unknown": ("/v3/everything", GOOD, JSON, {404}),
        "method wrong": ("/v2", GOOD, JSON, {405}),
    }
    return cases


CASES = {**inference(), **packings(), **labels()}

RAW: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400),
    "no length and chunks": (b"POST /v2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 400),
    "two lengths": (b"POST /v2 HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", 400),
    "length and chunks": (
        b"POST /v2 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "length that is none": (b"POST /v2 HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n", 400),
    "a chunk of no size": (
        b"POST /v1/label HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        400,
    ),
    "headers without end": (b"GET / HTTP/1.1\r\n" + b"x-a: " + b"a" * 400_000, 431),
    "headers that stop": (b"GET /v2 HTTP/1.1\r\nhost: x\r\n", 408),
    "a body that stops": (b"POST /v1/label HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc", 408),
    "chunks that stop": (b"POST /v1/label HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", 408),
    "a body larger than it says": (
        b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n{}  garbage\r\n\r\n" % INFER.encode(),
        400,
    ),
}


def well(running: Running, opened: Student) -> None:
    """Check that the server answers rightly."""
    reply = running.ask("POST", INFER, GOOD, JSON)
    assert reply.status == 200
    assert np.allclose(reply.json["outputs"][0]["data"], opened.probabilities(PIXELS).ravel(), atol=1e-6)


def test_there_are_a_hundred() -> None:
    """The list is as long as it says."""
    assert len(CASES) + len(RAW) >= 100


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_body_is_refused_with_a_reason(running: Running, opened: Student, name: str) -> None:
    """A 4xx, JSON, a reason that a person can read and that does not echo much; then all is well."""
    path, body, headers, codes = CASES[name]
    reply = running.ask("POST", path, body, headers)
    assert reply.status in codes, reply.body
    reason = reply.json["error"]
    assert 5 < len(reason) < 500
    well(running, opened)


@pytest.mark.parametrize("name", RAW)
def test_hostile_bytes_are_refused_with_a_reason(running: Running, opened: Student, name: str) -> None:
    """What is hardly HTTP, or stops half way, is refused in JSON too."""
    data, code = RAW[name]
    with running.connect() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        said = _all_of(connection)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % code), said
    assert json.loads(body.partition(b"HTTP/1.1")[0])["error"]
    well(running, opened)


def test_who_hangs_up_is_forgotten(running: Running, opened: Student) -> None:
    """Connections that end amid headers, body or answer leave nothing behind."""
    whole = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (INFER.encode(), len(GOOD)) + GOOD
    for length in (0, 10, 60, len(whole) - 5, len(whole)):
        for _ in range(5):
            with running.connect() as connection:
                connection.sendall(whole[:length])
    well(running, opened)
    assert "labelsvc_queue_rows 0.0" in running.ask("GET", "/metrics").body.decode()


def test_memory_stays_flat(running: Running, opened: Student) -> None:
    """After a first round of all that is large, many more rounds take no more memory."""
    large = [
        CASES[name] for name in ("bomb", "much too large", "deep data", "picture giant", "form many files", "rows many")
    ]

    def rude() -> None:
        for path, body, headers, _ in large:
            running.ask("POST", path, body, headers)
        well(running, opened)

    for _ in range(3):
        rude()
    before = running.memory()
    for _ in range(15):
        rude()
    assert running.memory() - before < 32 * 2**20


def _all_of(connection: socket.socket) -> bytes:
    """Return all that the server says until it closes, or is silent for a while after it has spoken."""
    said, until = b"", time.monotonic() + 60
    while time.monotonic() < until:
        connection.settimeout(1.0 if said else 60.0)
        try:
            more = connection.recv(65_536)
        except (TimeoutError, ConnectionResetError):
            break
        if not more:
            break
        said += more
    return said
