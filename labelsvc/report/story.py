"""A sample's history in sentences, in the order of time, as a person would tell it.

A pure function of what the store knows; knows nothing of how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from labelsvc.store.questions import Decision, SampleHistory, Verdict

_ROLES = {
    "train": "Its given label is learnt from.",
    "validation": "It is kept for validation: choices are made by it, nothing is learnt from it.",
    "calibration": "It is kept for calibration: it backs promises, and its label is never learnt from.",
    "test": "It is a test row, which only evaluate reads.",
    "pool": "It came without a label, into the pool.",
}
_SAID = {
    "confirm": "confirmed the label {label}",
    "relabel": "relabeled it {label}",
    "reject": "rejected its label without naming another",
    "unsure": "was unsure, which changes nothing",
}


def tell(history: SampleHistory) -> list[str]:
    """Return the sentences: where the sample lies, what was said of it and when, and what counts now."""
    events = [*_given(history), *_verdicts(history), *_decisions(history)]
    in_order = [sentence for _, sentence in sorted(events, key=lambda event: event[0])]
    return [f"{_where(history)} {_ROLES[history.role]}", *in_order, _now(history)]


def _where(history: SampleHistory) -> str:
    places = [f"row {source.row:,} (from 0) of {source.uri}" for source in history.sources]
    return f"Sample {history.sample_id} is {', and '.join(places) or 'in no file'}."


def _given(history: SampleHistory) -> Iterator[tuple[datetime, str]]:
    before: str | None = None
    for given in history.given:
        change = f", instead of {before}" if before not in (None, given.label) else ""
        said = f"dataset {given.dataset} gave it the label {given.label}{change}."
        yield given.created_at, f"{_on(given.created_at)} {said}"
        before = given.label


def _verdicts(history: SampleHistory) -> Iterator[tuple[datetime, str]]:
    for verdict in history.verdicts:
        said = _abstained(verdict) if verdict.label is None else _accepted(verdict, history)
        yield verdict.created_at, f"{_on(verdict.created_at)} {said}"


def _accepted(verdict: Verdict, history: SampleHistory) -> str:
    runner_up = ""
    if verdict.runner_up is not None and verdict.runner_up_probability is not None:
        runner_up = f" (runner-up {verdict.runner_up} at {_share(verdict.runner_up_probability)})"
    confidence = f" with confidence {_share(verdict.confidence)}" if verdict.confidence is not None else ""
    counts = " It is the current label." if verdict.current and history.source == "pseudo" else ""
    bar = f"not below the threshold {verdict.threshold:g}"
    said = f"{_model(verdict)} said {verdict.label}{confidence}{runner_up}, {bar}"
    return f"{said}; {_label_set(verdict)} took it as {verdict.label}.{counts}"


def _label_set(verdict: Verdict) -> str:
    """Return a label set with what is promised of its labels."""
    name = f"label set {_short(verdict.label_set_id)}"
    if verdict.promised_precision is None or verdict.certificate_confidence is None:
        return name
    if not verdict.certified:
        return f"{name}, which holds no promise,"
    promise = f"right {verdict.promised_precision:.4g} of the time at {verdict.certificate_confidence:.4g} confidence"
    return f"{name}, {promise} by its {verdict.certificate} certificate,"


def _abstained(verdict: Verdict) -> str:
    by = f"by the threshold {verdict.threshold:g}" if verdict.threshold <= 1 else "of those that have a promise"
    unlike = "" if verdict.least_familiarity is None else ", or found it like none of the labeled rows"
    return (
        f"{_model(verdict)} was sure of no class {by}{unlike}; "
        f"label set {_short(verdict.label_set_id)} left it without a label."
    )


def _model(verdict: Verdict) -> str:
    kind = " ".join(part for part in (verdict.method, verdict.model_role) if part) or "model"
    return f"the {kind} {_short(verdict.model_id)}"


def _decisions(history: SampleHistory) -> Iterator[tuple[datetime, str]]:
    for decision in history.decisions:
        yield decision.created_at, f"{_on(decision.created_at)} {_decided(decision)}."


def _decided(decision: Decision) -> str:
    said = _SAID[decision.decision].format(label=decision.label)
    shown = f", shown label set {_short(decision.label_set_id)}" if decision.label_set_id else ""
    return f"{decision.actor} {said}{shown}"


def _now(history: SampleHistory) -> str:
    if history.label is None:
        reason = ", as a person rejected it" if history.source == "decision" else ""
        return f"Now it has no label{reason}."
    whose = {"decision": "a person's decision", "given": "as given", "pseudo": "a pseudo-label", "none": ""}
    return f"Now its label is {history.label}: {whose[history.source]}."


def _on(moment: datetime) -> str:
    return f"On {moment:%Y-%m-%d %H:%M} UTC"


def _short(identifier: str) -> str:
    return f"…{identifier[-4:]}"


def _share(value: float) -> str:
    """Return a probability with three decimals, with more where three would say 0 or 1 of what is not.

    >>> _share(0.99321), _share(0.99996), _share(1.0), _share(0.00004)
    ('0.993', '0.99996', '1.000', '0.00004')
    """
    digits = next(digits for digits in range(3, 18) if digits == 17 or 0 < round(value, digits) < 1 or value in (0, 1))
    return f"{value:.{digits}f}"
