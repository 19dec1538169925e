"""A file of truth: ids and their labels, for scoring what came out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.data.columns import label_names
from labelsvc.data.reading import read_schema
from labelsvc.errors import InputError


def read_truth(path: Path) -> tuple[list[str], list[str | None]]:
    """Return the ids and the class names of a Parquet file with the columns ``id`` and ``label``.

    Raises:
        InputError: the file is no Parquet, or lacks a column.
    """
    schema = read_schema(path)
    missing = [name for name in ("id", "label") if name not in schema.names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; a file of truth has the columns id and label")
    table = pq.read_table(path, columns=["id", "label"])
    ids: list[str] = table["id"].cast(pa.string()).to_pylist()
    names = label_names(schema, "label")
    if names:
        codes = table["label"].to_pylist()
        wrong = [code for code in codes if code is not None and code >= len(names)]
        if wrong:
            raise InputError(f"{path} has the label code {wrong[0]}, and only {len(names)} class names")
        return ids, [names[code] if code is not None and code >= 0 else None for code in codes]
    labels: list[str | None] = table["label"].cast(pa.string()).to_pylist()
    return ids, labels
