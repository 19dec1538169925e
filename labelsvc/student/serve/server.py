"""Start, run and end the server: warm up before it is ready, finish what was taken before it goes.

Ctrl-C and SIGTERM end it in order, a second one at once. Nothing is printed: lines go to a journal.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from labelsvc import __version__
from labelsvc.config import ServeConfig
from labelsvc.errors import LabelsvcError, UsageError
from labelsvc.records import RowCount
from labelsvc.student.infer import Student
from labelsvc.student.metadata import StudentPolicy
from labelsvc.student.serve.app import build
from labelsvc.student.serve.connection import Connection
from labelsvc.student.serve.door import Door
from labelsvc.student.serve.journal import Journal
from labelsvc.student.serve.service import Service

IDLE_SECONDS = 1.0  # that open connections have to bring one more request, when the server ends
ENDINGS = (signal.SIGINT, signal.SIGTERM)
TOKEN_LENGTH = 16  # characters at the least


def serve(
    student: Student,
    policy: StudentPolicy,
    config: ServeConfig,
    *,
    name: str,
    token: str | None,
    say: Callable[[str], None],
) -> RowCount:
    """Serve until told to end, and return what became of all rows.

    Raises:
        UsageError: a token is needed, or is none; the host or port cannot be used.
        LabelsvcError: the model cannot compute.
        KeyboardInterrupt: Ctrl-C ended it, in order.
    """
    _check_token(token, config.host)
    journal = Journal(say)
    service = Service(student, policy, config, name=name)
    place = _listening(config.host, config.port)
    server = _Server(service, place, journal, config=config, token=token)
    journal.write("start", **_facts(service, policy, place))
    with journal.for_others("uvicorn.error", "asyncio"):
        server.run([place])
    if server.failure is not None:
        raise LabelsvcError(f"the model cannot compute: {server.failure}") from server.failure
    rows = service.meters.said.count()
    journal.write("end", rows=rows.given, labeled=rows.labeled, abstained=rows.abstained, failed=rows.failed)
    if server.ended_by == signal.SIGINT:
        raise KeyboardInterrupt
    return rows


class _Server(uvicorn.Server):
    def __init__(
        self, service: Service, place: socket.socket, journal: Journal, *, config: ServeConfig, token: str | None
    ) -> None:
        door = Door(build(service), service, journal, token=token)
        super().__init__(
            uvicorn.Config(
                door,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=round(config.drain_seconds),
            )
        )
        self._service = service
        self._place = place
        self._journal = journal
        self.failure: Exception | None = None
        self.ended_by: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and warm up meanwhile."""
        await super().startup(sockets)
        self._warming = asyncio.create_task(self._warm_up())

    async def _warm_up(self) -> None:
        try:
            await self._service.start()
        except Exception as error:
            self.failure = error
            self.should_exit = True
        else:
            self._journal.write("ready", address=address(self._place))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, answer on the open ones, each a last time, and end."""
        self._journal.write("ending", connections=len(self.server_state.connections))
        self._service.draining = True
        for server in self.servers:
            server.close()
        until = asyncio.get_running_loop().time() + IDLE_SECONDS
        while self.server_state.connections and not self.force_exit and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)
        self._warming.cancel()
        if not self.force_exit:
            await self._service.stop()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order at the first signal, at once at the second."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._told_to_end) for number in ENDINGS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _told_to_end(self, number: int, _frame: object) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self.ended_by = number


def _check_token(token: str | None, host: str) -> None:
    if token is None:
        if not _is_loopback(host):
            raise UsageError(
                f"--host {host} lets others in, which needs a token: put one into a file for --token-file, or into "
                "LABELSVC_TOKEN; `openssl rand -hex 32` makes one"
            )
    elif len(token) < TOKEN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"a token has at least {TOKEN_LENGTH} letters, digits or signs, and no spaces")


def _is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host."""
    return all(ipaddress.ip_address(found[4][0]).is_loopback for found in _resolved(host, 0))


def _resolved(host: str, port: int) -> list[tuple[socket.AddressFamily, object, int, str, tuple[str, int]]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)  # type: ignore[return-value]
    except OSError as error:
        raise UsageError(f"--host {host} is no address of this machine: {error.strerror}") from error


def _listening(host: str, port: int) -> socket.socket:
    family, *_, place = _resolved(host, port)[0]
    try:
        return socket.create_server(place, family=family, backlog=2048)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}; choose another --port") from error


def address(place: socket.socket) -> str:
    """Return where a socket listens, as a browser takes it."""
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _facts(service: Service, policy: StudentPolicy, place: socket.socket) -> dict[str, object]:
    """Return what the log's first line tells: what is served, where, and from which confidence on a label counts."""
    signature = service.signature
    return {
        "address": address(place),
        "model": signature.name,
        "classes": len(signature.classes),
        "shape": signature.sides,
        "threshold": policy.threshold,
        "policy": policy.origin,
        "version": __version__,
    }
