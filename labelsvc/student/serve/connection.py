"""One connection: uvicorn's, with limits on headers, which it leaves open, and with refusals that are JSON.

A client that opens a connection and says nothing, drips its headers, or sends them without end, is shown out.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0  # from the connection, or a request's first byte, to the end of its headers
HEADER_BYTES = 2**16
READING_SECONDS = 30.0  # that a client may take to read its last answer


class Connection(HttpToolsProtocol):
    """Reads requests of one client."""

    _patience: asyncio.TimerHandle | None = None
    _in_headers = False
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for the first request, not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._relax()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and see whether headers have ended."""
        super().data_received(data)
        if not self._in_headers or self.transport.is_closing():
            return
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_BYTES:
            self._refuse(431, f"the headers are larger than {HEADER_BYTES:,} bytes")
        elif self._patience is None:
            self._wait()

    def on_message_begin(self) -> None:
        """Begin a request's headers."""
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End them."""
        self._in_headers = False
        self._relax()
        super().on_headers_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even if its client never reads what it was answered."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(READING_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, msg)

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _relax(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self._in_headers:
            self._refuse(408, f"the headers did not come within {HEADER_SECONDS:g} seconds")
        else:
            self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # an answer is half said
            return
        body = json.dumps({"error": reason}).encode()
        told: dict[str, Any] = {"content-type": "application/json", "content-length": len(body), "connection": "close"}
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in told.items())]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()
