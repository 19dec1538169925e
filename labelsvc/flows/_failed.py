"""Rows that fail: counted, the first few named, all of them written to a file of the run; too many are an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.data.decoding import FailedRow
from labelsvc.errors import TooManyFailedError

NAMED = 3
SCHEMA = pa.schema([("file", pa.string()), ("row", pa.int64()), ("id", pa.string()), ("reason", pa.string())])


class FailedRows:
    """Rows that could not be taken in; ``target`` is written when the block ends, if there are any.

    ``fate`` says of what kind of input they are, and what became of them, as in "pictures cannot be decoded".
    """

    def __init__(self, target: Path, fate: str) -> None:
        self.target = target
        self.fate = fate
        self.count = 0
        self._first: list[str] = []

    def __enter__(self) -> Self:
        self._partial = self.target.with_name(f".{self.target.name}")
        self._writer = pq.ParquetWriter(self._partial, SCHEMA, compression="zstd")
        return self

    def add(self, failures: Sequence[FailedRow], paths: Sequence[Path]) -> None:
        """Count the failures of a batch; ``paths`` are the files that they count."""
        if not failures:
            return
        rows = [(str(paths[failure.file]), failure.row, failure.id, failure.reason) for failure in failures]
        self._writer.write_table(pa.table(list(zip(*rows, strict=True)), schema=SCHEMA))
        for file, row, sample_id, reason in rows[: NAMED - len(self._first)]:
            named = "" if sample_id is None else f" ({sample_id!r})"
            self._first.append(f"row {row} of {file}{named}: {reason}")
        self.count += len(failures)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if kind is None and self.count:
            self._partial.replace(self.target)
        self._partial.unlink(missing_ok=True)

    def found(self, rows: int) -> tuple[str, ...]:
        """Say, if there are any, how many of ``rows`` failed, which ones first, and where all of them are."""
        said = f"{self.count:,} of {rows:,} {self.fate}: {'; '.join(self._first)}"
        return (f"{said}; all of them: {self.target}",) if self.count else ()

    def check(self, allowed: int, rows: int) -> None:
        """Refuse more failures than are allowed.

        Raises:
            TooManyFailedError: naming the first ones.
        """
        if self.count > allowed:
            raise TooManyFailedError(
                f"{self.found(rows)[0]}; --max-failed allows {allowed:,}, so nothing was ingested: "
                "mend or remove these rows, or allow more"
            )
