"""One pass over a dataset's rows: inputs into the cache, what else is known of each row into a Parquet file.

The store takes that file in one transaction, so that memory stays bounded whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.data.cache import InputWriter
from labelsvc.data.decoding import DecodedBatch
from labelsvc.records import InputShape

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),  # where the input lies in the cache
        ("file", pa.int32()),
        ("row", pa.int64()),
        ("sample_id", pa.string()),
        ("content_hash", pa.string()),
        ("label", pa.string()),
        ("group_name", pa.string()),
        ("split_value", pa.float64()),  # the larger, the longer a row is kept from training
    ]
)


def spool(batches: Iterable[DecodedBatch], cache: Path, rows: Path, shape: InputShape) -> Iterator[DecodedBatch]:
    """Write every batch's inputs to the folder ``cache`` and its rows to the file ``rows``, then hand the batch on.

    The cache takes its name when all batches are written. Rows that failed to decode are in neither.
    """
    with InputWriter(cache, shape) as inputs, pq.ParquetWriter(rows, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(_table(batch, inputs.append(batch.decoded)))
            yield batch


def _table(batch: DecodedBatch, position: int) -> pa.Table:
    count = len(batch.hashes)
    nothing: list[str | None] = [None] * count
    columns = [
        pa.array(np.arange(position, position + count)),
        pa.array(np.full(count, batch.file, dtype=np.int32)),
        pa.array(batch.rows),
        pa.array(batch.ids or nothing, pa.string()),
        pa.array(batch.hashes, pa.string()),
        pa.array(batch.labels or nothing, pa.string()),
        pa.array(batch.groups or nothing, pa.string()),
        pa.nulls(count, pa.float64()) if batch.order is None else pa.array(batch.order, from_pandas=True),
    ]
    return pa.table(columns, schema=SCHEMA)
