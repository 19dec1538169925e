"""labelsvc issues: given labels that look wrong, and copies where none should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from . import answer, closing, options, tables, terminal

if TYPE_CHECKING:
    from labelsvc.flows._issues import IssuesOutcome


def issues(
    *,
    output: options.Output = None,
    limit: options.Limit = 50,
    model: options.FromModel = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """List given labels that look wrong, the worst first.

    --output writes them all, as Parquet or CSV, for `labels decide`: fill in decision, label and actor, and take out
    the rows on which nobody decided.
    """
    from labelsvc import flows

    with terminal.listening() as listener:
        outcome = flows.issues(workspace, model=model, output=output, listener=listener)
    if as_json:
        answer.say("issues", outcome)
    else:
        _show(outcome, limit)
    if outcome.path:
        terminal.note(f"wrote {outcome.path}: fill in decision, label and actor, and take out what stays undecided")
    closing.close(outcome, workspace, labeled="suspicious", abstained="unsuspicious")


def _show(outcome: IssuesOutcome, limit: int) -> None:
    """Show the first so many of each kind, and say how many there are more."""
    if outcome.issues:
        rows: list[tables.Row] = [
            [one.sample_id, one.given, one.suggested, one.score, one.why] for one in outcome.issues
        ]
        _show_some(["id", "given", "suggested", "score", "why"], rows, limit, "suspicious labels")
    if outcome.twins:
        typer.echo("\nnearly the same in two roles, so that scores and promises are too good:")
        pairs: list[tables.Row] = [
            [one.sample_id, one.role, one.other_id, one.other_role, one.distance] for one in outcome.twins
        ]
        _show_some(["id", "role", "twin", "its role", "distance"], pairs, limit, "pairs")


def _show_some(head: list[str], rows: list[tables.Row], limit: int, what: str) -> None:
    tables.show(head, rows[:limit])
    if len(rows) > limit:
        terminal.note(f"{limit:,} of {len(rows):,} {what} are shown; --limit {len(rows)} shows all")
