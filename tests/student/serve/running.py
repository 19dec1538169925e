"""A real server in a process of its own, as its users start it, and plain ways to ask it."""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PROGRAM = (sys.executable, "-c", "import sys; from labelsvc.cli.main import main; sys.exit(main())")
PATIENCE = 120.0  # seconds, on a machine that has other things to do


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body, which is JSON."""
        return json.loads(self.body)


@dataclass
class Running:
    """A running server."""

    process: subprocess.Popen[str]
    host: str = ""
    port: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)  # its lines, as they came
    spoken: list[str] = field(default_factory=list)  # lines that are no JSON
    _news: queue.Queue[str] = field(default_factory=queue.Queue)

    @property
    def url(self) -> str:
        """Where it is, for clients."""
        return f"{self.host}:{self.port}"

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request on a connection of its own, and return the answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            found = connection.getresponse()
            return Reply(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
        finally:
            connection.close()

    def post(self, path: str, told: object, **headers: str) -> Reply:
        """Send JSON."""
        return self.ask("POST", path, json.dumps(told).encode(), {"content-type": "application/json", **headers})

    def connect(self) -> socket.socket:
        """Open a connection for bytes of any kind."""
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)

    def memory(self) -> int:
        """Return the bytes that the process holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the first line of the log that tells of an event."""
        while True:
            for line in self.log:
                if line["event"] == event:
                    return line
            self._news.get(timeout=PATIENCE)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)

    def read(self) -> None:
        """Take in what it says, until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self.log.append(json.loads(line))
            else:
                self.spoken.append(line)
            self._news.put(line)


@contextmanager
def serving(student: Path, *options: str, token: str | None = None) -> Iterator[Running]:
    """Start a server on a free port, and hand it over when it is ready."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LABELSVC_")}
    if token is not None:
        environment["LABELSVC_TOKEN"] = token
    command = [*PROGRAM, "serve", str(student), "--port", "0", "--device", "cpu", *options]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as started:
        found = Running(started)
        reader = threading.Thread(target=found.read, daemon=True)
        reader.start()
        try:
            address = found.wait_for("ready")["address"].rsplit("/", 2)[1]
            found.host, _, port = address.rpartition(":")
            found.port = int(port)
            yield found
        finally:
            started.kill()
            reader.join(timeout=PATIENCE)


def infer_body(pixels: np.ndarray[Any, np.dtype[np.uint8]], **more: object) -> dict[str, Any]:
    """Return the JSON that asks for pictures' probabilities."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(pixels.shape), "data": pixels.ravel().tolist()}
    return {"inputs": [tensor], **more}
