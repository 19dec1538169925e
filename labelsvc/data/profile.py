"""What the columns of a table are, found by reading all rows once: numbers, categories, times, and what is left out.

Left out are columns that say nothing (all null, or always the same), that name the row (a value for each), that are
prose, and that give the label away. Each is said, and taken all the same where the user names it. Memory is bounded:
of a column's texts, at most ``MOST_TEXTS`` are told apart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from labelsvc.data.features import MICROSECONDS_A_DAY, kind_of, lengths_of, lists_of, microseconds, texts_of
from labelsvc.errors import InputError
from labelsvc.records import Column, ColumnKind, TableShape, VectorShape

MOST_TEXTS = 100_000  # of a column, beyond which it is prose or names rows
MOST_CATEGORIES = 256  # told apart; the others count as one
FEWEST_ROWS = 20  # from which a column can be said to name rows, or to give labels away
COUNTED = 200_000  # whole numbers of a column of which it is known whether all differ
LONG = 60  # characters on average, from which texts are prose
PROSE_SHARE = 0.2  # of the rows that have a text of their own, from which long texts are prose


@dataclass(frozen=True)
class Found:
    """A column of a table and what was made of it, in words; ``kind`` is None where it was left out."""

    name: str
    kind: ColumnKind | None
    values: str
    nulls: int
    remark: str = ""


@dataclass(frozen=True)
class TableFound:
    """The columns that models learn from, and what was found of all columns."""

    shape: TableShape
    columns: tuple[Found, ...]


@dataclass(frozen=True)
class Slice:
    """Some rows of a table: its columns, and the label of each row, None where it has none."""

    rows: pa.RecordBatch
    labels: Sequence[str | None] | None


def find_table(slices: Iterable[Slice], *, named: Sequence[str] = (), where: str) -> TableFound:
    """Read all rows and return what the columns are; those that are ``named`` are taken whatever they look like.

    Raises:
        InputError: no column is left that a model could learn from.
    """
    profiles: dict[str, _Profile] = {}
    rows = 0
    for part in slices:
        rows += part.rows.num_rows
        labels = pa.array(part.labels, pa.string()) if part.labels is not None else None
        for name, cells in zip(part.rows.schema.names, part.rows.columns, strict=True):
            _profile(profiles, name, cells.type).add(cells, labels)
    found = [profile.found(rows, is_named=name in named) for name, profile in profiles.items()]
    columns = tuple(profiles[one.name].column(one.kind, rows) for one in found if one.kind is not None)
    if not columns:
        listed = "; ".join(f"{one.name!r} {one.remark}" for one in found) or "there is none"
        raise InputError(
            f"{where} has no column that a model could learn from: {listed}. Name columns with --features, "
            "a column of vectors with --vector-column, of pictures with --image-column"
        )
    return TableFound(TableShape(columns), tuple(found))


def _profile(profiles: dict[str, _Profile], name: str, kind: pa.DataType) -> _Profile:
    """Return the profile of a column, which a file in which it is all null leaves open."""
    if pa.types.is_null(kind):
        return profiles.setdefault(name, _Nothing(name))
    known = profiles.get(name)
    if known is None or isinstance(known, _Nothing):
        profiles[name] = PROFILES[kind_of(kind) or "number"](name, nulls=known.nulls if known else 0)
    return profiles[name]


def find_vectors(columns: Iterable[pa.Array], *, where: str) -> VectorShape:
    """Return the length that most vectors have, and the root mean square of their values.

    Raises:
        InputError: there is no vector.
    """
    lengths: Counter[int] = Counter()
    total, count = 0.0, 0
    for column in columns:
        lists = lists_of(column)
        lengths.update(lengths_of(lists).tolist())
        values = lists.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
        values = values[np.isfinite(values)]
        total, count = total + float((values**2).sum()), count + len(values)
    usual = [length for length, _ in lengths.most_common() if length > 0]
    if not usual:
        raise InputError(f"there is no vector in {where}; check what wrote it")
    return VectorShape(usual[0], math.sqrt(total / max(count, 1)) or 1.0)


@dataclass
class _Labels:
    """Whether a column's values and the labels are one to one, as far as it was seen."""

    label_of: dict[object, str] = field(default_factory=dict)
    value_of: dict[str, object] = field(default_factory=dict)
    rows: int = 0
    is_open: bool = True

    def add(self, cells: pa.Array, labels: pa.Array) -> None:
        if not self.is_open:
            return
        both = pa.table({"value": cells, "label": labels}).drop_null()
        self.rows += both.num_rows
        pairs = both.group_by(["value", "label"]).aggregate([])
        for value, label in zip(pairs["value"].to_pylist(), pairs["label"].to_pylist(), strict=True):
            if self.label_of.setdefault(value, label) != label or self.value_of.setdefault(label, value) != value:
                self.is_open = False
                return

    def fault(self) -> str | None:
        told_apart = len(self.label_of) > 1 and self.rows >= max(FEWEST_ROWS, 2 * len(self.label_of))
        return "gives the label away: each of its values goes with one class" if self.is_open and told_apart else None


