"""Aligned text: numbers to the right, with separators, everything else to the left."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TextIO

import typer

from .answer import plain

GAP = "  "
Row = Sequence[object]


def show(headers: Sequence[str], rows: Iterable[Row], file: TextIO | None = None) -> None:
    """Print a table to ``file``, else to stdout, its headers bold on a terminal."""
    target = file or sys.stdout
    head, *body = lines(headers, list(rows))
    bold = target.isatty() and not os.environ.get("NO_COLOR")
    typer.echo(typer.style(head, bold=True) if bold else head, file=target)
    for line in body:
        typer.echo(line, file=target)


def lines(headers: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return a line of headers and a line for each row.

    >>> lines(["class", "rows"], [["cat", 12345], ["dog", 7]])
    ['class    rows', 'cat    12,345', 'dog         7']
    """
    cells = [[text(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    right = [_is_numeric(column) for column in zip(*rows, strict=True)] or [False] * len(headers)
    return [_line(cells_of_row, widths, right) for cells_of_row in [list(headers), *cells]]


def text(value: object) -> str:
    """Return a value as people read it; an empty text for None.

    >>> text(1234567), text(0.99321), text(2.0), text(None)
    ('1,234,567', '0.99321', '2', '')
    """
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, Decimal):
        value = plain(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, list | tuple):
        return ", ".join(text(part) for part in value)
    return value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else str(value)


def _decimal(value: float) -> str:
    """Return six decimals without trailing zeros, or an exponent where that would hide the value."""
    if value == 0 or abs(value) >= 1e-4:
        return f"{value:,.6f}".rstrip("0").rstrip(".")
    return f"{value:.1e}"


def _is_numeric(column: Sequence[object]) -> bool:
    known = [value for value in column if value is not None]
    return bool(known) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known
    )


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    ]
    return GAP.join(padded).rstrip()
