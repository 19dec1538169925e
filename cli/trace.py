"""labelsvc trace: a sample's history."""

from __future__ import annotations

from typing import Annotated

import typer

from . import answer, options


def trace(
    sample: Annotated[str, typer.Argument(metavar="ID", help="A sample's id.")],
    *,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Tell where a sample's label is from, in the order of time."""
    from labelsvc import flows
    from labelsvc.report.story import tell

    history = flows.trace(workspace, sample)
    sentences = tell(history)
    if as_json:
        answer.say("trace", history, story=sentences)
    else:
        typer.echo("\n".join(sentences))
