"""The log: one line of JSON for each thing that happens, never with a body, a token or a query in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class Journal:
    """Writes lines to whoever listens."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def write(self, event: str, **facts: object) -> None:
        """Write one line: when, what, and its facts."""
        self._say(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}))

    @contextmanager
    def for_others(self, *names: str) -> Iterator[None]:
        """Write the warnings of other packages' loggers too, and let nobody else print them meanwhile."""
        taker = _Taker(self)
        loggers = [logging.getLogger(name) for name in names]
        before = [logger.propagate for logger in loggers]
        for logger in loggers:
            logger.addHandler(taker)
            logger.propagate = False
        try:
            yield
        finally:
            for logger, passed_on in zip(loggers, before, strict=True):
                logger.removeHandler(taker)
                logger.propagate = passed_on


class _Taker(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        self._journal.write("server", level=record.levelname.lower(), message=record.getMessage())
