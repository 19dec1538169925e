"""``serve`` under load, beside other servers of the same file on the same cores, and beside bare onnxruntime.

Run: ``uv run python tests/benchmarks/serve.py [--student FILE] [--shape HxWxC] [--peer NAME=PYTHON ...]``.
A peer (litserve, bentoml, mlserver, pytriton) is started with its own interpreter, in which it must be installed; one
that does not start is said and left out. ``--soak 600`` is ten minutes of 32 clients, in which no request may be lost.
Without a student, an untrained one of the default network is served, for pictures of ``--shape`` (28x28x1).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from load import Load, put_under_load, request
from record import keep_table

from labelsvc import networks
from labelsvc.records import Model, PictureShape, Preprocessing
from labelsvc.student.export import export
from labelsvc.student.infer import Student, load

OURS = "labelsvc"
CLIENTS = (1, 32)
ROWS = 32
PEERS = Path(__file__).parent / "peers"
PROGRAM = "import sys; from labelsvc.cli.main import main; sys.exit(main())"
Body = Callable[[np.ndarray, str], tuple[str, bytes, Mapping[str, str]]]


@dataclass
class Server:
    """A server that runs, and what came of its loads, by clients."""

    name: str
    port: int
    asked: bytes
    loads: dict[int, list[Load]] = field(default_factory=dict)


def main() -> None:
    """Measure and keep."""
    told = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        path = told.student or _made(Path(folder), told.shape)
        student = load(path, device="cpu")
        pixels = np.random.default_rng(0).integers(0, 256, (ROWS, *_sides(student)), np.uint8)
        with _running(OURS, path, pixels[:1]) as ours:
            if told.soak:
                _soak(ours, told.soak)
                return
            table = [_rows_per_second(ours, path, pixels, student, told.seconds)]
            table += _beside(ours, dict(peer.split("=", 1) for peer in told.peer), path, pixels[:1], told)
        keep_table(f"serve_{'x'.join(map(str, pixels.shape[1:]))}", table)


def _beside(
    ours: Server, peers: Mapping[str, str], path: Path, pixels: np.ndarray, told: argparse.Namespace
) -> list[dict[str, float | str]]:
    """Put each server under load in turn, round by round; one peer runs at a time, and ours idles meanwhile."""
    servers = {OURS: ours}
    for _ in range(told.rounds):
        _load(ours, told.seconds)
        for name, python in peers.items():
            try:
                with _running(name, path, pixels, python) as peer:
                    servers.setdefault(name, peer)
                    servers[name].port = peer.port
                    _load(servers[name], told.seconds)
            except (OSError, TimeoutError) as error:
                print(f"{name} does not run here: {error}", file=sys.stderr)  # noqa: T201
    return [_row(server, clients, servers) for clients in CLIENTS for server in servers.values() if server.loads]


def _load(server: Server, seconds: float) -> None:
    for clients in CLIENTS:
        put_under_load(server.port, server.asked, clients=clients, seconds=min(2.0, seconds))
        found = put_under_load(server.port, server.asked, clients=clients, seconds=seconds)
        server.loads.setdefault(clients, []).append(found)


def _row(server: Server, clients: int, servers: Mapping[str, Server]) -> dict[str, float | str]:
    def speed(one: Server) -> float:
        return statistics.median(found.per_second for found in one.loads[clients])

    others = [speed(one) for name, one in servers.items() if name != OURS and one.loads]
    found = server.loads[clients]
    row: dict[str, float | str] = {
        "what": f"{server.name}, {clients} clients, a row each",
        "per_second": round(speed(server)),
        "p50_ms": round(statistics.median(one.milliseconds(50) for one in found), 2),
        "p99_ms": round(statistics.median(one.milliseconds(99) for one in found), 2),
        "refused": sum(one.refused for one in found),
        "lost": sum(one.lost for one in found),
    }
    if server.name == OURS and others:
        row["times_the_best_peer"] = round(speed(server) / max(others), 2)
    return row


def _rows_per_second(
    ours: Server, path: Path, pixels: np.ndarray, student: Student, seconds: float
) -> dict[str, float | str]:
    """Compare rows per second in requests of 32 rows, by two clients, with bare onnxruntime's in batches of 32."""
    asked = request(*_protocol(pixels, path.stem))
    ratios, ours_speed = [], []
    for _ in range(3):
        found = put_under_load(ours.port, asked, clients=2, seconds=seconds)
        ours_speed.append(ROWS * found.per_second)
        begun, batches = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            student.probabilities(pixels)
            batches += 1
        ratios.append(ours_speed[-1] / (ROWS * batches / (time.perf_counter() - begun)))
    return {
        "what": f"requests of {ROWS} rows, beside bare onnxruntime",
        "rows_per_second": round(statistics.median(ours_speed)),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "aim": 0.7,
    }


