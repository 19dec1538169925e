"""Decoded inputs by sample number, wherever they lie.

A workspace's samples are spread over the caches of several datasets; who trains or predicts asks by number
and does not care. Knows nothing of files: it is given arrays, memory-mapped or not.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelsvc.records import Decoded, InputShape, PictureShape, SampleNumbers


@dataclass(frozen=True)
class InputPart:
    """Samples of one dataset: ``numbers[i]`` is at ``decoded[positions[i]]``."""

    numbers: SampleNumbers
    positions: NDArray[np.int64]
    decoded: Decoded


class Inputs:
    """The inputs of the samples in one or more parts; a number in several parts is taken from the first.

    ``shape`` is that of all of them; pictures tell it by themselves.
    """

    def __init__(self, parts: Sequence[InputPart], shape: InputShape | None = None) -> None:
        if len({part.decoded.shape[1:] for part in parts}) != 1:
            raise AssertionError(f"parts of one shape are needed, not {[part.decoded.shape for part in parts]}")
        self._decoded = [np.asarray(part.decoded) for part in parts]
        self._shape = shape or PictureShape(*parts[0].decoded.shape[1:])
        numbers = np.concatenate([part.numbers for part in parts])
        order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[order]
        self._positions = np.concatenate([part.positions for part in parts])[order]
        self._parts = np.repeat(np.arange(len(parts), dtype=np.int32), [len(p.numbers) for p in parts])[order]

    @property
    def shape(self) -> InputShape:
        """The shape of every input."""
        return self._shape

    def gather(self, numbers: SampleNumbers) -> Decoded:
        """Return the inputs [rows, *sides] of ``numbers``, in that order, as a new array.

        Disk is read in the order of positions, whatever the order asked for.

        Raises:
            AssertionError: a number is in no part.
        """
        places = self._places(numbers)
        parts, positions = self._parts[places], self._positions[places]
        gathered = np.empty((len(numbers), *self._decoded[0].shape[1:]), self._decoded[0].dtype)
        for part, source in enumerate(self._decoded):
            rows = np.flatnonzero(parts == part)
            rows = rows[np.argsort(positions[rows], kind="stable")]
            gathered[rows] = np.take(source, positions[rows], axis=0)  # faster than source[...]
        return gathered

    def release(self) -> None:
        """Give the memory of mapped inputs that were read back to the system; they stay readable."""
        for decoded in self._decoded:
            mapped = _map_of(decoded)
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)

    def blocks(self, numbers: SampleNumbers, rows: int) -> Iterator[tuple[SampleNumbers, Decoded]]:
        """Yield ``numbers`` and their inputs, ``rows`` at a time, in the order asked for."""
        for start in range(0, len(numbers), rows):
            block = numbers[start : start + rows]
            yield block, self.gather(block)

    def _places(self, numbers: SampleNumbers) -> NDArray[np.intp]:
        places = np.searchsorted(self._numbers, numbers)
        known = places < len(self._numbers)
        known[known] = self._numbers[places[known]] == numbers[known]
        if not known.all():
            raise AssertionError(f"no input of sample {numbers[~known][0]} ({(~known).sum():,} are missing)")
        return places


def _map_of(decoded: Decoded) -> mmap.mmap | None:
    """Return the mapped file that an array is a view of, None where it lies in memory."""
    base: object = decoded
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
