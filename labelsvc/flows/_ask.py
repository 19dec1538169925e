"""query, trace, runs: what the store knows, without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from labelsvc.flows._session import open_store, predictions_of
from labelsvc.store import label_sets, questions, runs
from labelsvc.store.questions import SampleHistory
from labelsvc.store.runs import RunRecord
from labelsvc.workspace import find


@contextmanager
def query(workspace: str | Path, sql: str) -> Iterator[pa.RecordBatchReader]:
    """Yield a reader of the answer to one SELECT over the store; nothing can be written by it.

    Beside the store's views there is ``predictions``: what the current label set's model said of each sample.

    Raises:
        InputError: there is no workspace.
        UsageError: the statement is wrong, or would write.
    """
    place = find(Path(workspace))
    store = open_store(place)
    current = label_sets.current(store)
    said = predictions_of(place, store, current) if current else None
    with questions.query(store, sql, [said] if said else []) as reader:
        yield reader


def trace(workspace: str | Path, sample_id: str) -> SampleHistory:
    """Return the whole history of one sample.

    Raises:
        InputError: there is no workspace, or no such sample.
    """
    return questions.history(open_store(find(Path(workspace))), sample_id)


def list_runs(workspace: str | Path, *, limit: int = 20) -> list[RunRecord]:
    """Return the newest runs, newest first."""
    return runs.listing(open_store(find(Path(workspace))), limit)
