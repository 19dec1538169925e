"""Batches decoded in order; a row that fails fails alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from labelsvc.data.columns import ColumnNames, find_columns
from labelsvc.data.decoding import FailedRow, content_hash, decode_batches, rows_per_batch
from labelsvc.data.reading import SourceBatch, read_batches
from labelsvc.errors import InputError
from labelsvc.records import PictureShape

from .parquet_files import PICTURES_ONLY, encoded, grey_pngs, noise, picture_file, real, with_real_data

SHAPE = PictureShape(6, 6, 1)


def batches_of(pictures: list[bytes], rows: int) -> Iterator[SourceBatch]:
    """Yield pictures as batches of one file."""
    for start in range(0, len(pictures), rows):
        block = pictures[start : start + rows]
        yield SourceBatch(0, start, [str(start + i) for i in range(len(block))], None, list(block))


def decoding_threads() -> int:
    """Count the threads that decode."""
    return sum(thread.name.startswith("decode") for thread in threading.enumerate())


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_order_is_kept_for_any_number_of_workers(workers: int | None) -> None:
    """Pixels, rows, ids and hashes come in the order of the rows."""
    pixels, pngs = grey_pngs(40)
    decoded = list(decode_batches(batches_of(pngs, 3), SHAPE, workers=workers))
    assert np.array_equal(np.concatenate([batch.decoded for batch in decoded]), pixels)
    assert np.concatenate([batch.rows for batch in decoded]).tolist() == list(range(40))
    assert [name for batch in decoded for name in batch.ids or []] == [str(row) for row in range(40)]
    assert [h for batch in decoded for h in batch.hashes] == [content_hash(png) for png in pngs]


def test_broken_picture_fails_alone_and_is_named() -> None:
    """Rows that cannot be decoded are missing from every array and listed with row and reason."""
    pixels, pngs = grey_pngs(5)
    rows: list[bytes | None] = [pngs[0], pngs[1][:40], pngs[2], None, pngs[4]]
    source = SourceBatch(2, 100, list("abcde"), ["x", "x", None, "y", "y"], rows, ["g", "g", "h", None, None])
    (batch,) = decode_batches([source], SHAPE)
    assert np.array_equal(batch.decoded, pixels[[0, 2, 4]])
    assert batch.rows.tolist() == [100, 102, 104]
    assert batch.rows.dtype == np.int64
    assert batch.ids == ["a", "c", "e"]
    assert batch.labels == ["x", None, "y"]
    assert batch.groups == ["g", "h", None]
    assert batch.hashes == [content_hash(pngs[row]) for row in (0, 2, 4)]
    assert [(failed.file, failed.row) for failed in batch.failures] == [(2, 101), (2, 103)]
    assert batch.failures[1] == FailedRow(2, 103, "d", "the row holds no picture bytes (null)")


def test_batch_of_failures_only_is_empty() -> None:
    """A batch in which nothing decodes still accounts for its rows."""
    (batch,) = decode_batches([SourceBatch(0, 0, None, None, [b"", None])], SHAPE)
    assert batch.decoded.shape == (0, 6, 6, 1)
    assert batch.rows.tolist() == []
    assert len(batch.failures) == 2


def test_hash_is_hashlibs_blake2b() -> None:
    """The content hash is BLAKE2b of 128 bits over the encoded bytes."""
    assert content_hash(b"picture") == hashlib.blake2b(b"picture", digest_size=16).hexdigest()


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_the_source_reach_the_consumer(workers: int) -> None:
    """What reading raises comes out of decoding, and no thread is left waiting."""
    _, pngs = grey_pngs(4)

    def source() -> Iterator[SourceBatch]:
        yield from batches_of(pngs, 2)
        raise InputError("the file ends here")

    with pytest.raises(InputError, match="the file ends here"):
        list(decode_batches(source(), SHAPE, workers=workers))
    assert decoding_threads() == 0


def test_errors_of_a_worker_reach_the_consumer() -> None:
    """A mistake of ours inside a worker is raised, never swallowed as a failed row."""
    too_few_ids = SourceBatch(0, 0, [], None, [*grey_pngs(2)[1]])
    with pytest.raises(IndexError):
        list(decode_batches([too_few_ids], SHAPE, workers=2))
    assert decoding_threads() == 0


def test_stopping_early_shuts_the_pool_down() -> None:
    """Closing the generator after one batch ends its threads, having read a bounded number of batches."""
    _, pngs = grey_pngs(60)
    read: list[int] = []

    def source() -> Iterator[SourceBatch]:
        for batch in batches_of(pngs, 2):
            read.append(batch.first_row)
            yield batch

    decoded = decode_batches(source(), SHAPE, workers=2)
    next(decoded)
    assert decoding_threads() > 0
    decoded.close()  # type: ignore[attr-defined]
    assert decoding_threads() == 0
    assert len(read) <= 4


def test_small_pictures_get_one_thread_beside_the_consumers() -> None:
    """Small pictures are decoded by one thread, larger ones by one per core; none is left behind."""
    small = decode_batches(batches_of(grey_pngs(4)[1], 2), SHAPE)
    next(small)
    assert decoding_threads() <= 1
    photo = encoded(noise(200, 200, 3))
    large = decode_batches(batches_of([photo] * 4, 1), SHAPE)
    next(large)
    next(large)
    small.close()  # type: ignore[attr-defined]
    large.close()  # type: ignore[attr-defined]
    assert decoding_threads() == 0


def test_no_batches_decode_to_none() -> None:
    """Nothing in, nothing out."""
    assert list(decode_batches([], SHAPE)) == []


def test_decoded_batches_are_bounded() -> None:
    """Rows per batch fall with the size of a picture, and are never none."""
    assert rows_per_batch(PictureShape(28, 28, 1)) == 512
    assert rows_per_batch(PictureShape(1024, 1024, 3)) == 10
    assert rows_per_batch(PictureShape(9000, 9000, 3)) == 1


def test_rows_are_counted_per_file(tmp_path: Path) -> None:
    """A failure names the file and the row in that file."""
    _, pngs = grey_pngs(6)
    files = [picture_file(tmp_path / "a.parquet", pngs), picture_file(tmp_path / "b.parquet", [*pngs, b"no"])]
    decoded = list(decode_batches(read_batches(files, [PICTURES_ONLY] * 2, rows=4), SHAPE))
    failures = [failed for batch in decoded for failed in batch.failures]
    assert [(failed.file, failed.row) for failed in failures] == [(1, 6)]


@with_real_data
def test_real_digits_equal_their_raw_pixels() -> None:
    """MNIST's PNGs decode to the pixels that are stored raw beside them."""
    file = real("mnist/test.parquet")
    columns = find_columns(pq.read_schema(file), ColumnNames(), where="mnist")
    first = next(iter(decode_batches(read_batches([file], [columns]), PictureShape(28, 28, 1))))
    with pq.ParquetFile(real("mnist/test_raw.parquet")) as raw:
        table = next(raw.iter_batches(batch_size=len(first.rows)))
    assert first.ids == table["id"].to_pylist()
    assert np.array_equal(first.decoded[..., 0], table["image"].to_numpy_ndarray())
