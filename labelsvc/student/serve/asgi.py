"""What passes between the HTTP server and the routes: ASGI's own shapes, a whole answer, and a refusal with its reason.

Knows no route.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

Result = TypeVar("Result")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON, BINARY, FORM = "application/json", "application/octet-stream", "multipart/form-data"
WORTH_PACKING = 1_024  # bytes of an answer


@dataclass(frozen=True)
class Answer:
    """A response that is whole."""

    body: bytes
    status: int = 200
    media_type: str = JSON
    headers: Mapping[str, str] | None = None


class RefusedError(Exception):
    """A request that is not answered with a label: the status says whose fault it is, the reason what to do.

    With ``closes`` the connection ends too, because what follows on it cannot be read.
    """

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None, closes: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.closes = closes

    @property
    def answer(self) -> Answer:
        """The refusal as everybody gets it."""
        headers = {"connection": "close"} if self.closes else {}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.status == 415:
            headers["accept-encoding"] = "gzip, deflate"
        return Answer(json.dumps({"error": self.reason}).encode(), self.status, headers=headers)


class GoneError(Exception):
    """The client hung up before it was answered."""


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request's header, named in lower case; the first where there are several."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    headers = {"content-type": answer.media_type, "content-length": str(len(answer.body)), **(answer.headers or {})}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})


def packed(scope: Scope, answer: Answer) -> Answer:
    """Return a long answer as gzip, where the client takes that."""
    if len(answer.body) < WORTH_PACKING or not accepts_gzip(header(scope, b"accept-encoding") or ""):
        return answer
    headers = {**(answer.headers or {}), "content-encoding": "gzip", "vary": "accept-encoding"}
    return replace(answer, body=gzip.compress(answer.body, compresslevel=1), headers=headers)


def accepts_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip.

    >>> accepts_gzip("gzip, deflate"), accepts_gzip("br, gzip;q=0"), accepts_gzip("")
    (True, False, False)
    """
    wishes = [wish.replace(" ", "").lower() for wish in accepted.split(",")]
    return any(re.fullmatch(r"gzip(;q=(?!0(\.0*)?$).*)?", wish) for wish in wishes)


async def while_connected(work: Coroutine[Any, Any, Result], receive: Receive) -> Result:
    """Return what ``work`` gives, or drop it when the client hangs up, its body being read.

    Raises:
        GoneError: the client hung up.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise GoneError
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
