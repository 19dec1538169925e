"""Pictures by sample number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labelsvc.data.cache import InputWriter, open_decoded
from labelsvc.data.inputs import InputPart, Inputs
from labelsvc.records import PictureShape, Pixels, SampleNumbers

from .parquet_files import noise

RNG_SEEDS = range(5)


def numbers(*values: int) -> SampleNumbers:
    """Return sample numbers."""
    return np.array(values, np.int64)


def part(values: SampleNumbers, seed: int) -> InputPart:
    """Return a part in which the pictures lie in no particular order."""
    positions = np.random.default_rng(seed).permutation(len(values) + 3)[: len(values)]
    return InputPart(values, positions, noise(len(values) + 3, 4, 5, 3, seed=seed))


def mapped(folder: Path, pixels: Pixels) -> Pixels:
    """Write pictures to a folder of the cache, and return them as they are mapped from there."""
    _, height, width, channels = pixels.shape
    with InputWriter(folder, PictureShape(height, width, channels)) as writer:
        writer.append(pixels)
    opened = open_decoded(folder)
    assert opened is not None
    return opened


@pytest.mark.parametrize("seed", RNG_SEEDS)
def test_gather_equals_fancy_indexing(seed: int) -> None:
    """Any numbers in any order, repeated or not, over several parts, give the pictures that they name."""
    rng = np.random.default_rng(seed)
    everything = rng.choice(1000, 60, replace=False).astype(np.int64)
    parts = [part(np.sort(block), seed) for block in np.split(everything, [20, 21])]
    by_number = {
        int(number): p.decoded[position] for p in parts for number, position in zip(p.numbers, p.positions, strict=True)
    }
    asked = rng.choice(everything, 200)
    expected = np.stack([by_number[int(number)] for number in asked])
    gathered = Inputs(parts).gather(asked)
    assert np.array_equal(gathered, expected)
    assert gathered.flags.writeable


def test_unknown_numbers_are_our_mistake() -> None:
    """A number that no part has is never answered with another's picture."""
    inputs = Inputs([part(numbers(2, 4, 6), 0)])
    for asked in (numbers(1), numbers(4, 5), numbers(7)):
        with pytest.raises(AssertionError, match="no input of sample"):
            inputs.gather(asked)


def test_number_in_two_parts_comes_from_the_first() -> None:
    """A sample that several datasets hold is taken from the first of them."""
    first, second = part(numbers(1, 2), 0), part(numbers(2, 3), 1)
    assert np.array_equal(Inputs([first, second]).gather(numbers(2))[0], first.decoded[first.positions[1]])


def test_nothing_asked_gives_nothing() -> None:
    """No numbers, no pictures, of the right shape."""
    inputs = Inputs([part(numbers(1), 0), part(numbers(), 1)])
    assert inputs.gather(numbers()).shape == (0, 4, 5, 3)
    assert inputs.shape == PictureShape(4, 5, 3)


def test_blocks_are_gather_in_pieces() -> None:
    """Blocks cover the numbers once, in order, with at most the asked rows."""
    inputs = Inputs([part(np.arange(10, dtype=np.int64), 0)])
    asked = numbers(9, 1, 1, 5, 0, 3, 8)
    blocks = list(inputs.blocks(asked, 3))
    assert [len(block) for block, _ in blocks] == [3, 3, 1]
    assert np.array_equal(np.concatenate([block for block, _ in blocks]), asked)
    assert np.array_equal(np.concatenate([pixels for _, pixels in blocks]), inputs.gather(asked))


def test_parts_of_different_shapes_are_our_mistake() -> None:
    """All pictures of a workspace have one shape."""
    other = InputPart(numbers(7), numbers(0), noise(1, 4, 4, 3))
    with pytest.raises(AssertionError, match="one shape"):
        Inputs([part(numbers(1), 0), other])


def test_memory_mapped_parts_gather_alike(tmp_path: Path) -> None:
    """Pictures from disk are copied out as a plain array."""
    pixels = noise(6, 4, 5, 1)
    opened = mapped(tmp_path / "d", pixels)
    inputs = Inputs([InputPart(np.arange(6, dtype=np.int64), np.arange(6), opened)])
    gathered = inputs.gather(numbers(5, 0))
    assert np.array_equal(gathered, pixels[[5, 0]])
    assert not isinstance(gathered, np.memmap)


def test_released_pictures_stay_readable(tmp_path: Path) -> None:
    """Giving back the memory of mapped pictures changes nothing of what they are; those in memory stay there."""
    pixels = noise(6, 4, 5, 1)
    opened = mapped(tmp_path / "d", pixels)
    parts = [InputPart(numbers(0, 1, 2), numbers(0, 1, 2), opened), InputPart(numbers(3, 4), numbers(3, 4), pixels)]
    inputs = Inputs(parts)
    before = inputs.gather(numbers(4, 0, 2))
    inputs.release()
    assert np.array_equal(inputs.gather(numbers(4, 0, 2)), before)
    assert np.array_equal(before, pixels[[4, 0, 2]])
