"""Decoded inputs as the loop wants them: on the device where they fit, fetched as they are needed where they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from labelsvc.networks.features import seen_features
from labelsvc.records import Decoded, InputShape, PictureShape, SampleNumbers, VectorShape

RESIDENT_SHARE = 0.4  # of the device's free memory that inputs may take
CPU_RESIDENT_BYTES = 2 * 2**30


class Gathers(Protocol):
    """Something that hands out decoded inputs by sample number, as ``labelsvc.data.inputs.Inputs`` does."""

    @property
    def shape(self) -> InputShape:
        """What each input is."""

    def gather(self, numbers: SampleNumbers) -> Decoded:
        """Return the inputs of these samples [rows, *sides], in this order."""

    def release(self) -> None:
        """Give back the memory of what was read."""


@dataclass(frozen=True)
class Rows:
    """The inputs of some samples in a fixed order, indexed from 0."""

    numbers: SampleNumbers
    source: Gathers
    device: torch.device
    resident: Shaped[Tensor, "rows ..."] | None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def holds_pictures(self) -> bool:
        """Whether these are pictures."""
        return self.source is None or isinstance(self.source.shape, PictureShape)

    @cached_property
    def as_seen(self) -> Callable[[Tensor], Tensor]:
        """What makes inputs into what networks see."""
        return as_networks_see(self.source.shape if self.source is not None else None, self.device)

    def take(self, index: Tensor) -> Float[Tensor, "batch ..."]:
        """Return the inputs at ``index`` (int64 on the CPU) as networks see them, on the device.

        Pictures are floats between 0 and 1 [batch, channels, height, width], all else features [batch, features].
        """
        if self.resident is not None:
            return self.as_seen(self.resident[index.to(self.device, non_blocking=True)])
        fetched = torch.from_numpy(self.source.gather(self.numbers[index.numpy()]))
        if self.device.type == "cuda":
            fetched = fetched.pin_memory()
        return self.as_seen(fetched.to(self.device, non_blocking=True))

    def blocks(self, rows: int) -> Iterator[Float[Tensor, "block ..."]]:
        """Yield all inputs in order, ``rows`` at a time."""
        for start in range(0, len(self), rows):
            yield self.take(torch.arange(start, min(start + rows, len(self))))
            if self.resident is None:
                self.source.release()


def as_networks_see(shape: InputShape | None, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what makes decoded inputs of a shape into what networks see; where there is none, they are pictures."""
    if shape is None or isinstance(shape, PictureShape):
        return as_floats
    return seen_features(shape).to(device)


def as_floats(
    pixels: UInt8[Tensor, "batch height width channels"],
) -> Float[Tensor, "batch channels height width"]:
    """Return pixels as floats between 0 and 1, channels first by name and last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def passing_rows(numbers: SampleNumbers, source: Gathers, device: torch.device) -> Rows:
    """Prepare the inputs of ``numbers`` to be gone through once: none of them is kept."""
    return Rows(numbers, source, device, resident=None)


def open_rows(numbers: SampleNumbers, source: Gathers, device: torch.device, row_bytes: int) -> Rows:
    """Prepare the inputs of ``numbers``; they are kept on the device where they take a modest part of it."""
    room = CPU_RESIDENT_BYTES
    if device.type == "cuda":
        room = int(torch.cuda.mem_get_info(device)[0] * RESIDENT_SHARE)
    resident = None
    if 0 < len(numbers) * row_bytes <= room:
        resident = torch.from_numpy(np.ascontiguousarray(source.gather(numbers))).to(device)
    return Rows(numbers, source, device, resident)


@dataclass(frozen=True)
class _Seen:
    """Stands for inputs that are all in memory, as networks see them."""

    shape: VectorShape

    def gather(self, numbers: SampleNumbers) -> Decoded:  # noqa: ARG002
        raise AssertionError("all of them are resident")

    def release(self) -> None:
        pass


def rows_in_memory(seen: Float[np.ndarray, "rows features"], device: torch.device) -> Rows:
    """Take features [rows, features] that are in memory, as networks see them, for inputs."""
    shape = VectorShape(seen.shape[1], scale=1.0)
    return Rows(np.arange(len(seen)), _Seen(shape), device, torch.from_numpy(seen).to(device))


class Shuffle:
    """Rows in a new random order for every epoch, as a pure function of (seed, place): nothing to save or restore."""

    def __init__(self, rows: int, seed: int) -> None:
        self._rows = rows
        self._seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def take(self, places: range) -> Tensor:
        """Return the row indices at consecutive places of the endless sequence."""
        pieces = [torch.empty(0, dtype=torch.int64)]
        start, stop = places.start, places.stop
        while start < stop:
            epoch, offset = divmod(start, self._rows)
            pieces.append(self._order_of(epoch)[offset : offset + stop - start])
            start += len(pieces[-1])
        return torch.cat(pieces)

    def _order_of(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(mixed(self._seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self._rows, generator=generator)
        return self._order


def mixed(seed: int, place: int) -> int:
    """Return a seed made of a seed and a number, such that neighbours have nothing in common."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0])
