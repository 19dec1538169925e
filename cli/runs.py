"""labelsvc runs: what was done here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import answer, options, tables, terminal

if TYPE_CHECKING:
    from labelsvc.store.runs import RunRecord


def runs(
    *,
    limit: options.Limit = 20,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """List the newest runs, newest first."""
    from labelsvc import flows

    found = flows.list_runs(workspace, limit=limit)
    if as_json:
        answer.say("runs", runs=found)
        return
    headers = ["run", "of", "command", "status", "started (UTC)", "took", "in", "labeled", "how it ended"]
    tables.show(headers, [_row(run) for run in found])


def _row(run: RunRecord) -> list[object]:
    parent = terminal.short(run.parent_id) if run.parent_id else None
    took = f"{(run.ended_at - run.started_at).total_seconds():,.1f} s" if run.ended_at else None
    started = run.started_at.isoformat(sep=" ", timespec="seconds")
    counts = [run.rows.given, run.rows.labeled]
    return [
        terminal.short(run.run_id),
        parent,
        run.command,
        run.status,
        started,
        took,
        *counts,
        run.error or run.stop_reason,
    ]
