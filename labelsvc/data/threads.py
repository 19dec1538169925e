"""Work on a stream of items in threads beside the consumer's: in order, few at a time, and no error is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import repeat
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int, name: str
) -> Generator[Result, None, None]:
    """Yield ``work(item)`` of every item, in order, with at most ``2 * workers`` items in flight.

    What ``work`` or ``items`` raises, the consumer gets in its place, after the results of what came before. Closing
    the generator early ends its threads.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    pending: deque[Future[Result]] = deque()
    try:
        for future in _submitted(pool, work, items):
            pending.append(future)
            if len(pending) == 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # also where the consumer stops early
        pool.shutdown(wait=True, cancel_futures=True)


def _submitted(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Future[Result]]:
    """Yield the future result of each item, and at last, where ``items`` raises, one that raises the same."""
    try:
        for item in items:
            yield pool.submit(work, item)
    except Exception as error:
        failed: Future[Result] = Future()
        failed.set_exception(error)
        yield failed


def ahead(items: Iterator[Item], *, name: str) -> Generator[Item, None, None]:
    """Yield ``items``, which a thread of its own takes, at most two ahead of the consumer.

    What ``items`` raises, the consumer gets.
    """
    over = object()
    with closing(in_order(lambda _: next(items, over), repeat(None), workers=1, name=name)) as taken:
        for item in taken:
            if item is over:
                return
            yield item  # type: ignore[misc]
