"""A running server, asked by clients that nobody here wrote, and watched in its log, its meters and its ending."""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import json
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from PIL import Image
from training.bars import bars
from tritonclient.utils import InferenceServerException

from labelsvc.data.pictures import png
from labelsvc.student.infer import Student

from .conftest import POLICY
from .running import Reply, Running, infer_body, serving

pytestmark = pytest.mark.seconds

PIXELS = bars(40, seed=5)[0]
TOKEN = "a-token-of-the-tests-0123456789"  # noqa: S105 - of nothing
CURL = shutil.which("curl")


def tensor(rows: int, *, binary: bool) -> triton.InferInput:
    """Return pictures as tritonclient sends them."""
    found = triton.InferInput("image", [rows, 8, 8, 1], "UINT8")
    found.set_data_from_numpy(PIXELS[:rows], binary_data=binary)
    return found


def labels_of(reply: Reply) -> list[str | None]:
    """Return the labels of an answer."""
    assert reply.status == 200, reply.body
    return [one["label"] for one in reply.json["answers"]]


def form(*files: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a form of files, and its header."""
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="f"; filename="%d.png"\r\n\r\n%s\r\n' % (place, data)
        for place, data in enumerate(files)
    ]
    return b"".join([*parts, b"--edge--\r\n"]), {"content-type": "multipart/form-data; boundary=edge"}


def test_triton_s_client_finds_its_way(running: Running) -> None:
    """Health, metadata and the repository's index are as tritonclient wants them; other models are unknown."""
    client = triton.InferenceServerClient(running.url)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("bars")
    assert client.is_model_ready("bars", "1")
    assert not client.is_model_ready("bars", "2")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    told = client.get_model_metadata("bars", "1")
    assert told["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 8, 8, 1]}]
    assert told["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]
    assert [(one["name"], one["state"]) for one in client.get_model_repository_index()] == [("bars", "READY")]
    with pytest.raises(InferenceServerException, match="there is 'bars'") as unknown:
        client.infer("other", [tensor(1, binary=True)])
    assert unknown.value.status() == "404"


@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("rows", [1, 40])
def test_triton_s_client_gets_the_student_s_answers(
    running: Running, opened: Student, rows: int, packing: str | None, *, binary: bool
) -> None:
    """In JSON or binary, packed or not, alone or many: what comes back is what the file says."""
    client = triton.InferenceServerClient(running.url)
    wanted = [triton.InferRequestedOutput("probabilities", binary_data=binary)]
    answer = client.infer(
        "bars",
        [tensor(rows, binary=binary)],
        outputs=wanted,
        request_id="a1",
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )
    assert answer.get_response()["id"] == "a1"
    assert np.allclose(answer.as_numpy("probabilities"), opened.probabilities(PIXELS[:rows]), atol=1e-6)


def test_triton_s_client_gets_classes(running: Running, opened: Student) -> None:
    """The classification extension gives names, the best first."""
    client = triton.InferenceServerClient(running.url)
    wanted = [triton.InferRequestedOutput("probabilities", class_count=1)]
    found = client.infer("bars", [tensor(3, binary=True)], outputs=wanted).as_numpy("probabilities")
    names = [text.decode().split(":", 2)[2] for text in found[:, 0]]
    assert names == [opened.classes[code] for code in opened.probabilities(PIXELS[:3]).argmax(axis=1)]


def test_triton_s_client_asks_for_many_at_once(running: Running, opened: Student) -> None:
    """Requests on many connections are each answered with their own."""
    client = triton.InferenceServerClient(running.url, concurrency=8)
    waiting = [client.async_infer("bars", [tensor(1 + place % 7, binary=True)]) for place in range(60)]
    expected = opened.probabilities(PIXELS[:7])
    for place, one in enumerate(waiting):
        found = one.get_result().as_numpy("probabilities")
        assert np.allclose(found, expected[: 1 + place % 7], atol=1e-6)
    client.close()


@pytest.mark.skipif(CURL is None, reason="there is no curl")
def test_curl_labels_a_picture(running: Running, tmp_path: Path) -> None:
    """A form of files, a picture as the body and a packed body, all from a shell."""
    (tmp_path / "left.png").write_bytes(png(PIXELS[0]))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(json.dumps(infer_body(PIXELS[:2])).encode()))
    where = f"http://{running.url}"

    def curl(*words: str) -> str:
        command = [CURL or "", "--silent", "--show-error", "--fail-with-body", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    several = json.loads(curl("-F", "file=@left.png", "-F", "file=@left.png", f"{where}/v1/label"))
    assert [(one["label"], one["name"]) for one in several["answers"]] == [("left", "left.png")] * 2
    alone = json.loads(curl("--data-binary", "@left.png", "-H", "content-type: image/png", f"{where}/v1/label?top=1"))
    assert [share["label"] for share in alone["answers"][0]["top"]] == ["left"]
    packed = ("--data-binary", "@packed.gz", "-H", "content-encoding: gzip", "-H", "content-type: application/json")
    assert json.loads(curl(*packed, f"{where}/v2/models/bars/infer"))["outputs"][0]["shape"] == [2, 3]


def test_every_form_of_a_picture_gets_the_same_label(running: Running, opened: Student) -> None:
    """Forms, base64, data URLs and raw rows say the same, with the policy and the model that said it."""
    files = [png(row) for row in PIXELS[:6]]
    texts = [base64.b64encode(data).decode() for data in files]
    body, headers = form(*files)
    replies = [
        running.ask("POST", "/v1/label", body, headers),
        running.post("/v1/label", {"pictures": texts}),
        running.post("/v1/label", {"pictures": [f"data:image/png;base64,{text}" for text in texts]}),
        running.post("/v1/label", {"rows": PIXELS[:6].tolist()}),
        running.post("/v1/label", {"rows": PIXELS[:6, :, :, 0].tolist()}),
        running.post("/v1/label", {"rows": PIXELS[:6].reshape(6, -1).tolist()}),
    ]
    probabilities = opened.probabilities(PIXELS[:6])
    best, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1).astype(np.float64)
    accepted = POLICY.accepts(best, confidence, opened.classes)
    expected = [opened.classes[code] if fits else None for code, fits in zip(best, accepted, strict=True)]
    assert {type(label) for label in expected} == {str, type(None)}, "or this would show less"
    for reply in replies:
        assert labels_of(reply) == expected
        assert [one["confidence"] for one in reply.json["answers"]] == pytest.approx(confidence.tolist(), abs=1e-6)
    told = replies[0].json
    assert told["policy"]["origin"] == POLICY.origin
    assert told["model"] == {"name": "bars", "version": "1", "id": "m-1", "role": "student"}


def test_a_bad_picture_spoils_no_other(running: Running) -> None:
    """Among good ones it has an error in its place; where there is no good one the request is refused."""
    good = png(PIXELS[0])
    body, headers = form(good, b"no picture", good[:60], good)
    reply = running.ask("POST", "/v1/label", body, headers)
    assert labels_of(reply) == ["left", None, None, "left"]
    assert [one["error"] is None for one in reply.json["answers"]] == [True, False, False, True]
    body, headers = form(b"no picture", b"none")
    refused = running.ask("POST", "/v1/label", body, headers)
    assert refused.status == 422
    assert "nor can 1 more" in refused.json["error"]


def test_large_pictures_are_squeezed_and_huge_ones_refused(running: Running) -> None:
    """A picture of any size is brought into the student's shape, unless it is a bomb."""
    left = np.kron(PIXELS[0, :, :, 0], np.ones((40, 40), np.uint8))
    file = io.BytesIO()
    Image.fromarray(left).convert("RGB").save(file, "JPEG")
    assert labels_of(running.ask("POST", "/v1/label", file.getvalue(), {"content-type": "image/jpeg"})) == ["left"]
    bomb = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(bomb, "PNG")
    refused = running.ask("POST", "/v1/label", bomb.getvalue(), {"content-type": "image/png"})
    assert refused.status == 422
    assert "9,000 by 9,000 pixels, more than the 25,000,000 allowed" in refused.json["error"]


def test_meters_tell_what_was_said(served: Path) -> None:
    """Prometheus reads requests, rows, labels and confidence; drift is small on the pool's like and large elsewhere."""
    with serving(served) as running:
        running.post("/v1/label", {"rows": bars(300, seed=7)[0].tolist()})
        running.ask("GET", "/nowhere?secret=1")
        said = running.ask("GET", "/metrics").body.decode()
        near = float(re.search(r'labelsvc_drift\{of="confidence"\} (\S+)', said)[1])  # type: ignore[index]
        assert near < 0.1
        for line in (
            "labelsvc_window_rows 300.0",
            'labelsvc_requests_total{code="200",route="/v1/label"} 1.0',
            'labelsvc_requests_total{code="404",route="unknown"} 1.0',
            "labelsvc_confidence_count 300.0",
            "labelsvc_queue_rows 0.0",
        ):
            assert line in said.splitlines()
        rows = dict(re.findall(r'labelsvc_rows_total\{outcome="(\w+)"\} (\S+)', said))
        assert float(rows["labeled"]) + float(rows["abstained"]) == 300
        noise = np.random.default_rng(0).integers(0, 256, (256, 8, 8, 1), np.uint8)
        for _ in range(2):
            assert running.post("/v2/models/bars/infer", infer_body(noise)).status == 200
        said = running.ask("GET", "/metrics").body.decode()
        far = [float(value) for value in re.findall(r"labelsvc_drift\{.*\} (\S+)", said)]
        assert max(far) > 0.25


def test_a_token_is_asked_for(served: Path, tmp_path: Path) -> None:
    """Without the token there is health and the page; with it there is everything; it is never in the log."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    with serving(served, "--token-file", str(tmp_path / "token")) as running:
        for path in ("/", "/v2/health/live", "/v2/health/ready"):
            assert running.ask("GET", path).status == 200
        body = json.dumps(infer_body(PIXELS[:1])).encode()
        shown = {
            "": 401,
            f"Bearer {TOKEN}": 200,
            f"bearer {TOKEN}": 200,
            f"Bearer {TOKEN}x": 401,
            "Bearer": 401,
            f"Basic {TOKEN}": 401,
            TOKEN: 401,
        }
        for authorization, status in shown.items():
            reply = running.ask("POST", "/v2/models/bars/infer", body, {"authorization": authorization})
            assert reply.status == status
            assert status == 200 or (reply.headers["www-authenticate"] == "Bearer" and "error" in reply.json)
        for method, path in (("GET", "/metrics"), ("GET", "/v2"), ("POST", "/v1/label"), ("GET", "/openapi.json")):
            assert running.ask(method, path).status == 401
        client = triton.InferenceServerClient(running.url)
        assert client.get_server_metadata(headers={"Authorization": f"Bearer {TOKEN}"})["name"] == "labelsvc"
        assert running.end() == 0
    assert TOKEN not in json.dumps(running.log) + "".join(running.spoken)


def test_the_environment_may_hold_the_token(served: Path) -> None:
    """LABELSVC_TOKEN is a token too, and lets a server listen beyond this machine."""
    with serving(served, "--host", "0.0.0.0", token=TOKEN) as running:  # noqa: S104 - it has a token
        assert running.ask("GET", "/v2").status == 401
        assert running.ask("GET", "/v2", headers={"authorization": f"Bearer {TOKEN}"}).status == 200


def test_the_log_is_json_and_tells_no_secrets(served: Path) -> None:
    """One line for each request, with its id, route, code, time and rows; no query, no path that is no route."""
    with serving(served, "--threshold", "0.7") as running:
        start = running.wait_for("start")
        assert (start["model"], start["threshold"], start["policy"]) == ("bars", 0.7, "--threshold")
        running.ask("GET", "/private/7?token=hush")
        asked = running.post("/v2/models/bars/infer", infer_body(PIXELS[:5]), **{"x-request-id": "mine-1"})
        assert asked.headers["x-request-id"] == "mine-1"
        odd = running.ask("GET", "/v2", headers={"x-request-id": 'a "b"'})
        assert odd.headers["x-request-id"] != 'a "b"'
        assert running.end() == 0
    lines = [line for line in running.log if line["event"] == "request"]
    assert [(line["route"], line["code"], line["rows"]) for line in lines] == [
        ("unknown", 404, 0),
        ("/v2/models/{model}/infer", 200, 5),
        ("/v2", 200, 0),
    ]
    assert lines[1]["request"] == "mine-1"
    assert all(line["ms"] >= 0 and line["method"] in ("GET", "POST") for line in lines)
    assert "private" not in json.dumps(running.log)
    assert "hush" not in json.dumps(running.log)  # which no hexadecimal id can hold
    assert running.spoken == [
        f"5 in = {running.log[-1]['labeled']} labeled + {running.log[-1]['abstained']} abstained + 0 failed\n"
    ]


def test_a_full_queue_says_when_to_come_back(served: Path) -> None:
    """More rows at once than may wait are refused with 429 and Retry-After, and the others are answered."""
    statuses: list[int] = []
    with serving(served, "--queue-rows", "256", "--max-rows", "256", "--batch-rows", "1") as running:
        body = json.dumps(infer_body(bars(250)[0])).encode()

        def ask() -> None:
            reply = running.ask("POST", "/v2/models/bars/infer", body)
            assert reply.status == 200 or reply.headers["retry-after"] == "1"
            statuses.append(reply.status)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert running.ask("POST", "/v2/models/bars/infer", body).status == 200
    assert len(statuses) == 8
    assert set(statuses) == {200, 429}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_end_answers_all_that_was_taken(served: Path, number: int, code: int) -> None:
    """Under load, a signal loses no request: each is answered rightly or was never taken."""
    body = json.dumps(infer_body(PIXELS[:3])).encode()
    answered, lost = [0] * 8, [0] * 8

    def ask(place: int) -> None:
        connection = http.client.HTTPConnection(running.host, running.port, timeout=60)
        try:
            connection.connect()
        except OSError:  # it was never let in
            return
        reply = None
        while reply is None or reply.getheader("connection") != "close":
            try:
                connection.request("POST", "/v2/models/bars/infer", body)
                reply = connection.getresponse()
                answered[place] += reply.status == 200 and len(json.loads(reply.read())["outputs"][0]["data"]) == 9
            except (OSError, http.client.HTTPException):
                lost[place] += 1
                break
        connection.close()

    with serving(served) as running:
        threads = [threading.Thread(target=ask, args=(place,)) for place in range(8)]
        for thread in threads:
            thread.start()
        while sum(answered) < 100 and not sum(lost):
            time.sleep(0.01)
        assert running.end(number) == code
        for thread in threads:
            thread.join(timeout=10)
    assert lost == [0] * 8
    assert running.log[-1]["event"] == "end"
    assert running.log[-1]["rows"] == 3 * sum(answered)


def test_a_second_signal_ends_at_once(served: Path) -> None:
    """While a request that never ends keeps the first Ctrl-C waiting, a second one ends the process."""
    with serving(served, "--body-seconds", "60") as running, running.connect() as connection:
        connection.sendall(b"POST /v1/label HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
        running.process.send_signal(signal.SIGINT)
        running.wait_for("ending")
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(timeout=2)
        assert running.end(signal.SIGINT) == 130
    assert not any("Traceback" in line for line in running.spoken)
