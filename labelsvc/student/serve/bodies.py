"""Bodies of requests, taken in within limits: of bytes, of what they unpack to, of time, and of all bodies together.

A body that is too large is read to its end all the same, as far as that is reasonable, and forgotten piece by piece:
most clients send before they listen, and would not hear why they were refused.
"""

from __future__ import annotations

import asyncio
import zlib

from labelsvc.student.serve.asgi import GoneError, Receive, RefusedError, Scope, header

FORGOTTEN = 64 * 2**20  # bytes of a body that is too large which are read on
BODIES_HELD = 16  # as many of the largest size are held at once
HELD = "labelsvc.held"  # where a request's scope says how many bytes it holds
GZIP_OR_ZLIB = 47  # zlib's code for either, told by the header


class Bodies:
    """Takes bodies in."""

    def __init__(self, most_bytes: int, seconds: float) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._held = 0

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """Return a request's body, unpacked; ``release`` it when the request is answered.

        Raises:
            RefusedError: 400 for a broken packing, 408 too slow, 413 too large, 415 packed otherwise, 429 too many.
            GoneError: the client hung up.
        """
        packing = _packing(scope)
        try:
            async with asyncio.timeout(self._seconds):
                declared = header(scope, b"content-length")
                if declared is not None and int(declared) > self._most_bytes:
                    await _forget(scope, receive)
                    raise self._too_large()
                return await self._gathered(scope, receive, packing)
        except TimeoutError:
            reason = f"the body did not come within {self._seconds:g} seconds"
            raise RefusedError(408, reason, closes=True) from None

    def release(self, scope: Scope) -> None:
        """Stop counting a request's body."""
        self._held -= scope.get(HELD, 0)

    async def _gathered(self, scope: Scope, receive: Receive, packing: _Packing | None) -> bytes:
        whole = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if packing is not None:
                piece = packing.unpack(piece, self._most_bytes - len(whole))
            self._hold(scope, len(piece))
            if len(whole) + len(piece) > self._most_bytes:
                if more:
                    await _forget(scope, receive)
                raise self._too_large()
            if not more:
                if packing is not None:
                    packing.check_end()
                return bytes(whole) + piece if whole else piece
            whole += piece

    def _hold(self, scope: Scope, count: int) -> None:
        self._held += count
        scope[HELD] = scope.get(HELD, 0) + count
        if self._held > BODIES_HELD * self._most_bytes:
            raise RefusedError(429, "too many large bodies at once; try again", retry_after=1, closes=True)

    def _too_large(self) -> RefusedError:
        reason = f"the body is larger than {self._most_bytes:,} bytes, packed or unpacked; send fewer rows at once"
        return RefusedError(413, reason, closes=True)


class _Packing:
    """A body that comes as gzip or zlib."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(GZIP_OR_ZLIB)

    def unpack(self, data: bytes, room: int) -> bytes:
        """Return what ``data`` adds, one byte more than ``room`` where it is more than that."""
        try:
            unpacked = self._zlib.decompress(data, room + 1)
        except zlib.error as error:
            raise RefusedError(400, f"the body cannot be unpacked: {error}", closes=True) from None
        if self._zlib.unused_data:
            raise RefusedError(400, "the packed body goes on after its end", closes=True)
        return unpacked

    def check_end(self) -> None:
        if not self._zlib.eof:
            raise RefusedError(400, "the packed body is cut short")


def _packing(scope: Scope) -> _Packing | None:
    named = (header(scope, b"content-encoding") or "identity").strip().lower()
    if named in ("gzip", "x-gzip", "deflate"):
        return _Packing()
    if named == "identity":
        return None
    raise RefusedError(415, "the body is packed in a way that is not known; send it as gzip, deflate or as it is")


async def _forget(scope: Scope, receive: Receive) -> None:
    """Read a body on without keeping it, so that its sender gets to listen; one that waits to be asked sends none."""
    if header(scope, b"expect") is not None:
        return
    forgotten, more = 0, True
    while more and forgotten < FORGOTTEN:
        message = await receive()
        forgotten += len(message.get("body", b""))
        more = message.get("more_body", False)
