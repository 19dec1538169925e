"""The learning rate over a training, as a factor of its highest value, by the share of steps done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping


def constant(progress: float) -> float:  # noqa: ARG001 - a schedule has one shape
    """Return 1."""
    return 1.0


def cosine(progress: float) -> float:
    """Return cos(7π/16 · progress): from 1 to about 0.2 (FixMatch, Sohn et al. 2020).

    >>> round(cosine(0.0), 3), round(cosine(1.0), 3)
    (1.0, 0.195)
    """
    return math.cos(7 * math.pi / 16 * progress)


def one_cycle(progress: float, *, warmup: float = 0.3, start: float = 0.04, end: float = 4e-4) -> float:
    """Return a half-cosine up from ``start`` to 1 and one down to ``end`` (Smith and Topin 2018).

    >>> round(one_cycle(0.0), 3), round(one_cycle(0.3), 3), round(one_cycle(1.0), 4)
    (0.04, 1.0, 0.0004)
    """
    if progress < warmup:
        return _half_cosine(start, 1.0, progress / warmup)
    return _half_cosine(1.0, end, (progress - warmup) / (1 - warmup))


def annealed(progress: float) -> float:
    """Return a half-cosine from 1 down to 0 (Loshchilov and Hutter 2017, without restarts).

    >>> annealed(0.0), round(annealed(0.5), 3), annealed(1.0)
    (1.0, 0.5, 0.0)
    """
    return _half_cosine(1.0, 0.0, progress)


def _half_cosine(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "annealed": annealed,
    "one-cycle": one_cycle,
}