def _soak(ours: Server, seconds: float) -> None:
    found = put_under_load(ours.port, ours.asked, clients=32, seconds=seconds)
    row = {
        "what": f"{seconds:g} s of 32 clients",
        "answered": len(found.times),
        "p99_ms": round(found.milliseconds(99), 2),
    }
    keep_table("serve_soak", [{**row, "refused": found.refused, "lost": found.lost}])


@contextmanager
def _running(name: str, path: Path, pixels: np.ndarray, python: str = sys.executable) -> Iterator[Server]:
    """Start a server on a free port, and wait until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    if name == OURS:
        command = [python, "-c", PROGRAM, "serve", str(path), "--port", str(port), "--device", "cpu"]
    else:
        command = [python, str(PEERS / f"{name}_peer.py"), str(path), str(port)]
    server = Server(name, port, request(*BODIES.get(name, _protocol)(pixels, path.stem)))
    environment = {**os.environ, "PATH": f"{Path(python).parent}:{os.environ['PATH']}"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, start_new_session=True, **quiet) as process:
        try:
            _wait_for(server, process)
            yield server
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and the workers that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        if process.poll() is not None:
            raise OSError(f"it ended with code {process.returncode}")
        try:
            if put_under_load(server.port, server.asked, clients=1, seconds=0).times:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise TimeoutError("it did not answer within three minutes")


def _protocol(pixels: np.ndarray, model: str) -> tuple[str, bytes, Mapping[str, str]]:
    """Ask as the Open Inference Protocol does, with binary tensors."""
    parameters = {"binary_data_size": pixels.size}
    tensor = {"name": "image", "datatype": "UINT8", "shape": pixels.shape, "parameters": parameters}
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(text))}
    return f"/v2/models/{model}/infer", text + pixels.tobytes(), headers


def _protocol_json(pixels: np.ndarray, model: str) -> tuple[str, bytes, Mapping[str, str]]:
    """Ask as the Open Inference Protocol does, in JSON alone."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": pixels.shape, "data": pixels.ravel().tolist()}
    return f"/v2/models/{model}/infer", json.dumps({"inputs": [tensor]}).encode(), {"Content-Type": "application/json"}


def _base64(pixels: np.ndarray, _model: str) -> tuple[str, bytes, Mapping[str, str]]:
    """Ask with base64 in JSON, where a server has no binary form."""
    told = {"data": base64.b64encode(pixels.tobytes()).decode()}
    return "/predict", json.dumps(told).encode(), {"Content-Type": "application/json"}


def _base64_list(pixels: np.ndarray, model: str) -> tuple[str, bytes, Mapping[str, str]]:
    path, body, headers = _base64(pixels, model)
    return path, json.dumps({"data": [json.loads(body)["data"]]}).encode(), headers


BODIES: Mapping[str, Body] = {"litserve": _base64, "bentoml": _base64_list, "mlserver": _protocol_json}


def _sides(student: Student) -> tuple[int, int, int]:
    return student.shape.height, student.shape.width, student.shape.channels


def _made(folder: Path, shape: PictureShape) -> Path:
    """Write an untrained student."""
    preprocessing = Preprocessing(shape, (0.5,) * shape.channels, (0.25,) * shape.channels)
    classes = tuple(map(str, range(10)))
    model = Model("none", "none", "student", "supervised", "convnet", "none", "none", classes, preprocessing)
    pixels = np.random.default_rng(0).integers(0, 256, (16, shape.height, shape.width, shape.channels), np.uint8)
    export(networks.build("convnet", preprocessing, 10, seed=0), model, folder / "student.onnx", pixels=pixels)
    return folder / "student.onnx"


def _shape(text: str) -> PictureShape:
    return PictureShape(*map(int, text.split("x")))


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--student", type=Path)
    parser.add_argument("--shape", type=_shape, default=PictureShape(28, 28, 1), metavar="HxWxC")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
