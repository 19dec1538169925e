"""Every request comes in and goes out here: token, request id, log, meters, and the short way to inference.

The short way matters: a framework's routing takes longer than a small student's answer. Everything else goes to the
app, and is answered there.
"""

from __future__ import annotations

import hmac
import os
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping

from labelsvc.student.serve.asgi import (
    Answer,
    GoneError,
    Message,
    Receive,
    RefusedError,
    Scope,
    Send,
    header,
    send_answer,
)
from labelsvc.student.serve.journal import Journal
from labelsvc.student.serve.protocol import VERSION
from labelsvc.student.serve.service import ROWS, Service

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Infer = Callable[[Scope, Receive], Awaitable[Answer]]
OPEN = frozenset({"/", "/v2/health/live", "/v2/health/ready"})  # without a token
INFER = "/v2/models/{model}/infer"
ROUTE = "labelsvc.route"  # where the app leaves a request's route in its scope
HUNG_UP = 499  # nginx's code for a client that did; only in log and meters


class Door:
    """The outermost ASGI application."""

    def __init__(self, app: Application, service: Service, journal: Journal, *, token: str | None) -> None:
        self._app = app
        self._service = service
        self._journal = journal
        self._token = None if token is None else token.encode()
        base = f"/v2/models/{service.signature.name}"
        self._direct: Mapping[str, Infer] = dict.fromkeys(
            (f"{base}/infer", f"{base}/versions/{VERSION}/infer"), service.infer
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; lifespan events go to the app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        outgoing = _Outgoing(send, _request_id(scope), closing=lambda: self._service.draining)
        try:
            self._check_token(scope)
            await self._answer(scope, receive, outgoing)
        except RefusedError as refusal:
            await send_answer(outgoing, refusal.answer)
        except GoneError:
            outgoing.status = HUNG_UP
        except Exception as error:
            self._journal.write("error", request=outgoing.request_id, trace=traceback.format_exception(error))
            if not outgoing.status:
                await send_answer(
                    outgoing, RefusedError(500, "this is a mistake of the server's; its log says more").answer
                )
        finally:
            self._service.bodies.release(scope)
            self._note(scope, outgoing, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        infer = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        if infer is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = INFER
        await send_answer(send, await infer(scope, receive))

    def _check_token(self, scope: Scope) -> None:
        if self._token is None or scope["path"] in OPEN:
            return
        scheme, _, shown = (header(scope, b"authorization") or "").partition(" ")
        fits = hmac.compare_digest(shown.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not fits:
            raise RefusedError(401, "this needs the header `Authorization: Bearer TOKEN` with the server's token")

    def _note(self, scope: Scope, outgoing: _Outgoing, seconds: float) -> None:
        route = str(scope.get(ROUTE) or getattr(scope.get("route"), "path", "unknown"))
        self._service.meters.answered(route, outgoing.status, seconds)
        self._journal.write(
            "request",
            request=outgoing.request_id,
            method=scope["method"] if scope["method"].isalpha() else "?",
            route=route,
            code=outgoing.status,
            ms=round(1000 * seconds, 2),
            rows=scope.get(ROWS, 0),
        )


class _Outgoing:
    """A response on its way out: its status is noted, its request's id is added."""

    def __init__(self, send: Send, request_id: str, *, closing: Callable[[], bool]) -> None:
        self._send = send
        self._closing = closing
        self.request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            more = [(b"x-request-id", self.request_id.encode())]
            if self._closing():
                more.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *more]
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """Return the client's id of its request where that is a sane one, else one of ours."""
    told = header(scope, b"x-request-id") or ""
    return told if re.fullmatch(r"[\w.:-]{1,64}", told, re.ASCII) else os.urandom(8).hex()