@dataclass
class _Profile:
    """What is known of a column so far."""

    name: str
    kind: ColumnKind = "number"
    nulls: int = 0
    labels: _Labels = field(default_factory=_Labels)

    def add(self, cells: pa.Array, labels: pa.Array | None) -> None:
        """Look at some rows."""
        cells = self.prepared(cells)
        self.nulls += cells.null_count
        if labels is not None:
            self.labels.add(cells, labels)
        self.look(cells.drop_null())

    def prepared(self, cells: pa.Array) -> pa.Array:
        """Return cells in one type."""
        raise NotImplementedError

    def look(self, cells: pa.Array) -> None:
        """Look at cells without nulls."""
        raise NotImplementedError

    def fault(self, rows: int) -> str | None:
        """Say why the column should be left out, None where it should not."""
        raise NotImplementedError

    def described(self) -> str:
        """Say which values there are."""
        raise NotImplementedError

    def remark(self, rows: int) -> str:  # noqa: ARG002
        """Say what is worth knowing of a column that is taken."""
        return ""

    def column(self, kind: ColumnKind | None, rows: int) -> Column:
        """Return the column as models see it."""
        raise NotImplementedError

    def found(self, rows: int, *, is_named: bool) -> Found:
        """Return what became of the column."""
        if self.nulls == rows:
            return Found(self.name, None, "", self.nulls, "is all null")
        fault = self.fault(rows) or self.labels.fault()
        if fault is None or is_named:
            return Found(self.name, self.kind, self.described(), self.nulls, self.remark(rows))
        return Found(self.name, None, self.described(), self.nulls, fault)


@dataclass
class _Nothing(_Profile):
    """A column of which no file has said its type."""

    def prepared(self, cells: pa.Array) -> pa.Array:
        return cells

    def look(self, cells: pa.Array) -> None:
        """See nothing."""


