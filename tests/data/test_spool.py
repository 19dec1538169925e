"""What one pass over the rows leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from labelsvc.data.cache import open_decoded
from labelsvc.data.decoding import DecodedBatch, FailedRow
from labelsvc.data.spool import SCHEMA, spool
from labelsvc.records import PictureShape

SHAPE = PictureShape(2, 2, 1)


def batch(first_row: int, count: int, *, ids: bool) -> DecodedBatch:
    """Return a batch whose pixels say their row."""
    rows = np.arange(first_row, first_row + count)
    pixels = np.broadcast_to(rows.astype(np.uint8)[:, None, None, None], (count, 2, 2, 1)).copy()
    names = [f"row-{row}" for row in rows] if ids else None
    return DecodedBatch(0, rows, names, None, [f"{row:032x}" for row in rows], pixels, failures=())


@pytest.mark.parametrize("ids", [True, False])
def test_positions_lead_from_rows_to_pixels(tmp_path: Path, *, ids: bool) -> None:
    """A row's position is where its pixels lie in the cache, whatever failed before it."""
    failed = FailedRow(0, 3, None, "damaged")
    batches = [batch(0, 3, ids=ids), batch(4, 2, ids=ids)]
    batches[1] = DecodedBatch(**{**vars(batches[1]), "failures": (failed,)})
    handed_on = list(spool(batches, tmp_path / "cache", tmp_path / "rows.parquet", SHAPE))
    table = pq.read_table(tmp_path / "rows.parquet")
    pixels = open_decoded(tmp_path / "cache")
    assert [part.failures for part in handed_on] == [(), (failed,)]
    assert table.schema.equals(SCHEMA)
    assert pixels is not None
    assert pixels[table["position"].to_numpy(), 0, 0, 0].tolist() == table["row"].to_pylist() == [0, 1, 2, 4, 5]
    assert table["sample_id"].null_count == (0 if ids else 5)
    assert table["group_name"].null_count == 5


def test_groups_are_kept_with_their_rows(tmp_path: Path) -> None:
    """A column says the group of each row, None of those in none."""
    grouped = DecodedBatch(**{**vars(batch(0, 3, ids=False)), "groups": ["a", None, "b"]})
    list(spool([grouped], tmp_path / "cache", tmp_path / "rows.parquet", SHAPE))
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table["group_name"].to_pylist() == ["a", None, "b"]


def test_a_pass_that_stops_leaves_no_cache(tmp_path: Path) -> None:
    """Whoever stops half way finds no cache by that name."""
    passing = spool(
        [batch(0, 2, ids=True), batch(2, 2, ids=True)], tmp_path / "cache", tmp_path / "rows.parquet", SHAPE
    )
    next(passing)
    passing.close()  # type: ignore[attr-defined]
    assert open_decoded(tmp_path / "cache") is None
    assert not (tmp_path / "cache").exists()
