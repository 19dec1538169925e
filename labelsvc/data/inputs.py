"""Decoded pictures by sample number, wherever they lie.

A workspace's samples are spread over the caches of several datasets; who trains or predicts asks by number
and does not care. Knows nothing of files: it is given arrays, memory-mapped or not.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelsvc.records import PictureShape, Pixels, SampleNumbers


@dataclass(frozen=True)
class InputPart:
    """Samples of one dataset: ``numbers[i]`` is at ``pixels[positions[i]]``."""

    numbers: SampleNumbers
    positions: NDArray[np.int64]
    pixels: Pixels


class Inputs:
    """The pictures of the samples in one or more parts; a number in several parts is taken from the first."""

    def __init__(self, parts: Sequence[InputPart]) -> None:
        if len({part.pixels.shape[1:] for part in parts}) != 1:
            raise AssertionError(f"parts of one shape are needed, not {[part.pixels.shape for part in parts]}")
        self._pixels = [np.asarray(part.pixels) for part in parts]
        numbers = np.concatenate([part.numbers for part in parts])
        order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[order]
        self._positions = np.concatenate([part.positions for part in parts])[order]
        self._parts = np.repeat(np.arange(len(parts), dtype=np.int32), [len(p.numbers) for p in parts])[order]

    @property
    def shape(self) -> PictureShape:
        """The shape of every picture."""
        height, width, channels = self._pixels[0].shape[1:]
        return PictureShape(height, width, channels)

    def gather(self, numbers: SampleNumbers) -> Pixels:
        """Return the pictures [rows, height, width, channels] of ``numbers``, in that order, as a new array.

        Disk is read in the order of positions, whatever the order asked for.

        Raises:
            AssertionError: a number is in no part.
        """
        places = self._places(numbers)
        parts, positions = self._parts[places], self._positions[places]
        pixels = np.empty((len(numbers), *self._pixels[0].shape[1:]), np.uint8)
        for part, source in enumerate(self._pixels):
            rows = np.flatnonzero(parts == part)
            rows = rows[np.argsort(positions[rows], kind="stable")]
            pixels[rows] = np.take(source, positions[rows], axis=0)  # faster than source[...]
        return pixels

    def release(self) -> None:
        """Give the memory of mapped pictures that were read back to the system; they stay readable."""
        for pixels in self._pixels:
            mapped = _map_of(pixels)
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)

    def blocks(self, numbers: SampleNumbers, rows: int) -> Iterator[tuple[SampleNumbers, Pixels]]:
        """Yield ``numbers`` and their pictures, ``rows`` at a time, in the order asked for."""
        for start in range(0, len(numbers), rows):
            block = numbers[start : start + rows]
            yield block, self.gather(block)

    def _places(self, numbers: SampleNumbers) -> NDArray[np.intp]:
        places = np.searchsorted(self._numbers, numbers)
        known = places < len(self._numbers)
        known[known] = self._numbers[places[known]] == numbers[known]
        if not known.all():
            raise AssertionError(f"no picture of sample {numbers[~known][0]} ({(~known).sum():,} are missing)")
        return places


def _map_of(pixels: Pixels) -> mmap.mmap | None:
    """Return the mapped file that an array is a view of, None where it lies in memory."""
    base: object = pixels
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
