"""labelsvc export: a model becomes an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import answer, closing, options, terminal


def export(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The ONNX file to write.")],
    *,
    model: options.FromModel = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Write the student, else the teacher, as an ONNX file."""
    from labelsvc import flows

    with terminal.listening() as listener:
        outcome = flows.export(workspace, path, model=model, listener=listener)
    if as_json:
        answer.say("export", outcome)
    terminal.note(closing.exported(outcome))
    closing.close(outcome, workspace, labeled="compared", abstained=None)
