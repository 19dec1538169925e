"""certify: fresh labeled rows say how often a student is right on rows that no model has seen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from labelsvc.config import CertifyConfig, digest
from labelsvc.data.columns import ColumnNames
from labelsvc.data.reading import file_digest
from labelsvc.errors import InputError, PromiseError
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.labeling import certify as sequence
from labelsvc.labeling.bounds import look_level, lower_bound
from labelsvc.records import SILENCE, Certificate, Listener, RowCount
from labelsvc.store import certificates, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.identifiers import new_id
from labelsvc.store.runs import NewRun, RunRecord
from labelsvc.student.card import add_certificate
from labelsvc.student.examine import Examined, examine
from labelsvc.student.infer import Student, load
from labelsvc.workspace import find

NO_PROMISE = "the promise cannot be made"


@dataclass(frozen=True)
class CertifyOutcome:
    """What fresh rows prove of a student from a threshold on."""

    run_id: str
    certificate: Certificate
    threshold: float
    rows: RowCount
    next_command: str
    repeated: bool = False


def certify(
    workspace: str | Path,
    student: str | Path,
    fresh: str | Path,
    config: CertifyConfig,
    *,
    listener: Listener = SILENCE,
) -> CertifyOutcome:
    """Prove how often a student is right, on labeled rows that are in no model's pool.

    The lowest threshold is taken for which the precision is proven, or ``config.threshold`` alone is tested. The
    certificate is stored, and written into the student's file. The first question about a student spends nine tenths
    of δ, later ones what is left, whichever rows they bring.

    Raises:
        InputError: the student is another workspace's, or a row is one that a model has seen.
        PromiseError: the rows do not prove it; they are spent all the same.
    """
    place = find(Path(workspace))
    store = open_store(place)
    path, source = Path(student), Path(fresh)
    opened = load(path, device=config.device)
    model = _model_of(store, opened, path)
    config_hash = digest(config, model, file_digest(source))
    done = runs.find_done(store, "certify", config_hash)
    if done is not None:
        listener.note(f"run {done.run_id} was asked this of these very rows")
        return _repeated(store, done, model, path)
    wanted = ColumnNames(image=config.image_column, label=config.label_column, group=config.group_column)
    run = NewRun(
        "certify", {**asdict(config), "student": str(path), "fresh": str(source)}, config_hash, None, versions()
    )
    with recorded(place, run) as session:
        examined = examine(opened, source, wanted)
        _refuse_seen(store, examined, source)
        look = len(certificates.of_model(store, model)) + 1
        level = look_level(look, 1 - config.confidence)
        chosen = _tested(examined, config, level)
        refusal = _shortfall(chosen, config, look) if chosen.p_value > level else None
        certificate = _certificate(config, chosen, model, look=look, rows=file_digest(source), refusal=refusal)
        certificates.add(store, [certificate])
        rows = len(examined.confidence)
        session.rows = RowCount(given=rows, labeled=chosen.checked, abstained=rows - chosen.checked)
        session.outcome = {"look": look, "threshold": chosen.threshold, "refusal": refusal}
        session.stop_reason = NO_PROMISE if refusal else "certified"
    if refusal is not None:
        raise PromiseError(refusal)
    add_certificate(path, json.dumps({**asdict(certificate), "threshold": chosen.threshold}))
    return CertifyOutcome(session.run_id, certificate, chosen.threshold, session.rows, _next(path))


def _certificate(  # noqa: PLR0913 - a certificate rests on all of these
    config: CertifyConfig, test: sequence.Tested, model: str, *, look: int, rows: str, refusal: str | None
) -> Certificate:
    return Certificate(
        certificate_id=new_id(),
        kind="student",
        checked=test.checked,
        wrong=test.wrong,
        promised_precision=config.precision,
        confidence=config.confidence,
        look=look,
        rows_digest=rows,
        valid=refusal is None,
        reason=refusal,
        model_id=model,
    )


def _repeated(store: Store, done: RunRecord, model: str, student: Path) -> CertifyOutcome:
    """Return what the same rows proved before; the student's file says so again, should it not."""
    if done.outcome["refusal"]:
        raise PromiseError(done.outcome["refusal"])
    (found,) = (one for one in certificates.of_model(store, model) if one.look == done.outcome["look"])
    threshold = done.outcome["threshold"]
    add_certificate(student, json.dumps({**asdict(found), "threshold": threshold}))
    return CertifyOutcome(done.run_id, found, threshold, done.rows, _next(student), repeated=True)


def _next(student: Path) -> str:
    return f"labelsvc predict {student} NEW.parquet out.parquet"


def _model_of(store: Store, student: Student, path: Path) -> str:
    model_id = student.origin.get("labelsvc.model")
    if model_id is None or model_id not in models.known(store):
        raise InputError(f"{path} was not exported from this workspace; name the right one with --workspace")
    return model_id


def _refuse_seen(store: Store, examined: Examined, source: Path) -> None:
    """Refuse rows that are in the workspace, but for test rows: a model may have learnt from them.

    Raises:
        InputError: one is.
    """
    seen = samples.seen_contents(store, examined.hashes)
    if seen:
        rows = [place for place, content in enumerate(examined.hashes) if content in seen]
        raise InputError(
            f"{source}: {len(rows):,} rows are in this workspace, the first is row {rows[0]:,} (from 0); models have seen "
            "them, so they prove nothing. Bring rows that were never ingested but as --test"
        )


def _tested(examined: Examined, config: CertifyConfig, level: float) -> sequence.Tested:
    """Return the test of the lowest threshold that is proven, else the one that failed, or that is too small."""
    units = sequence.units(examined.confidence, examined.wrong, examined.groups)
    candidates = sequence.thresholds(units.accepted)
    if config.threshold is not None:
        candidates = np.array([config.threshold])
    ordered = sequence.descending(candidates, None, units.accepted, precision=config.precision, level=level)
    found = sequence.fixed_sequence(ordered, None, units, precision=config.precision, level=level)
    if found.chosen is not None:
        return found.chosen
    lowest = float(candidates[-1])
    checked, wrong = units.count(lowest)
    return found.tests[-1] if found.tests else sequence.Tested(lowest, checked, wrong, checked, 1.0)


def _shortfall(test: sequence.Tested, config: CertifyConfig, look: int) -> str:
    delta = 1 - config.confidence
    bound = lower_bound(test.checked, test.wrong, look_level(look, delta))
    share = test.wrong / max(test.checked, 1)
    needed = sequence.checks_needed(share, config.precision, look_level(look + 1, delta))
    more = (
        "a better student" if needed is None else f"about {int(np.ceil(needed)):,} accepted rows that are fresh again"
    )
    return (
        f"of the fresh rows {test.checked:,} are accepted at a confidence of {test.threshold:.4g} or more and "
        f"{test.wrong:,} of these are wrong; that promises {bound:.3f} at {config.confidence:.0%} confidence, "
        f"not {config.precision:g}: it takes {more}"
    )
