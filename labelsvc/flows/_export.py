"""export: a model becomes one self-sufficient ONNX file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from labelsvc.config import digest
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._models import in_use, open_network
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.records import SILENCE, Listener, Model, RowCount
from labelsvc.store import samples
from labelsvc.store.runs import NewRun
from labelsvc.student.export import Parity
from labelsvc.student.export import export as export_file
from labelsvc.workspace import find

CHECKED_ROWS = 256  # real rows on which the file must answer as the network does


@dataclass(frozen=True)
class ExportOutcome:
    """A written file."""

    run_id: str
    model: Model
    path: str
    bytes: int
    parity: Parity
    rows: RowCount
    next_command: str


def export(
    workspace: str | Path,
    path: str | Path,
    *,
    model: str | None = None,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> ExportOutcome:
    """Write the current set's student (else its teacher, else the newest model) as an ONNX file.

    Raises:
        InputError: nothing was trained, or the weights are gone.
        LabelsvcError: the file does not answer as the network does; nothing is written.
    """
    place, target = find(Path(workspace)), Path(path)
    store = open_store(place)
    chosen = in_use(store, model, listener)
    some = np.concatenate([samples.given(store, "train").numbers[:CHECKED_ROWS], samples.pool(store)[:CHECKED_ROWS]])
    pixels = open_inputs(place, store, some).gather(some)
    settings = {"path": str(target), "model": chosen.model_id}
    run = NewRun("export", settings, digest(settings), versions=versions(), parent_id=parent_run)
    with recorded(place, run) as session:
        parity = export_file(open_network(place, chosen), chosen, target, pixels=pixels)
        session.rows = RowCount(given=parity.rows, labeled=parity.rows)
        session.stop_reason = "the file answers as the network does"
        session.outcome = {"parity": asdict(parity), **settings}
    return ExportOutcome(
        run_id=session.run_id,
        model=chosen,
        path=str(target),
        bytes=target.stat().st_size,
        parity=parity,
        rows=session.rows,
        next_command=f"labelsvc predict {target} NEW.parquet out.parquet",
    )