@dataclass
class _Numbers(_Profile):
    """Numbers and booleans: mean and spread, by Chan's way of joining batches."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0  # of the distances from the mean
    low: float = math.inf
    high: float = -math.inf
    is_whole: bool = True
    seen: NDArray[np.float64] | None = field(default_factory=lambda: np.empty(0))  # None: too many

    def prepared(self, cells: pa.Array) -> pa.Array:
        numbers = cells.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_finite(numbers), numbers, None)

    def look(self, cells: pa.Array) -> None:
        numbers: NDArray[np.float64] = cells.to_numpy(zero_copy_only=False)
        if not len(numbers):
            return
        count, mean = self.count + len(numbers), float(numbers.mean())
        apart = mean - self.mean
        self.squares += float(((numbers - mean) ** 2).sum()) + apart**2 * self.count * len(numbers) / count
        self.mean += apart * len(numbers) / count
        self.count = count
        self.low, self.high = min(self.low, float(numbers.min())), max(self.high, float(numbers.max()))
        self.is_whole = self.is_whole and bool((numbers == np.floor(numbers)).all())
        if self.seen is not None and self.is_whole:
            self.seen = np.union1d(self.seen, numbers)
            self.seen = self.seen if len(self.seen) <= COUNTED else None

    def fault(self, rows: int) -> str | None:
        if not self.count:
            return "has no finite number"
        if self.low == self.high and not self.nulls:
            return f"is always {self.described()}"
        differ = self.is_whole and self.seen is not None and len(self.seen) == self.count == rows
        if differ and rows >= FEWEST_ROWS and self.high - self.low < 2 * rows:
            return "has a number for each row, as ids do"
        return None

    def described(self) -> str:
        low, high = (f"{value:,.6g}" for value in (self.low, self.high))
        return low if low == high else f"{low} to {high}"

    def column(self, kind: ColumnKind | None, rows: int) -> Column:  # noqa: ARG002
        deviation = math.sqrt(self.squares / max(self.count, 1)) or 1.0
        return Column(self.name, self.kind, self.mean, deviation, self.nulls > 0)


@dataclass
class _Booleans(_Numbers):
    """True and false, as 1 and 0."""

    kind: ColumnKind = "boolean"

    def prepared(self, cells: pa.Array) -> pa.Array:
        return cells.cast(pa.float64())


@dataclass
class _Times(_Numbers):
    """Moments, as days after the first one that was met."""

    kind: ColumnKind = "time"
    origin: int | None = None

    def prepared(self, cells: pa.Array) -> pa.Array:
        moments = microseconds(cells)
        if self.origin is None and moments.null_count < len(moments):
            self.origin = int(moments.drop_null()[0].as_py())
        return pc.divide(pc.subtract(moments, self.origin or 0).cast(pa.float64()), float(MICROSECONDS_A_DAY))

    def fault(self, rows: int) -> str | None:  # noqa: ARG002
        return f"is always {self.described()}" if self.low == self.high and not self.nulls else None

    def described(self) -> str:
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.origin or 0)
        low, high = ((start + timedelta(days=days)).strftime("%Y-%m-%d") for days in (self.low, self.high))
        return low if low == high else f"{low} to {high}"

    def column(self, kind: ColumnKind | None, rows: int) -> Column:
        whole = super().column(kind, rows)
        return Column(whole.name, "time", whole.mean, whole.std, whole.has_nulls, origin=self.origin or 0)


@dataclass
class _Texts(_Profile):
    """Categories, or what looks like some."""

    kind: ColumnKind = "category"
    counts: Counter[str] | None = field(default_factory=Counter)  # None: too many
    characters: int = 0
    count: int = 0

    def prepared(self, cells: pa.Array) -> pa.Array:
        return texts_of(cells)

    def look(self, cells: pa.Array) -> None:
        self.count += len(cells)
        self.characters += pc.sum(pc.utf8_length(cells)).as_py() or 0
        if self.counts is not None:
            said = pc.value_counts(cells)
            self.counts.update(dict(zip(said.field(0).to_pylist(), said.field(1).to_pylist(), strict=True)))
            self.counts = self.counts if len(self.counts) <= MOST_TEXTS else None

    def fault(self, rows: int) -> str | None:  # noqa: ARG002
        if self.counts is None:
            return f"has more than {MOST_TEXTS:,} different texts, as prose and ids do"
        if len(self.counts) == 1 and not self.nulls:
            return f"is always {next(iter(self.counts))!r}"
        if self.count >= FEWEST_ROWS and len(self.counts) > self.count / 2:
            return "has a text for nearly each row, as ids and prose do"
        if self.characters / max(self.count, 1) > LONG and len(self.counts) > PROSE_SHARE * self.count:
            return "is prose; bring it as vectors (embeddings)"
        return None

    def described(self) -> str:
        return f"{MOST_TEXTS:,}+ texts" if self.counts is None else f"{len(self.counts):,} categories"

    def remark(self, rows: int) -> str:
        kept = self.column(None, rows).categories
        rest = self.count - sum((self.counts or Counter())[name] for name in kept)
        if not rest:
            return ""
        return f"the {len(kept):,} most frequent are told apart, the others ({rest / self.count:.1%} of rows) are one"

    def column(self, kind: ColumnKind | None, rows: int) -> Column:  # noqa: ARG002
        fewest = min(10, max(2, rows // 1000))
        often = sorted((self.counts or Counter()).items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CATEGORIES]
        kept = tuple(sorted(name for name, count in often if count >= fewest))
        return Column(self.name, "category", has_nulls=self.nulls > 0, categories=kept)


PROFILES: dict[ColumnKind, type[_Profile]] = {
    "number": _Numbers,
    "boolean": _Booleans,
    "category": _Texts,
    "time": _Times,
}
