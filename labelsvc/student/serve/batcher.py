"""What comes together is computed together, and nothing waits for what has not come.

Requests that arrive in one turn of the event loop make a batch. A short one is computed there and then; others go to
the one thread that computes, which takes all that waits. Knows rows and an array function, neither HTTP nor
onnxruntime. Everything but ``_work`` and what it calls happens on the event loop, so that no lock is needed.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelsvc.records import Pixels
from labelsvc.student.serve.asgi import RefusedError

Compute = Callable[[Pixels], NDArray[np.float32]]
AT_ONCE = 0.004  # seconds of work that are done on the event loop: to hand them over costs a tenth


@dataclass(frozen=True)
class BatchLimits:
    """How much is computed at once, how much may wait, and how long a batch waits for more."""

    batch_rows: int
    queue_rows: int
    max_wait: float = 0.0  # seconds


@dataclass(frozen=True)
class _Job:
    pixels: Pixels
    answer: asyncio.Future[NDArray[np.float32]]


class Batcher:
    """Answers requests in batches; ``start`` it in the event loop that asks."""

    def __init__(self, compute: Compute, limits: BatchLimits, *, seen: Callable[[int], None]) -> None:
        self._compute = compute
        self._limits = limits
        self._seen = seen  # told of each batch's rows
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._turn: list[_Job] = []  # what came in this turn of the event loop
        self._ready = self._stopped = False
        self._row_seconds = self._batch_seconds = np.inf  # of the smallest and of the largest batch
        self._thread = threading.Thread(target=self._work, name="infer", daemon=True)
        self.rows_waiting = 0  # taken and not answered

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self._ready and not self._stopped

    @property
    def crowded(self) -> bool:
        """Whether more than one batch waits, so that whoever comes now has time to change their mind."""
        return self.rows_waiting > self._limits.batch_rows

    async def start(self, sample: Pixels) -> None:
        """Start the thread, and compute the smallest and the largest batch of ``sample`` [1, ...], to warm up."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        largest = np.repeat(sample, self._limits.batch_rows, axis=0)
        await self._put(largest)
        await self._put(sample)
        self._batch_seconds = await self._timed(largest)
        self._row_seconds = await self._timed(sample)
        self._ready = True

    async def _timed(self, pixels: Pixels) -> float:
        started = time.perf_counter()
        await self._put(pixels)
        return time.perf_counter() - started

    async def stop(self) -> None:
        """Answer what was taken, take no more, and end the thread."""
        self._stopped = True
        self._end_turn()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def answer(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the probabilities [rows, classes] of pictures [rows, ...].

        Raises:
            RefusedError: 429 if too much waits already, 503 before the start and after the end, 500 if computing fails.
        """
        if not self.ready:
            raise RefusedError(503, "the model is not ready; try again", retry_after=1)
        rows, most = len(pixels), self._limits.batch_rows
        if self.rows_waiting + rows > self._limits.queue_rows:
            reason = f"{self.rows_waiting:,} rows wait already; try again"
            raise RefusedError(429, reason, retry_after=1)
        if rows <= most:
            return await self._put(pixels)
        parts = [self._put(pixels[first : first + most]) for first in range(0, rows, most)]
        return np.concatenate(await asyncio.gather(*parts))

    async def _put(self, pixels: Pixels) -> NDArray[np.float32]:
        job = _Job(pixels, self._loop.create_future())
        self.rows_waiting += len(pixels)
        if not self._turn:
            self._loop.call_soon(self._end_turn)
        self._turn.append(job)
        return await job.answer

    def _end_turn(self) -> None:
        """Compute what came in this turn, or hand it to the thread, in order behind what it has."""
        jobs, self._turn = self._turn, []
        rows = sum(len(job.pixels) for job in jobs)
        if rows == self.rows_waiting and self._seconds(rows) < AT_ONCE and not self._limits.max_wait:
            self._deliver(jobs, *self._computed(jobs))
        else:
            for job in jobs:
                self._jobs.put(job)

    def _seconds(self, rows: int) -> float:
        """Return how long a batch takes, as far as the smallest and the largest tell; one that is larger, for ever."""
        share = (rows - 1) / max(1, self._limits.batch_rows - 1)
        return np.inf if share > 1 else self._row_seconds + share * (self._batch_seconds - self._row_seconds)

    def _work(self) -> None:
        """Compute until told to stop."""
        job = self._jobs.get()
        while job is not None:
            batch, rest = self._together(job)
            try:
                self._loop.call_soon_threadsafe(self._deliver, batch, *self._computed(batch))
            except RuntimeError:  # the loop was ended in haste
                return
            job = rest[0] if rest else self._jobs.get()

    def _computed(self, batch: Sequence[_Job]) -> tuple[Sequence[_Job], NDArray[np.float32] | Exception]:
        """Return the jobs that still want an answer, and theirs; a batch that fails is its own misfortune."""
        wanted = [job for job in batch if not job.answer.cancelled()]
        if not wanted:
            return wanted, np.empty((0, 0), np.float32)
        try:
            return wanted, self._compute(_joined([job.pixels for job in wanted]))
        except Exception as error:
            return wanted, error

    def _together(self, first: _Job) -> tuple[list[_Job], list[_Job | None]]:
        """Return a batch, and what was taken and did not fit in: a job, None for the end, or nothing."""
        batch, rows = [first], len(first.pixels)
        until = time.monotonic() + self._limits.max_wait
        while rows < self._limits.batch_rows:
            try:
                left = until - time.monotonic()
                job = self._jobs.get(timeout=left) if left > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None or rows + len(job.pixels) > self._limits.batch_rows:
                return batch, [job]
            batch.append(job)
            rows += len(job.pixels)
        return batch, []

    def _deliver(self, batch: Sequence[_Job], wanted: Sequence[_Job], found: NDArray[np.float32] | Exception) -> None:
        self.rows_waiting -= sum(len(job.pixels) for job in batch)
        if wanted:
            self._seen(sum(len(job.pixels) for job in wanted))
        place = 0
        for job in wanted:
            if not job.answer.done():
                if isinstance(found, Exception):
                    job.answer.set_exception(_failed(found))
                else:
                    job.answer.set_result(found[place : place + len(job.pixels)])
            place += len(job.pixels)


def _joined(parts: Sequence[Pixels]) -> Pixels:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _failed(error: Exception) -> RefusedError:
    return RefusedError(500, f"the model cannot compute this batch: {str(error).partition(chr(10))[0]}")
