"""labelsvc query: SQL over labels, in batches, to people and to other programs."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from labelsvc.errors import UsageError

from . import answer, options, tables

if TYPE_CHECKING:
    import pyarrow as pa

Sql = Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; FROM labels shows them.")]


def query(
    sql: Sql,
    *,
    layout: options.Layout = "table",
    output: options.Output = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Ask the store one SELECT; it cannot write."""
    from labelsvc import flows

    if layout not in (*WRITERS, "parquet"):
        raise UsageError(f"--format {layout} is unknown; there are {', '.join(WRITERS)}, parquet")
    if layout == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("Parquet is nothing for a terminal; give --output FILE, or redirect stdout")
    with flows.query(workspace, sql) as reader:
        if as_json:
            _write_object(reader)
        elif layout == "parquet":
            _write_parquet(reader, output)
        else:
            with _text(output) as file:
                WRITERS[layout](reader, file)


@contextmanager
def _text(output: Path | None) -> Iterator[TextIO]:
    """Yield stdout, or the file that takes its name when all is written."""
    from labelsvc.workspace import written_beside

    if output is None:
        yield sys.stdout
        return
    with written_beside(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield a batch's rows; by columns, because two of them may have one name."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_table(reader: pa.RecordBatchReader, file: TextIO) -> None:
    rows = [row for batch in reader for row in _rows(batch)]
    tables.show(reader.schema.names, rows, file)


def _write_csv(reader: pa.RecordBatchReader, file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(reader.schema.names)
    for batch in reader:
        writer.writerows([_cell(value) for value in row] for row in _rows(batch))


def _cell(value: object) -> object:
    """Return what CSV holds for a value: as in JSON, but for texts, which stand as they are."""
    return answer.dumps(value) if isinstance(value, bool | list | dict) else answer.plain(value)


def _write_json(reader: pa.RecordBatchReader, file: TextIO) -> None:
    """Write an array with an object for each row."""
    file.write("[")
    _write_rows(reader, file, lambda row: dict(zip(reader.schema.names, row, strict=True)))
    file.write("]\n")


def _write_object(reader: pa.RecordBatchReader) -> None:
    """Write the one object of --json, its rows as they come."""
    head = {"schema_version": answer.SCHEMA_VERSION, "command": "query", "columns": reader.schema.names}
    sys.stdout.write(answer.dumps(head)[:-1] + ', "rows": [')
    _write_rows(reader, sys.stdout, list)
    sys.stdout.write("]}\n")


def _write_rows(
    reader: pa.RecordBatchReader, file: TextIO, shape: Callable[[Sequence[Any]], Mapping[str, Any] | list[Any]]
) -> None:
    between = "\n"
    for batch in reader:
        for row in _rows(batch):
            file.write(between + answer.dumps(shape(row)))
            between = ",\n"
    file.write("\n" if between != "\n" else "")


def _write_parquet(reader: pa.RecordBatchReader, output: Path | None) -> None:
    """Write Parquet to a file, or to stdout by way of one, because Parquet is written with seeks."""
    from labelsvc.workspace import written_beside

    if output is not None:
        with written_beside(output) as partial:
            _fill(reader, partial)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "answer.parquet"
        _fill(reader, place)
        with place.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


def _fill(reader: pa.RecordBatchReader, place: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(place, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


WRITERS: Mapping[str, Callable[[pa.RecordBatchReader, TextIO], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "json": _write_json,
}
