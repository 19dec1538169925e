"""labelsvc doctor: what this installation can do."""

from __future__ import annotations

import typer

from . import answer, options, tables


def doctor(
    *,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Check versions, devices, onnxruntime, the store and the disk."""
    from labelsvc import flows

    outcome = flows.doctor(workspace)
    if as_json:
        answer.say("doctor", outcome, healthy=outcome.healthy)
    else:
        tables.show(["topic", "state", "finding"], [[one.topic, one.state, one.says] for one in outcome.findings])
    if not outcome.healthy:
        raise typer.Exit(1)
