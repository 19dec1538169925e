"""labelsvc quickstart: real digits through the whole flow."""

from __future__ import annotations

from pathlib import Path

import typer

from . import answer, closing, options, terminal


def quickstart(
    *,
    folder: options.Folder = Path("labelsvc-quickstart"),
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Take real digits, 100 of them labeled, through the whole flow.

    Writes 1,797 handwritten digits as Parquet, and takes about a minute.
    """
    from labelsvc import flows

    with terminal.listening() as listener:
        outcome = flows.quickstart(folder, listener=listener)
    if as_json:
        answer.say("quickstart", outcome)
    else:
        typer.echo("\n".join(map(terminal.as_typed, outcome.summary)))
    closing.close(outcome, folder / "workspace")
