"""audit --verdicts: what a page saved becomes decisions, and a certificate of what it proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from labelsvc.config import digest
from labelsvc.data.verdict_files import read_verdicts
from labelsvc.errors import InputError, PromiseError
from labelsvc.flows._audit import AuditOutcome, certificate, concluded, history, refuse_unproven, state_of
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.labeling.audits import AuditState
from labelsvc.labeling.verdicts import Sheet, verdicts_of
from labelsvc.records import SILENCE, Audit, Listener, RowCount, Shown, Verdict
from labelsvc.report.audit_words import consistency, for_good
from labelsvc.store import audits, decisions, runs, samples
from labelsvc.store.audits import JudgedStage
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.workspace import Workspace, find

_DECISIONS = {"right": "confirm", "wrong": "relabel", "none": "reject", "unsure": "unsure"}


@dataclass(frozen=True)
class _Stage:
    """A stage of an audit, the rows that its page showed, and the verdicts on them, by whom."""

    number: int
    rows: Sequence[Shown]
    verdicts: tuple[Verdict, ...]
    actor: str


def take_verdicts(workspace: str | Path, path: str | Path, *, actor: str, listener: Listener = SILENCE) -> AuditOutcome:
    """Take the verdicts that an audit's page saved: decisions, and a certificate of what they prove.

    All are taken or none. The same verdicts again change nothing, and have the same outcome.

    Raises:
        InputError: the file cannot be read, is of no audit here, or is not one answer for each row that was shown.
        PromiseError: the precision is not proven, and no further stage of the plan could prove it; or another audit
            of the same labels has not proven its own.
    """
    place, file = find(Path(workspace)), Path(path)
    store = open_store(place)
    state, stage = _read(store, file, actor)
    if stage.number in state.verdicts:
        _refuse_other(file, stage, state.verdicts[stage.number])
        listener.note(f"{file}: these verdicts were taken before; nothing changed")
        outcome = _taken_before(store, state, stage)
    else:
        _refuse_order(file, stage, state)
        refuse_unproven(history(store, state.label_set), state.audit)
        outcome = _taken(place, store, state, stage)
    assert outcome.conclusion is not None
    listener.note(consistency(outcome.conclusion.tally))
    if outcome.conclusion.final and not outcome.conclusion.proven:
        after = replace(state, verdicts={**state.verdicts, stage.number: stage.verdicts})
        raise PromiseError(for_good(after, outcome.conclusion))
    return outcome


def _read(store: Store, file: Path, actor: str) -> tuple[AuditState, _Stage]:
    """Return the audit that a file of verdicts is of, and the stage with what is said of its rows."""
    said = read_verdicts(file)
    drawn = audits.find(store, said.audit_id)
    if drawn is None:
        raise InputError(f"{file} is of audit {said.audit_id!r}, which is not in this workspace; name its own")
    stages = len(drawn.plan.sizes)
    if said.stage > stages:
        raise InputError(f"{file} is of stage {said.stage}, and audit {drawn.audit_id} has only {stages}")
    rows = audits.sheet(store, drawn, said.stage)
    sheet = Sheet({row.sample_id: row for row in rows}, samples.class_names(store))
    try:
        verdicts = verdicts_of(said.answers, sheet)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    return state_of(store, drawn), _Stage(said.stage, rows, verdicts, actor)


def _taken(place: Workspace, store: Store, before: AuditState, stage: _Stage) -> AuditOutcome:
    """Write a stage's verdicts, decisions and certificate."""
    state = replace(before, verdicts={**before.verdicts, stage.number: stage.verdicts})
    conclusion, drawn = state.after(stage.number), state.audit
    made = certificate(state, drawn.plan.precision)
    judged = JudgedStage(drawn, stage.number, stage.verdicts, _decisions(store, stage), stage.actor)
    settings = {"audit": drawn.audit_id, "stage": stage.number, "actor": stage.actor}
    with recorded(place, NewRun("audit", settings, _hash(drawn, stage), versions=versions())) as run:
        counted = audits.record(store, judged, made)
        given = len(stage.verdicts)
        run.rows = replace(counted, given=given, abstained=given - counted.given)
        run.stop_reason = "proven" if conclusion.proven else "inconclusive"
        run.outcome |= asdict(conclusion) | {"audit": drawn.audit_id, "certificate": made.certificate_id}
    return concluded(run.run_id, state, stage.number, run.rows)


def _taken_before(store: Store, state: AuditState, stage: _Stage) -> AuditOutcome:
    """Return what came of a stage's verdicts when they were taken."""
    done = runs.find_done(store, "audit", _hash(state.audit, stage))
    given = len(stage.verdicts)
    run_id = done.run_id if done else state.audit.run_id
    return replace(concluded(run_id, state, stage.number, RowCount(given=given, skipped=given)), repeated=True)


def _refuse_other(file: Path, stage: _Stage, known: Sequence[Verdict]) -> None:
    """Refuse verdicts that differ from those that were taken; how long they took does not matter."""
    before = {(one.sample_no, one.occurrence): (one.verdict, one.class_code) for one in known}
    other = [one for one in stage.verdicts if before[one.sample_no, one.occurrence] != (one.verdict, one.class_code)]
    if other:
        count = "1 verdict is" if len(other) == 1 else f"{len(other):,} verdicts are"
        raise InputError(
            f"{file}: {count} not what was taken on stage {stage.number} before; a stage is judged once, so nothing "
            "was written. To correct a label, use `labelsvc labels decide`"
        )


def _refuse_order(file: Path, stage: _Stage, state: AuditState) -> None:
    """Refuse a stage that was not due: before the one before it, or after the proof."""
    conclusion = state.conclusion
    if conclusion is not None and conclusion.proven:
        raise InputError(f"{file} is of stage {stage.number}, and stage {state.judged} has proven what was asked")
    if stage.number != state.judged + 1:
        raise InputError(
            f"{file} is of stage {stage.number}, and stage {state.judged + 1} is not judged yet; give its verdicts "
            "first"
        )


def _decisions(store: Store, stage: _Stage) -> pa.Table:
    """Return the first verdicts on a stage's rows as decisions; what is wrong without a better class is rejected."""
    ids, classes = {row.sample_no: row.sample_id for row in stage.rows}, samples.class_names(store)
    rows = [
        {
            "sample_id": ids[one.sample_no],
            "decision": "reject" if one.verdict == "wrong" and one.class_code is None else _DECISIONS[one.verdict],
            "label": None if one.class_code is None else classes[one.class_code],
            "actor": stage.actor,
            "lead_time_s": one.seconds,
        }
        for one in stage.verdicts
        if one.occurrence == 1
    ]
    return pa.Table.from_pylist(rows, schema=decisions.SCHEMA)


def _hash(drawn: Audit, stage: _Stage) -> str:
    return digest("verdicts", drawn.audit_id, stage.number)
