"""Identifiers: made so that they sort by time, and found again by any unique ending.

Knows nothing of what carries an identifier.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence

from labelsvc.errors import UsageError

LATEST = "latest"
_SHOWN = 3


def new_id() -> str:
    """Return a UUIDv7: milliseconds, then the fraction of the millisecond, then 62 random bits.

    Source: RFC 9562, section 5.7, with the sub-millisecond fraction of its section 6.2, method 3.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8)) >> 2
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random))


def resolve(candidates: Sequence[str], ending: str, *, what: str = "id") -> str:
    """Return the one of ``candidates`` (oldest first) that ends in ``ending``; ``latest`` is the last.

    Args:
        candidates: the identifiers to choose from, oldest first.
        ending: an identifier, a unique ending of one, or ``latest``.
        what: what the identifiers are of, for the error message.

    Raises:
        UsageError: none or several of them end so.

    >>> resolve(["aaa1", "bbb2"], "b2"), resolve(["aaa1", "bbb2"], "latest")
    ('bbb2', 'bbb2')
    """
    if not candidates:
        raise UsageError(f"there is no {what} yet, so none is called {ending!r}")
    if ending == LATEST:
        return candidates[-1]
    if ending in candidates:
        return ending
    matches = [candidate for candidate in candidates if ending and candidate.endswith(ending)]
    if len(matches) == 1:
        return matches[0]
    raise UsageError(_unresolved(candidates, matches, ending, what))


def _unresolved(candidates: Sequence[str], matches: Sequence[str], ending: str, what: str) -> str:
    if matches:
        named = ", ".join(matches[-_SHOWN:])
        return f"{len(matches)} {what}s end in {ending!r} ({named}); give more of its last characters"
    named = ", ".join(candidates[-_SHOWN:])
    return f"no {what} ends in {ending!r}; the newest are {named}"
