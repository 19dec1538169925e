"""Batches of rows to batches of pixels or numbers, in order, with a row that fails failing alone.

Decoding runs beside the consumer. Small pictures get one thread: opening one is Python that holds the
interpreter's lock, and two threads on two idle cores were 1.1 times as fast as one (MNIST's PNGs of 220 bytes).
Photos spend their time in the decoder, which lets go of the lock, and get a thread per core.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labelsvc.data.cells import Cell, RawPictures
from labelsvc.data.features import encode
from labelsvc.data.labels import NO_ID
from labelsvc.data.pictures import decode, fit, read_picture
from labelsvc.data.reading import SourceBatch
from labelsvc.data.remote import Location, Remote
from labelsvc.data.threads import in_order
from labelsvc.errors import PictureError
from labelsvc.records import Decoded, InputShape, PictureShape, Pixels, TableShape, VectorShape

PICTURES, ROWS = 512, 65_536  # in a batch, at most: of pictures; of rows of a table, or vectors
SMALL_PICTURE = 4096  # bytes, encoded, on average; a file of its own is none
FETCHERS = 16  # threads that wait for an object store, for each batch of pictures that lie there


@dataclass(frozen=True)
class FailedRow:
    """A row whose input could not be decoded, and why."""

    file: int
    row: int
    id: str | None
    reason: str


@dataclass(frozen=True)
class DecodedBatch:
    """The rows of a batch that could be decoded, in order; the others are ``failures`` and nothing else.

    ``hashes`` are those of the contents, empty where nobody asked for them.
    """

    file: int
    rows: NDArray[np.int64]  # [rows], places in the file
    ids: list[str] | None
    labels: list[str | None] | None
    hashes: list[str]
    decoded: Decoded
    failures: tuple[FailedRow, ...]
    groups: list[str | None] | None = None
    order: NDArray[np.float64] | None = None


def content_hash(data: bytes | Decoded) -> str:
    """Return the 128-bit BLAKE2b hash of an input's bytes in hex, as ``b2sum -l 128`` prints it.

    The bytes are a picture's encoded ones, those of its file, or its raw pixels; else the numbers that models see.

    >>> content_hash(b"")
    'cae66941d9efbd404e4d88758ea67670'
    """
    return hashlib.blake2b(data if isinstance(data, bytes) else data.tobytes(), digest_size=16).hexdigest()


def rows_per_batch(shape: InputShape) -> int:
    """Return how many rows to read at a time so that a decoded batch takes at most about 32 MB."""
    most = PICTURES if isinstance(shape, PictureShape) else ROWS
    return max(1, min(most, (32 << 20) // shape.bytes))


def decode_batches(
    batches: Iterable[SourceBatch], shape: InputShape, *, workers: int | None = None, hashed: bool = True
) -> Iterator[DecodedBatch]:
    """Yield every batch decoded to ``shape``, in order, with at most ``2 * workers`` of them in flight.

    Raw pixels that have the shape are not copied unless they are ``hashed``. Workers are threads beside the
    consumer's: by default one for small pictures and one per core for larger ones, by the first batch. What a worker
    or ``batches`` raises, the consumer gets.

    Raises:
        InputError: whatever ``batches`` raises. A picture that cannot be decoded is a failure of its row.
    """
    batches = iter(batches)
    first = list(islice(batches, 1))
    if not first:
        return
    workers = workers or _workers_for(first[0])
    yield from in_order(
        lambda batch: _decoded(batch, shape, hashed=hashed), chain(first, batches), workers=workers, name="decode"
    )


def _workers_for(batch: SourceBatch) -> int:
    if isinstance(batch.inputs, pa.RecordBatch):
        return 1  # Arrow and NumPy let go of the lock, and writing has the other core
    sizes = [_encoded_bytes(picture) for picture in batch.inputs if not isinstance(picture, PictureError | None)]
    small = sum(sizes) < SMALL_PICTURE * len(sizes)
    return 1 if small else os.cpu_count() or 1


def _encoded_bytes(picture: Cell) -> int:
    if isinstance(picture, bytes):
        return len(picture)
    return SMALL_PICTURE if isinstance(picture, Location) else 0


def _decoded(batch: SourceBatch, shape: InputShape, *, hashed: bool) -> DecodedBatch:
    if not isinstance(shape, PictureShape):
        return _encoded(batch, shape, hashed=hashed)
    pictures = batch.inputs
    assert not isinstance(pictures, pa.RecordBatch)
    unnamed = batch.ids is not None and None in batch.ids
    if not (hashed or unnamed) and isinstance(pictures, RawPictures) and pictures.are(shape):
        return _as_they_lie(batch, pictures.pixels)
    pixels = np.empty((len(pictures), *shape.sides), np.uint8)
    places: list[int] = []
    hashes: list[str] = []
    failures: list[FailedRow] = []
    for place, picture in enumerate(_fetched(pictures)):
        sample_id = batch.ids[place] if batch.ids else None
        try:
            if batch.ids and sample_id is None:
                raise PictureError(NO_ID)
            pixels[len(places)], content = _pixels(picture, shape)
        except PictureError as error:
            failures.append(FailedRow(batch.file, batch.first_row + place, sample_id, str(error)))
        else:
            places.append(place)
            if hashed:
                hashes.append(content_hash(content))
    return _sound(batch, places, hashes, pixels[: len(places)], failures)


def _encoded(batch: SourceBatch, shape: TableShape | VectorShape, *, hashed: bool) -> DecodedBatch:
    """Return rows of a table, or vectors, as numbers."""
    assert isinstance(batch.inputs, pa.RecordBatch)
    found = encode(batch.inputs, shape)
    reasons = dict(found.faults)
    if batch.ids is not None:
        reasons |= {place: NO_ID for place, name in enumerate(batch.ids) if name is None}
    if not (reasons or hashed):
        return _as_they_lie(batch, found.values)
    places = [place for place in range(len(found.values)) if place not in reasons]
    failures = [
        FailedRow(batch.file, batch.first_row + place, batch.ids[place] if batch.ids else None, reasons[place])
        for place in sorted(reasons)
    ]
    values = found.values[places] if reasons else found.values
    return _sound(batch, places, [content_hash(row) for row in values] if hashed else [], values, failures)


def _sound(
    batch: SourceBatch, places: Sequence[int], hashes: list[str], decoded: Decoded, failures: Sequence[FailedRow]
) -> DecodedBatch:
    """Return what is known of the rows of a batch that did not fail, which are at ``places``."""
    return DecodedBatch(
        file=batch.file,
        rows=np.asarray(places, np.int64) + batch.first_row,
        ids=_ids(batch, places),
        labels=None if batch.labels is None else [batch.labels[place] for place in places],
        hashes=hashes,
        decoded=decoded,
        failures=tuple(failures),
        groups=None if batch.groups is None else [batch.groups[place] for place in places],
        order=None if batch.order is None else batch.order[places],
    )


def _as_they_lie(batch: SourceBatch, decoded: Decoded) -> DecodedBatch:
    rows = np.arange(batch.first_row, batch.first_row + len(decoded))
    return DecodedBatch(batch.file, rows, _ids(batch, range(len(rows))), batch.labels, [], decoded, (), batch.groups)


def _ids(batch: SourceBatch, places: Iterable[int]) -> list[str] | None:
    """Return the ids of rows that did not fail, which therefore have one."""
    return None if batch.ids is None else [str(batch.ids[place]) for place in places]


def _fetched(pictures: Sequence[Cell]) -> Iterator[Cell]:
    """Yield the pictures, with the bytes of those in an object store, or why one could not be read."""
    if not any(isinstance(picture, Remote) for picture in pictures):
        yield from pictures
        return
    yield from in_order(_fetch, pictures, workers=FETCHERS, name="fetch")


def _fetch(picture: Cell) -> Cell:
    try:
        return read_picture(picture) if isinstance(picture, Remote) else picture
    except PictureError as error:
        return error


def _pixels(picture: Cell, shape: PictureShape) -> tuple[Pixels, bytes | Pixels]:
    """Return a picture in ``shape``, and the content that it was made from."""
    if picture is None:
        raise PictureError("the row holds no picture bytes (null)")
    if isinstance(picture, PictureError):
        raise picture
    if isinstance(picture, np.ndarray):
        return fit(picture, shape), picture
    data = picture if isinstance(picture, bytes) else read_picture(picture)
    return decode(data, shape), data
