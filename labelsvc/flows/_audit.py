"""audit: rows of a label set are drawn for a person to judge, on a page, by a plan that is declared before.

What one audit did not prove, no second one is drawn for: that would be asking until it passes. What its verdicts do
prove may be taken without judging anything again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from labelsvc.config import AuditConfig, digest
from labelsvc.errors import InputError, PromiseError, UsageError
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.labeling.audits import AuditState, Conclusion, allowances, draw, plan_audit
from labelsvc.records import SILENCE, Audit, Certificate, LabelSet, Listener, RowCount, Shown
from labelsvc.report.audit_page import PageFacts, PageRow, page
from labelsvc.report.audit_words import asked_again, for_good, not_proven, passes, proven, why_so_many
from labelsvc.store import audits, certificates, label_sets, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.identifiers import new_id
from labelsvc.store.runs import NewRun
from labelsvc.workspace import Workspace, find, written_beside

PAGE = "audit.html"
NEXT = "labelsvc labels export labels.parquet"


@dataclass(frozen=True)
class AuditOutcome:
    """An audit at one of its stages: the page that was written, or what the verdicts prove.

    ``promised`` is the precision that is proven by now, ``said`` all of it in a sentence.
    """

    run_id: str
    audit: Audit
    label_set: LabelSet
    stage: int
    allowed: tuple[int, ...]  # with how many wrong rows each stage passes at most
    rows: RowCount
    said: str
    next_command: str
    page: str | None = None
    conclusion: Conclusion | None = None
    promised: float | None = None
    repeated: bool = False


def audit(
    workspace: str | Path, config: AuditConfig, output: str | Path = PAGE, *, listener: Listener = SILENCE
) -> AuditOutcome:
    """Draw the rows of a label set that must be judged to prove a precision, and write the page to judge them on.

    The same call again writes the same page. Where the verdicts of an earlier audit prove the precision already,
    nothing is drawn, and a certificate says so.

    Raises:
        InputError: no label set is current, or it has no labels.
        PromiseError: an earlier audit of the set did not prove its precision, or ``n`` rows cannot prove this one.
        UsageError: there is no such set, or it is too small for ``n`` or for so many stages.
    """
    place = find(Path(workspace))
    store = open_store(place)
    label_set = label_sets.get(store, config.label_set)
    if not label_set.rows:
        raise InputError(f"label set {label_set.label_set_id} has no labels to judge; write one with `labelsvc label`")
    labels = label_sets.accepted(store, label_set.label_set_id)
    calibrated = models.get(store, label_set.model_id).calibrated
    expected = float(labels.confidence.mean()) if calibrated else None
    rows, confidence = label_set.rows, config.confidence
    plan = plan_audit(config.precision, confidence, rows, n=config.n, stages=config.stages, expected=expected)
    earlier = history(store, label_set)
    known = next((one for one in earlier if (one.audit.seed, one.audit.plan) == (config.seed, plan)), None)
    settled = _settling(earlier, config)
    if known is None and settled is not None:
        return _promised(place, store, settled, config)
    refuse_unproven(earlier, known.audit if known else None)
    if config.n is None and config.stages == 1:
        listener.note(f"{plan.sizes[0]:,} rows: {why_so_many(plan, rows, expected)}")
    if known is not None:
        return replace(_shown(place, store, known, config, output), repeated=True)
    _note_unjudged(earlier, listener)
    settings, config_hash = asdict(config), digest(config, label_set.digest)
    with recorded(place, NewRun("audit", settings, config_hash, config.seed, versions())) as run:
        drawn = Audit(new_id(), run.run_id, label_set.label_set_id, config.seed, plan)
        generator = np.random.default_rng([config.seed, int(label_set.digest[:16], 16)])
        audits.add(store, drawn, draw(plan, labels.numbers, generator))
        outcome = _shown(place, store, AuditState(drawn, label_set, {}), config, output)
        run.rows, run.stop_reason = outcome.rows, "page written"
        run.outcome |= {"audit": drawn.audit_id, "label_set": label_set.label_set_id}
    return outcome


def extend_audit(
    workspace: str | Path, audit_id: str, output: str | Path = PAGE, *, show_labels: bool = True
) -> AuditOutcome:
    """Write the page of the next stage of an audit whose verdicts did not prove its precision yet.

    Raises:
        PromiseError: its plan has no further stage that could.
        UsageError: there is no such audit, a stage is not judged yet, or the precision is proven.
    """
    place = find(Path(workspace))
    store = open_store(place)
    state = state_of(store, audits.get(store, audit_id))
    drawn, conclusion = state.audit, state.conclusion
    if conclusion is None:
        raise UsageError(f"audit {drawn.audit_id} is not judged yet; give its verdicts first: `{_reading(drawn, 1)}`")
    if conclusion.proven:
        raise UsageError(f"audit {drawn.audit_id} has proven {drawn.plan.precision:g}; there is nothing to extend")
    if conclusion.final:
        raise PromiseError(for_good(state, conclusion))
    config = AuditConfig(drawn.plan.precision, show_labels=show_labels)
    return _shown(place, store, state, config, output)


def state_of(store: Store, drawn: Audit) -> AuditState:
    """Return an audit with its label set and its verdicts so far."""
    return AuditState(drawn, label_sets.get(store, drawn.label_set_id), audits.verdicts(store, drawn))


def history(store: Store, label_set: LabelSet) -> list[AuditState]:
    """Return the audits of a label set with their verdicts, oldest first."""
    return [state_of(store, drawn) for drawn in audits.of_label_set(store, label_set.label_set_id)]


def refuse_unproven(earlier: Sequence[AuditState], own: Audit | None) -> None:
    """Refuse to go on beside an audit that did not prove its precision; ``own`` may go on by its plan.

    Raises:
        PromiseError: there is one.
    """
    for state in earlier:
        conclusion = state.conclusion
        if conclusion is not None and not conclusion.proven and (state.audit != own or conclusion.final):
            raise PromiseError(asked_again(state, conclusion))


def concluded(run_id: str, state: AuditState, stage: int, rows: RowCount) -> AuditOutcome:
    """Return what is to be told of the verdicts up to the end of ``stage``."""
    conclusion, asked = state.after(stage), state.audit.plan.precision
    return AuditOutcome(
        run_id=run_id,
        audit=state.audit,
        label_set=state.label_set,
        stage=stage,
        allowed=allowances(state.audit.plan, state.label_set.rows),
        rows=rows,
        said=proven(state, conclusion, asked) if conclusion.proven else not_proven(state, conclusion),
        next_command=NEXT if conclusion.final else f"labelsvc audit --extend {state.audit.audit_id[-8:]}",
        conclusion=conclusion,
        promised=asked if conclusion.proven else None,
    )


def certificate(state: AuditState, precision: float) -> Certificate:
    """Return the certificate that the verdicts so far prove ``precision``, or that they do not."""
    conclusion, is_valid = state.conclusion, state.proves(precision)
    assert conclusion is not None
    return Certificate(
        certificate_id=new_id(),
        kind="audit",
        label_set_id=state.label_set.label_set_id,
        checked=conclusion.tally.checked,
        wrong=conclusion.tally.wrong,
        promised_precision=precision,
        confidence=state.audit.plan.confidence,
        look=conclusion.stage,
        rows_digest=state.label_set.digest,
        valid=is_valid,
        reason=None if is_valid else not_proven(state, conclusion),
    )


def _settling(earlier: Sequence[AuditState], config: AuditConfig) -> AuditState | None:
    """Return an audit whose verdicts prove what is asked, as surely as it is asked."""
    for state in earlier:
        if state.audit.plan.confidence >= config.confidence and state.proves(config.precision):
            return state
    return None


def _promised(place: Workspace, store: Store, state: AuditState, config: AuditConfig) -> AuditOutcome:
    """Certify a precision that an earlier audit's verdicts prove, once."""
    drawn, conclusion = state.audit, state.conclusion
    assert conclusion is not None
    config_hash = digest("promised", drawn.audit_id, conclusion.stage, config.precision)
    outcome = replace(
        concluded("", state, conclusion.stage, RowCount()),
        said=f"audit {drawn.audit_id} says so already; {proven(state, conclusion, config.precision)}",
        next_command=NEXT,
        promised=config.precision,
    )
    done = runs.find_done(store, "audit", config_hash)
    if done is not None:
        return replace(outcome, run_id=done.run_id, repeated=True)
    with recorded(place, NewRun("audit", asdict(config), config_hash, versions=versions())) as run:
        made = certificate(state, config.precision)
        certificates.add(store, [made])
        run.stop_reason = "proven by an earlier audit"
        run.outcome |= {"audit": drawn.audit_id, "certificate": made.certificate_id}
    return replace(outcome, run_id=run.run_id)


