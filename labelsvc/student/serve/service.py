"""The student at work behind every route: which labels count, what is computed together, what is counted.

Opens no file and knows no route.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from labelsvc.config import ServeConfig
from labelsvc.records import PictureShape, Pixels
from labelsvc.student.infer import Student
from labelsvc.student.metadata import StudentPolicy
from labelsvc.student.serve.asgi import (
    BINARY,
    JSON,
    Answer,
    Receive,
    RefusedError,
    Scope,
    header,
    packed,
    while_connected,
)
from labelsvc.student.serve.batcher import Batcher, BatchLimits
from labelsvc.student.serve.bodies import Bodies
from labelsvc.student.serve.labels import LabelLimits, LabelsTold, ModelTold, answers, check_any, read_pictures
from labelsvc.student.serve.meters import Meters
from labelsvc.student.serve.protocol import VERSION, Asked, Signature, read_request, write_answer

Result = TypeVar("Result")
READERS = 2  # threads that decode pictures and large JSON; each may hold one picture unpacked
ROWS = "labelsvc.rows"  # where a request's scope says how many rows it brought
SHORT = 2**16  # bytes of JSON that are read where they arrive


class Service:
    """Answers with one student, from ``start`` to ``stop``."""

    def __init__(self, student: Student, policy: StudentPolicy, config: ServeConfig, *, name: str) -> None:
        assert isinstance(student.shape, PictureShape), "the flow refuses others"
        self.signature = Signature(name, student.classes, student.shape)
        self.meters = Meters(student, policy, name=name)
        self.bodies = Bodies(int(config.max_body_mb * 2**20), config.body_seconds)
        self._student = student
        self._policy = policy
        self._config = config
        limits = BatchLimits(config.batch_rows, config.queue_rows, config.max_wait / 1000)
        self._batcher = Batcher(student.probabilities, limits, seen=self.meters.batch)
        self.meters.watch_queue(lambda: self._batcher.rows_waiting)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self.draining = False  # no new connections are taken, and those that there are end with their next answer

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self._batcher.ready and not self.draining

    async def start(self) -> None:
        """Warm up; then requests are answered."""
        await self._batcher.start(np.zeros((1, *self.signature.sides), np.uint8))

    async def stop(self) -> None:
        """Finish what was taken."""
        await self._batcher.stop()
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def infer(self, scope: Scope, receive: Receive) -> Answer:
        """Answer a request of the Open Inference Protocol.

        Raises:
            RefusedError: with the status and the reason.
            GoneError: the client hung up.
        """
        body = await self.bodies.read(scope, receive)
        asked = await self._read(body, _header_bytes(scope))
        probabilities = await self._probabilities(scope, receive, asked.pixels)
        text, json_bytes = write_answer(asked, probabilities, self.signature)
        headers = {} if json_bytes is None else {"inference-header-content-length": str(json_bytes)}
        media_type = JSON if json_bytes is None else BINARY
        return packed(scope, Answer(text, media_type=media_type, headers=headers))

    async def label(self, scope: Scope, receive: Receive, *, top: int) -> Answer:
        """Answer ``/v1/label``; raises as ``infer`` does."""
        body = await self.bodies.read(scope, receive)
        limits = LabelLimits(self._config.max_rows, self._config.max_pixels)
        kind = header(scope, b"content-type") or ""
        brought = await self._aside(lambda: read_pictures(body, kind, self.signature.shape, limits))
        self.meters.said.failed += sum(one.pixels is None for one in brought)
        check_any(brought)
        pixels = np.stack([one.pixels for one in brought if one.pixels is not None])
        probabilities = await self._probabilities(scope, receive, pixels)
        said = answers(brought, probabilities, self._student.classes, self._policy, top=top)
        told = LabelsTold(self._model_told(), self._policy, said)
        return packed(scope, Answer(json.dumps(told, default=vars).encode()))

    async def _read(self, body: bytes, header_bytes: int | None) -> Asked:
        most, signature = self._config.max_rows, self.signature
        if (len(body) if header_bytes is None else header_bytes) <= SHORT:
            return read_request(body, header_bytes, signature, most)
        return await self._aside(lambda: read_request(body, header_bytes, signature, most))

    async def _aside(self, work: Callable[[], Result]) -> Result:
        """Do what takes long beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _probabilities(self, scope: Scope, receive: Receive, pixels: Pixels) -> NDArray[np.float32]:
        scope[ROWS] = len(pixels)
        work = self._batcher.answer(pixels)
        found = await (while_connected(work, receive) if self._batcher.crowded else work)
        self.meters.said.add(found)
        return found

    def _model_told(self) -> ModelTold:
        origin = self._student.origin
        return ModelTold(
            self.signature.name, VERSION, origin.get("labelsvc.model", ""), origin.get("labelsvc.role", "")
        )


def _header_bytes(scope: Scope) -> int | None:
    told = header(scope, b"inference-header-content-length")
    if told is None:
        return None
    if not told.isascii() or not told.isdigit() or len(told) > 12:
        raise RefusedError(400, "Inference-Header-Content-Length must be a whole number")
    return int(told)
