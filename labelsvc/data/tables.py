"""A few named columns of a small file that a person brings or fills in, as Parquet or CSV.

In CSV all is text, and a field without a character, not even quotes, is null. Knows nothing of what is in the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from labelsvc.data.reading import opened
from labelsvc.errors import InputError
from labelsvc.workspace import written_beside

Choice = Callable[[list[str]], list[str]]  # of all names of a file's columns, those to read


def read_columns(path: Path, choose: Choice) -> pa.Table:
    """Return the columns that ``choose`` picks by their names, in its order, wholly in memory.

    Raises:
        InputError: the file is missing, damaged or of another format, or ``choose`` refuses its columns.
    """
    return _csv(path, choose) if path.suffix.lower() == ".csv" else _parquet(path, choose)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a small table for a person, as CSV where the name ends so, else as Parquet; it has its name when whole."""
    with written_beside(path) as partial:
        if path.suffix.lower() == ".csv":
            csv.write_csv(table, partial)
        else:
            pq.write_table(table, partial, compression="zstd")


def _parquet(path: Path, choose: Choice) -> pa.Table:
    with opened(path) as parquet:
        wanted = choose(parquet.schema_arrow.names)
        return parquet.read(columns=wanted).select(wanted)


def _csv(path: Path, choose: Choice) -> pa.Table:
    lines = csv.ParseOptions(newlines_in_values=True)
    try:
        with csv.open_csv(path, parse_options=lines) as reader:
            wanted = choose(reader.schema.names)
        texts = csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        return csv.read_csv(path, parse_options=lines, convert_options=texts)
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}; check the path") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as CSV: {reason}; is it UTF-8, with commas?") from error
