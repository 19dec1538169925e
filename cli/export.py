"""labelsvc export: a model becomes an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelsvc.config import ExportConfig

from . import answer, closing, options, terminal


def export(  # noqa: PLR0913 - an option each
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The ONNX file to write.")],
    *,
    dtype: options.Dtype = ExportConfig.dtype,
    max_loss: options.MaxLoss = None,
    force: options.Force = False,
    triton: options.Triton = None,
    device: options.Device = ExportConfig.device,
    model: options.FromModel = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Write the student, else the teacher, as an ONNX file.

    Its model card is written beside it. With --dtype fp16 or int8 it is refused where it loses more accuracy than 0.1
    or 0.5 points, or than --max-loss, and where it is no faster than fp32 on this machine, unless with --force.
    """
    from labelsvc import flows

    config = ExportConfig(dtype=dtype, force=force, max_loss=max_loss, triton=triton, device=device)
    with terminal.listening() as listener:
        outcome = flows.export(workspace, path, config, model=model, listener=listener)
    if as_json:
        answer.say("export", outcome)
    for line in closing.exported(outcome):
        terminal.note(line)
    closing.close(outcome, workspace, labeled="compared", abstained=None)
