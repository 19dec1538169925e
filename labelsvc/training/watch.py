"""Collapse, noticed while it happens: the pool goes out of use, or one class swallows it.

Looks at two figures that methods give, each a mean over the pool rows of a step: "used", how much of the pool counts,
and "largest class", the share of its pseudo-labels that the commonest class has. Knows neither network nor labels, and
steers nothing: what it finds is for people to read.
"""

from __future__ import annotations

from collections import deque

from labelsvc.training.loop import Interval

UNUSED = 0.01  # of the pool, and below
SWALLOWED = 0.1  # of the pseudo-labels that other classes should have, and below
SETTLING = 100  # steps in which every network may still look for its classes
SHARE = 0.1  # of all steps, that are settling too, and that a finding is about
ENOUGH = 100.0  # pseudo-labels that other classes should have had by then


class Watch:
    """What a training's figures were over the last tenth of its steps, and whether a collapse was found in them."""

    def __init__(self, steps: int, pool_batch: int, *, expected: float) -> None:
        """Watch a training of ``steps`` steps, where the commonest class should have the share ``expected``."""
        self._settled = max(SETTLING, round(SHARE * steps))
        self._span = max(1, round(SHARE * steps))
        self._pool_batch = pool_batch
        self._expected = expected
        self._last = 0
        self._seen: deque[tuple[int, Interval]] = deque()  # each with how many steps it has
        self._found = False

    def see(self, interval: Interval) -> str | None:
        """Return what is wrong in the last tenth of the steps and what to do about it, once in a training."""
        first, self._last = self._last, interval.step
        if self._found or first < self._settled:
            return None
        self._seen.append((interval.step - first, interval))
        while self._steps - self._seen[0][0] >= self._span:
            self._seen.popleft()
        if self._steps < self._span:
            return None
        finding = self._unused() or self._swallowed()
        self._found = finding is not None
        return finding

    @property
    def _steps(self) -> int:
        return sum(length for length, _ in self._seen)

    def _mean(self, name: str) -> float | None:
        """Return a figure's mean over what is remembered, None where no step had it."""
        told = [(length, one.figures[name]) for length, one in self._seen if name in one.figures]
        return sum(length * value for length, value in told) / sum(length for length, _ in told) if told else None

    def _unused(self) -> str | None:
        used = self._mean("used")
        if used is None or used > UNUSED:
            return None
        return (
            f"collapse: by step {self._last:,} the pool counts for {used:.1%} of what it could, so that the network "
            "learns from the labels alone; labels of this model are worth no more than those of --method supervised"
        )

    def _swallowed(self) -> str | None:
        largest = self._mean("largest class")
        others = 1 - self._expected
        if largest is None or self._pool_batch * self._steps * others < ENOUGH or 1 - largest > SWALLOWED * others:
            return None
        return (
            f"collapse: by step {self._last:,} one class has {largest:.1%} of the pseudo-labels, where the commonest "
            f"should have {self._expected:.1%}; unless the pool is really so, do not use this model: "
            "try a smaller --set learning_rate, more labels of the other classes, or --method supervised"
        )
