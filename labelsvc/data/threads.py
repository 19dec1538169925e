"""Work on a stream of items in threads beside the consumer's: in order, few at a time, and no error is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, workers: int, name: str) -> Iterator[Result]:
    """Yield ``work(item)`` of every item, in order, with at most ``2 * workers`` items in flight.

    What ``work`` or ``items`` raises, the consumer gets. Closing the generator early ends its threads.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) == 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # also where the consumer stops early
        pool.shutdown(wait=True, cancel_futures=True)
