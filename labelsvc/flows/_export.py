"""export: a model becomes one self-sufficient ONNX file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from labelsvc.config import digest
from labelsvc.data.reading import file_digest
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._models import in_use, open_network
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.records import SILENCE, Certificate, Listener, Model, RowCount
from labelsvc.store import certificates, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.student.card import add_certificate
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
    repeated: bool = False
    certificate: Certificate | None = None  # what `certify` proved of this model last; the file carries it


def export(
    workspace: str | Path,
    path: str | Path,
    *,
    model: str | None = None,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> ExportOutcome:
    """Write the current set's student (else its teacher, else the newest model) as an ONNX file.

    Where the model has a certificate, the file carries it.

    Raises:
        InputError: nothing was trained, or the weights are gone.
        LabelsvcError: the file does not answer as the network does; nothing is written.
    """
    place, target = find(Path(workspace)), Path(path)
    store = open_store(place)
    chosen = in_use(store, model, listener)
    promised = _promised(store, chosen)
    settings = {
        "path": str(target.resolve()),
        "model": chosen.model_id,
        "certificate": promised.certificate_id if promised else None,
    }
    done = runs.find_done(store, "export", digest(settings))
    if done is not None and target.is_file() and file_digest(target) == done.outcome.get("sha256"):
        listener.note(f"run {done.run_id} wrote this very file; nothing to do")
        known = _outcome(done.run_id, chosen, target, Parity(**done.outcome["parity"]))
        return replace(known, repeated=True, certificate=promised)
    some = np.concatenate([samples.given(store, "train").numbers[:CHECKED_ROWS], samples.pool(store)[:CHECKED_ROWS]])
    pixels = open_inputs(place, store, some).gather(some)
    run = NewRun("export", settings, digest(settings), versions=versions(), parent_id=parent_run)
    with recorded(place, run) as session:
        parity = export_file(open_network(place, chosen), chosen, target, pixels=pixels)
        if promised is not None:
            add_certificate(target, json.dumps(asdict(promised)))
        session.rows = RowCount(given=parity.rows, labeled=parity.rows)
        session.stop_reason = "the file answers as the network does"
        session.outcome = {"parity": asdict(parity), "sha256": file_digest(target), **settings}
    return replace(_outcome(session.run_id, chosen, target, parity), certificate=promised)


def _promised(store: Store, model: Model) -> Certificate | None:
    """Return the newest valid certificate that a model has as a student."""
    valid = [certificate for certificate in certificates.of_model(store, model.model_id) if certificate.valid]
    return valid[-1] if valid else None


def _outcome(run_id: str, model: Model, target: Path, parity: Parity) -> ExportOutcome:
    return ExportOutcome(
        run_id=run_id,
        model=model,
        path=str(target),
        bytes=target.stat().st_size,
        parity=parity,
        rows=RowCount(given=parity.rows, labeled=parity.rows),
        next_command=f"labelsvc predict {target} NEW.parquet out.parquet",
    )
