"""How a command ends, on stderr: what came of it, and one line with its rows, its run and the next command.

The rows always add up: a count that does not is refused, never printed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .settings import DEFAULT_WORKSPACE, WORKSPACE_VARIABLE
from .terminal import as_typed, note, short

if TYPE_CHECKING:
    from labelsvc.flows._certify import CertifyOutcome
    from labelsvc.flows._export import ExportOutcome
    from labelsvc.flows._label import LabelOutcome
    from labelsvc.records import Certificate, LabelSet, Model, RowCount

NOWHERE = ("predict",)  # verbs without a workspace


class Outcome(Protocol):
    """What all outcomes say; some have a ``run_id``, a ``next_command`` and whether they are ``repeated``, too."""

    @property
    def rows(self) -> RowCount:
        """Count what became of the rows."""


def close(
    outcome: Outcome, workspace: Path | None, *, labeled: str = "labeled", abstained: str | None = "abstained"
) -> None:
    """Print the last line: what became of the rows, the run, and the next command worth typing.

    Args:
        outcome: what a flow returned.
        workspace: where it worked; None where that does not matter.
        labeled: what this verb calls the rows that it took.
        abstained: what it calls those that it left; None where it leaves none.
    """
    run_id = getattr(outcome, "run_id", None)
    run = f"run {short(run_id)}" if run_id else ""
    if getattr(outcome, "repeated", False):
        run = f"done already by {run}" if run else "done already"
    following = getattr(outcome, "next_command", "")
    if following and workspace is not None:
        following = in_workspace(following, workspace)
    parts = [accounting(outcome.rows, labeled, abstained), run, f"next: {as_typed(following)}" if following else ""]
    note("; ".join(part for part in parts if part))


def accounting(rows: RowCount, labeled: str = "labeled", abstained: str | None = "abstained") -> str:
    """Return the sum that accounts for every row; ``labeled`` and ``abstained`` as in ``close``.

    Raises:
        ValueError: the counts do not add up, or one is negative, which is a mistake of ours.
    """
    parts = [(rows.labeled, labeled), (rows.abstained, abstained or "abstained")]
    parts += [(rows.failed, "failed"), (rows.skipped, "skipped")]
    counts = [count for count, _ in parts]
    if min(counts) < 0 or sum(counts) != rows.given:
        raise ValueError(f"{rows} does not add up")
    always = {labeled, abstained, "failed"}
    said = [f"{count:,} {word}" for count, word in parts if count or word in always]
    return f"{rows.given:,} in = {' + '.join(said)}"


def in_workspace(command: str, workspace: Path) -> str:
    """Return a command that is worth typing, for the workspace that is in use."""
    usual = Path(os.environ.get(WORKSPACE_VARIABLE) or DEFAULT_WORKSPACE)
    if workspace == usual or command.split()[1] in NOWHERE:
        return command
    return f"{command} --workspace {shlex.quote(str(workspace))}"


def trained(model: Model, steps: int | None = None) -> str:
    """Say what was trained."""
    heat = f"temperature {model.temperature:.3f}" if model.calibrated else "uncalibrated"
    taken = f", {steps:,} steps" if steps is not None else ""
    return f"{model.role} {short(model.model_id)}: {model.method}, {model.network}{taken}, {heat}"


def labeled(label_set: LabelSet, rows: RowCount, model: Model) -> str:
    """Say what was labeled."""
    coverage = f"{rows.labeled / rows.given:.1%} of the pool" if rows.given else "the pool is empty"
    by = f"by {model.role} {short(model.model_id)} ({model.method})"
    return f"label set {short(label_set.label_set_id)}: {label_set.rows:,} labels, {coverage}, {by}"


def promised(outcome: LabelOutcome) -> list[str]:
    """Say what is promised of the labels, class by class where each was asked about, or why nothing is."""
    if outcome.refusal is not None:
        return [f"not certified: {outcome.refusal}"]
    return certificates(outcome.certificates)


def certificates(found: Sequence[Certificate]) -> list[str]:
    """Say what valid certificates promise."""
    return [_certificate(one) for one in found if one.valid]


def _certificate(found: Certificate) -> str:
    subject = "these labels" if found.class_name is None else f"labels {found.class_name}"
    if found.threshold is not None:
        subject = f"its labels of a confidence of {found.threshold:.4g} or more"
    said = (
        f"{found.kind} certificate {short(found.certificate_id)}: {subject} are right {found.promised_precision:.4g} "
        f"of the time, at {found.confidence:.4g} confidence ({found.checked:,} checked, {found.wrong:,} wrong)"
    )
    if found.kind != "calibration" or found.class_name is not None:
        return said
    return f"{said}; if the given labels resemble the pool and no class is without one, which an audit need not assume"


def certified(outcome: CertifyOutcome, student: Path) -> str:
    """Say what is proven of a student."""
    return f"{student}: {_certificate(outcome.certificate)}"


def exported(outcome: ExportOutcome) -> list[str]:
    """Say what was exported, what it cost in fewer bits, and what lies beside it."""
    model, parity, found = outcome.model, outcome.parity, outcome.format
    lines = [
        f"{outcome.path}: {outcome.bytes / 1e6:.2f} MB, {outcome.dtype}, ONNX opset {found.opset}, IR version "
        f"{found.ir_version}; {model.role} {short(model.model_id)}, whose probabilities the fp32 file meets to "
        f"{parity.largest_difference:.1e} on {parity.rows:,} rows"
        + (f"; {_certificate(outcome.certificate)}" if outcome.certificate else "")
    ]
    if outcome.agreement is not None:
        agreeing, rows = outcome.agreement
        lines.append(f"it names {agreeing:,} of {rows:,} rows of the pool as its teacher does ({agreeing / rows:.1%})")
    if outcome.loss is not None:
        lines.append(f"{outcome.dtype}: {outcome.loss}")
    if outcome.speeds:
        from labelsvc.student.gate import is_faster, told

        slower = "" if is_faster(outcome.speeds) else "slower here, written by --force: "
        lines.append(f"{outcome.dtype} on this machine's {outcome.device}: {slower}{told(outcome.speeds)}")
    beside = [name for name in (outcome.card, outcome.triton) if name is not None]
    if beside:
        lines.append(f"beside it: {', '.join(beside)}")
    return lines
