"""labelsvc audit: people judge a sample of the labels, and what that proves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelsvc.config import AuditConfig
from labelsvc.errors import UsageError

from . import answer, closing, options, terminal

if TYPE_CHECKING:
    from labelsvc.flows._audit import AuditOutcome
    from labelsvc.records import Listener

PAGE = Path("audit.html")

Stages = Annotated[
    int, typer.Option("--stages", metavar="K", show_envvar=False, help="How often it may be extended, less one.")
]
ShowLabels = Annotated[
    bool, typer.Option("--show-labels/--hide-labels", show_envvar=False, help="Show the judge what is proposed.")
]
Verdicts = Annotated[
    Path | None, typer.Option("--verdicts", metavar="FILE", show_envvar=False, help="Take what a page saved.")
]
Extend = Annotated[
    str | None, typer.Option("--extend", metavar="AUDIT", show_envvar=False, help="Write the next stage's page.")
]


def audit(  # noqa: PLR0913 - an option each
    *,
    precision: options.Precision = None,
    confidence: options.Confidence = AuditConfig.confidence,
    n: options.N = None,
    label_set: options.OfLabelSet = None,
    output: options.Output = None,
    seed: options.Seed = AuditConfig.seed,
    stages: Stages = AuditConfig.stages,
    show_labels: ShowLabels = AuditConfig.show_labels,
    verdicts: Verdicts = None,
    actor: options.Actor = None,
    extend: Extend = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Prove how often labels are right, by judging a sample of them.

    --precision P draws the sample and writes a page to judge it on; --verdicts FILE takes what that page saved, as
    decisions and a certificate; --extend AUDIT goes on by a plan of several --stages, where one did not suffice.
    """
    from labelsvc import flows

    with terminal.listening() as listener:
        if verdicts is not None:
            outcome = _take(workspace, verdicts, actor, listener)
        elif extend is not None:
            outcome = flows.extend_audit(workspace, extend, output or PAGE, show_labels=show_labels)
        elif precision is not None:
            config = AuditConfig(precision, confidence, n, label_set or "current", seed, stages, show_labels)
            outcome = flows.audit(workspace, config, output or PAGE, listener=listener)
        else:
            raise UsageError("say what to prove with --precision P, or give the verdicts with --verdicts FILE")
    if as_json:
        answer.say("audit", outcome)
    terminal.note(outcome.said)
    if outcome.page is not None:
        stage = f", stage {outcome.stage} of {len(outcome.allowed)}" if len(outcome.allowed) > 1 else ""
        terminal.note(
            f"wrote {outcome.page} ({Path(outcome.page).stat().st_size / 1e6:.1f} MB{stage}): open it in a browser"
        )
    words = ("to judge", "not drawn") if outcome.page is not None else ("decided", "judged again")
    closing.close(outcome, workspace, labeled=words[0], abstained=words[1])


def _take(workspace: Path, file: Path, actor: str | None, listener: Listener) -> AuditOutcome:
    from labelsvc import flows

    if actor is None:
        raise UsageError("--verdicts needs --actor NAME: decisions say who took them")
    return flows.take_verdicts(workspace, file, actor=actor, listener=listener)