def _note_unjudged(earlier: Sequence[AuditState], listener: Listener) -> None:
    for state in earlier:
        if not state.judged:
            listener.note(
                f"audit {state.audit.audit_id} was drawn from these labels before and is not judged; judge one of the "
                "two: where the first whose verdicts are taken fails, the other is refused"
            )


def _shown(place: Workspace, store: Store, state: AuditState, config: AuditConfig, output: str | Path) -> AuditOutcome:
    """Write the page of the stage that is to be judged, or of the last one where nothing is."""
    drawn, label_set, conclusion = state.audit, state.label_set, state.conclusion
    is_over = conclusion is not None and conclusion.final
    stage = state.judged if is_over else state.judged + 1
    rows = audits.sheet(store, drawn, stage)
    facts = PageFacts(
        audit_id=drawn.audit_id,
        stage=stage,
        stages=len(drawn.plan.sizes),
        file=_file(drawn, stage),
        classes=samples.class_names(store),
        shows_labels=config.show_labels,
    )
    with written_beside(Path(output)) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(page(facts, _pictures(place, store, rows)))
    judging = f"audit {drawn.audit_id} of {label_set.rows:,} labels {passes(drawn.plan, label_set.rows)}"
    return AuditOutcome(
        run_id=drawn.run_id,
        audit=drawn,
        label_set=label_set,
        stage=stage,
        allowed=allowances(drawn.plan, label_set.rows),
        rows=RowCount(given=label_set.rows, labeled=len(rows), abstained=label_set.rows - len(rows)),
        said=proven(state, conclusion, drawn.plan.precision) if conclusion and is_over else judging,
        next_command=NEXT if is_over else _reading(drawn, stage),
        page=str(output),
        conclusion=conclusion,
        promised=drawn.plan.precision if is_over else None,
    )


def _pictures(place: Workspace, store: Store, rows: Sequence[Shown]) -> Iterator[PageRow]:
    """Yield rows with their pictures, one at a time."""
    from labelsvc.flows._inputs import open_inputs  # loads torch, which reading verdicts does without

    inputs = open_inputs(place, store, np.array(sorted(row.sample_no for row in rows), np.int64))
    for row in rows:
        yield PageRow(row, inputs.gather(np.array([row.sample_no], np.int64))[0])


def _file(drawn: Audit, stage: int) -> str:
    """Return the name under which a stage's page saves its verdicts."""
    suffix = f"-stage{stage}" if len(drawn.plan.sizes) > 1 else ""
    return f"audit-{drawn.audit_id[-8:]}{suffix}.json"


def _reading(drawn: Audit, stage: int) -> str:
    return f"labelsvc audit --verdicts {_file(drawn, stage)} --actor NAME"
