"""The batcher: what waits is computed together, nothing is waited for, and one's misfortune is nobody else's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from labelsvc.records import Pixels
from labelsvc.student.serve.asgi import RefusedError
from labelsvc.student.serve.batcher import Batcher, BatchLimits

Answered = asyncio.Task[NDArray[np.float32]]


@dataclass
class Sums:
    """A model that gives each picture's sum; it can be held up, and refuses a picture of 13."""

    free: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)

    def __call__(self, pixels: Pixels) -> NDArray[np.float32]:
        """Compute a batch, slowly enough that none is computed where it arrives."""
        self.entered.set()
        self.free.wait(10)
        time.sleep(0.005)
        self.batches.append(len(pixels))
        if 13 in pixels[:, 0, 0, 0]:
            raise ValueError("thirteen\nis too many")
        return pixels.sum(axis=(1, 2, 3), dtype=np.float32)[:, None]


def pictures(*values: int) -> Pixels:
    """Return a picture of one pixel for each value."""
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1)


def tried(work: Callable[[Batcher, Sums], Awaitable[None]], limits: BatchLimits = BatchLimits(4, 16)) -> Sums:  # noqa: B008 - frozen
    """Do ``work`` with a warm batcher, and return its model; its log of batches begins after the warm-up."""
    model = Sums()
    model.free.set()

    async def whole() -> None:
        batcher = Batcher(model, limits, seen=lambda _: None)
        await batcher.start(pictures(0))
        model.batches.clear()
        try:
            await work(batcher, model)
        finally:
            model.free.set()
            await batcher.stop()

    asyncio.run(asyncio.wait_for(whole(), 30))
    return model


async def held_up(batcher: Batcher, model: Sums, *rows: int) -> list[Answered]:
    """Ask for pictures 1, 2, ... of so many rows each; the first is being computed, until the model is free."""
    model.free.clear()
    model.entered.clear()
    first = asyncio.ensure_future(batcher.answer(pictures(*[1] * rows[0])))
    await asyncio.to_thread(model.entered.wait, 10)
    others = [
        asyncio.ensure_future(batcher.answer(pictures(*[place] * count))) for place, count in enumerate(rows[1:], 2)
    ]
    await asyncio.sleep(0.01)
    return [first, *others]


def test_what_waits_is_computed_together() -> None:
    """While one batch is computed, others gather, up to the cap and in order; each gets its own answer."""

    async def work(batcher: Batcher, model: Sums) -> None:
        tasks = await held_up(batcher, model, 1, 2, 2, 1, 1)
        assert batcher.rows_waiting == 7
        model.free.set()
        found = await asyncio.gather(*tasks)
        assert [one[:, 0].tolist() for one in found] == [[1], [2, 2], [3, 3], [4], [5]]
        assert batcher.rows_waiting == 0

    assert tried(work).batches == [1, 4, 2]


def test_nothing_is_waited_for_unless_told() -> None:
    """One request alone is one batch at once; with a wait, what comes in time joins it."""

    async def alone(batcher: Batcher, _model: Sums) -> None:
        await batcher.answer(pictures(1))

    async def soon(batcher: Batcher, _model: Sums) -> None:
        first = asyncio.ensure_future(batcher.answer(pictures(1)))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, batcher.answer(pictures(2)))

    assert tried(alone).batches == [1]
    assert tried(soon, BatchLimits(2, 16, max_wait=5.0)).batches == [2]


def test_large_requests_are_cut() -> None:
    """A request of more rows than a batch is computed in parts, and answered as one."""

    async def work(batcher: Batcher, _model: Sums) -> None:
        assert (await batcher.answer(pictures(*range(1, 11))))[:, 0].tolist() == list(range(1, 11))

    assert tried(work).batches == [4, 4, 2]


def test_too_much_is_refused() -> None:
    """What does not fit in the queue is refused at once, with 429; later it is taken."""

    async def work(batcher: Batcher, model: Sums) -> None:
        tasks = await held_up(batcher, model, 4, 4, 4, 4)
        with pytest.raises(RefusedError, match="16 rows wait") as refused:
            await batcher.answer(pictures(1))
        assert (refused.value.status, refused.value.retry_after) == (429, 1)
        model.free.set()
        await asyncio.gather(*tasks)
        assert (await batcher.answer(pictures(5)))[0, 0] == 5

    tried(work)


def test_a_failure_is_told_to_those_whom_it_hit() -> None:
    """An error of a batch reaches each of its requests in one line, and the next batch is computed."""

    async def work(batcher: Batcher, model: Sums) -> None:
        [first] = await held_up(batcher, model, 1)
        hit = [asyncio.ensure_future(batcher.answer(pictures(value))) for value in (13, 7)]
        await asyncio.sleep(0.01)
        model.free.set()
        assert (await first)[0, 0] == 1
        for one in await asyncio.gather(*hit, return_exceptions=True):
            assert isinstance(one, RefusedError)
            assert (one.status, one.reason) == (500, "the model cannot compute this batch: thirteen")
        assert (await batcher.answer(pictures(9)))[0, 0] == 9
        assert batcher.rows_waiting == 0

    tried(work)


def test_who_leaves_is_not_computed() -> None:
    """The work of a request that was cancelled while it waited is dropped."""

    async def work(batcher: Batcher, model: Sums) -> None:
        tasks = await held_up(batcher, model, 1, 2, 1)
        tasks[1].cancel()
        model.free.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.answer(pictures(1))
        assert batcher.rows_waiting == 0

    assert tried(work).batches == [1, 1, 1]


def test_the_end_answers_what_was_taken() -> None:
    """Stopping finishes what waits, and refuses what comes after with 503; so does a batcher that was not started."""

    async def work(batcher: Batcher, model: Sums) -> None:
        tasks = await held_up(batcher, model, 1, 4, 4)
        ending = asyncio.ensure_future(batcher.stop())
        await asyncio.sleep(0.01)
        with pytest.raises(RefusedError) as refused:
            await batcher.answer(pictures(1))
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        model.free.set()
        assert [len(one) for one in await asyncio.gather(*tasks)] == [1, 4, 4]
        await ending

    tried(work)
    cold = Batcher(Sums(), BatchLimits(4, 16), seen=lambda _: None)
    with pytest.raises(RefusedError, match="not ready"):
        asyncio.run(cold.answer(pictures(1)))


def test_short_work_is_done_where_it_arrives() -> None:
    """A model that takes next to nothing answers in the thread that asks, and at once all that comes in one turn."""
    batches: list[tuple[str, int]] = []

    def compute(pixels: Pixels) -> NDArray[np.float32]:
        batches.append((threading.current_thread().name, len(pixels)))
        return pixels.sum(axis=(1, 2, 3), dtype=np.float32)[:, None]

    async def whole() -> None:
        batcher = Batcher(compute, BatchLimits(4, 16), seen=lambda _: None)
        await batcher.start(pictures(0))
        batches.clear()
        assert (await batcher.answer(pictures(1)))[0, 0] == 1
        found = await asyncio.gather(*(batcher.answer(pictures(value)) for value in (2, 3, 4)))
        assert [one[0, 0] for one in found] == [2, 3, 4]
        await asyncio.gather(*(batcher.answer(pictures(value)) for value in range(5)))
        last = asyncio.ensure_future(batcher.answer(pictures(7)))
        await asyncio.sleep(0)
        await batcher.stop()
        assert (await last)[0, 0] == 7

    asyncio.run(whole())
    assert batches == [("MainThread", 1), ("MainThread", 3), ("infer", 4), ("infer", 1), ("MainThread", 1)]
