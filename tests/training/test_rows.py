"""Rows on the device or fetched as needed, and the order in which they come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelsvc.data.inputs import InputPart, Inputs
from labelsvc.training import rows as room
from labelsvc.training.rows import Shuffle, as_floats, open_rows, passing_rows

from .bars import CPU, bars, inputs_of, rows_of


def places(seed: int = 0) -> torch.Tensor:
    """Return some row indices, repeats included."""
    return torch.randint(20, (33,), generator=torch.Generator().manual_seed(seed))


def test_resident_or_not_the_pictures_are_the_same() -> None:
    """Rows give the same pictures whether they lie on the device or are fetched."""
    resident = rows_of(bars(20)[0])
    fetched = replace(resident, resident=None)
    assert resident.resident is not None
    assert torch.equal(resident.take(places()), fetched.take(places()))
    for first, second in zip(resident.blocks(7), fetched.blocks(7), strict=True):
        assert torch.equal(first, second)


def test_rows_are_those_that_were_asked_for() -> None:
    """Index i is the picture of the i-th number, whatever the numbers' order, as floats of 1/255."""
    pixels = bars(20)[0]
    numbers = np.random.default_rng(0).permutation(20) + 10
    rows = open_rows(numbers, inputs_of(pixels), CPU, row_bytes=64)
    expected = pixels[numbers - 10][places().numpy()].transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_array_equal(rows.take(places()).numpy(), expected)


def test_too_much_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs stay on the device up to a bound of bytes, and are fetched beyond it; none is nothing to keep."""
    numbers, inputs = np.arange(20, dtype=np.int64) + 10, inputs_of(bars(20)[0])
    monkeypatch.setattr(room, "CPU_RESIDENT_BYTES", 20 * 64)
    assert open_rows(numbers, inputs, CPU, row_bytes=64).resident is not None
    assert open_rows(numbers, inputs, CPU, row_bytes=65).resident is None
    assert open_rows(numbers[:0], inputs, CPU, row_bytes=64).resident is None


def test_blocks_cover_all_rows_in_order() -> None:
    """Blocks are at most as long as asked, and together are all rows."""
    rows = rows_of(bars(20)[0])
    blocks = list(rows.blocks(8))
    assert [len(block) for block in blocks] == [8, 8, 4]
    assert torch.equal(torch.cat(blocks), rows.take(torch.arange(20)))


def test_what_is_gone_through_once_is_not_kept() -> None:
    """Passing rows are those that resident ones are, block by block, and give back what they read."""
    released = []

    class Watched(Inputs):
        def release(self) -> None:
            released.append(True)

    numbers = np.arange(20, dtype=np.int64) + 10
    rows = passing_rows(numbers, Watched([InputPart(numbers, np.arange(20), bars(20)[0])]), CPU)
    assert rows.resident is None
    assert torch.equal(torch.cat(list(rows.blocks(8))), rows_of(bars(20)[0]).take(torch.arange(20)))
    assert len(released) == 3


def test_pictures_lie_channels_last() -> None:
    """Pixels become floats [batch, channels, height, width] that lie in memory as they were."""
    pixels = torch.arange(2 * 3 * 4 * 3, dtype=torch.uint8).view(2, 3, 4, 3)
    floats = as_floats(pixels)
    assert floats.shape == (2, 3, 3, 4)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal((floats * 255).round().to(torch.uint8), pixels.permute(0, 3, 1, 2))


@pytest.mark.parametrize("rows", [1, 2, 7, 30])
def test_every_epoch_visits_every_row_once(rows: int) -> None:
    """Each run of as many places as there are rows, from an epoch's start, is a permutation."""
    order = Shuffle(rows, seed=3).take(range(5 * rows)).view(5, rows)
    assert torch.equal(order.sort(dim=1).values, torch.arange(rows).expand(5, rows))
    assert rows < 7 or len(order.unique(dim=0)) == 5, "each epoch has an order of its own"


@pytest.mark.parametrize("cut", [1, 3, 8, 25])
def test_the_order_is_a_function_of_the_place(cut: int) -> None:
    """However the sequence is cut, and from wherever it is read, a place has the same row."""
    whole = Shuffle(10, seed=1).take(range(100))
    pieces = Shuffle(10, seed=1)
    assert torch.equal(torch.cat([pieces.take(range(start, start + cut)) for start in range(0, 100, cut)])[:100], whole)
    assert torch.equal(pieces.take(range(37, 57)), whole[37:57]), "also backwards"


def test_seeds_have_orders_of_their_own() -> None:
    """Another seed is another order; the global generators are left alone."""
    before = torch.get_rng_state()
    assert not torch.equal(Shuffle(50, seed=1).take(range(50)), Shuffle(50, seed=2).take(range(50)))
    assert torch.equal(torch.get_rng_state(), before)
