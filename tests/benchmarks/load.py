"""A load of HTTP requests: so many connections, each of which asks again as soon as it is answered.

One process, one thread, prepared bytes: as little as possible of the machine is the client's.
"""

from __future__ import annotations

import re
import selectors
import socket
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Load:
    """What came of a load."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)  # of requests that were answered with 200
    refused: int = 0  # answered with anything else
    lost: int = 0  # not answered

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.times) / self.seconds

    def milliseconds(self, percent: int) -> float:
        """Return the time within which so many percent of the requests were answered."""
        return 1000 * statistics.quantiles(self.times, n=100)[percent - 1]


def request(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of a POST."""
    told = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
    return "\r\n".join([f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in told.items()), "", ""]).encode() + body


def put_under_load(port: int, asked: bytes, *, clients: int, seconds: float) -> Load:
    """Keep ``clients`` connections busy for so long, then let each have its last answer."""
    found = Load()
    waiting = selectors.DefaultSelector()
    for _ in range(clients):
        waiting.register(_connected(port), selectors.EVENT_READ, _Turn())
    begun = time.perf_counter()
    for key in list(waiting.get_map().values()):
        _ask(key.fileobj, asked, key.data)
    while waiting.get_map():
        ready = waiting.select(timeout=30)
        if not ready:
            found.lost += len(waiting.get_map())
            break
        for key, _ in ready:
            _hear(key, asked, found, waiting, until=begun + seconds)
    found.seconds = time.perf_counter() - begun
    return found


@dataclass
class _Turn:
    began: float = 0.0
    heard: bytes = b""


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket, asked: bytes, turn: _Turn) -> None:
    turn.began, turn.heard = time.perf_counter(), b""
    connection.sendall(asked)


def _hear(
    key: selectors.SelectorKey, asked: bytes, found: Load, waiting: selectors.BaseSelector, *, until: float
) -> None:
    turn: _Turn = key.data
    connection: socket.socket = key.fileobj
    more = connection.recv(1 << 16)
    turn.heard += more
    if more and not _whole(turn.heard):
        return
    now = time.perf_counter()
    if not more:
        found.lost += 1
    elif turn.heard.startswith(b"HTTP/1.1 200"):
        found.times.append(now - turn.began)
    else:
        found.refused += 1
    if more and now < until:
        _ask(connection, asked, turn)
    else:
        waiting.unregister(connection)
        connection.close()


def _whole(heard: bytes) -> bool:
    """Return whether an answer, which tells its length or comes in chunks, has come to its end."""
    end = heard.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = LENGTH.search(heard, 0, end)
    return len(heard) >= end + 4 + int(length[1]) if length else heard.endswith(b"0\r\n\r\n")
