"""labelsvc certify: fresh labeled rows prove how often a student is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelsvc.config import CertifyConfig
from labelsvc.errors import UsageError

from . import answer, closing, options, terminal


def certify(  # noqa: PLR0913 - an option each
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="An ONNX file that `labelsvc export` wrote.")],
    fresh: Annotated[Path, typer.Argument(metavar="FRESH", help="Parquet of labeled rows that no model has seen.")],
    *,
    precision: options.Precision = None,
    confidence: options.Confidence = CertifyConfig.confidence,
    threshold: options.LabelThreshold = None,
    device: options.Device = CertifyConfig.device,
    image_column: options.ImageColumn = None,
    vector_column: options.VectorColumn = None,
    label_column: options.LabelColumn = None,
    group_column: options.GroupColumn = None,
    image_root: options.ImageRoot = None,
    shape: options.Shape = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Prove on fresh labeled rows how often a student is right.

    The certificate is stored, and written into the student's file. The lowest threshold is found for which
    --precision is proven; where none is, the exit code is 4. The rows must never have been ingested but as --test,
    and each question spends some of what can be proven of this student. Rows of one group, or of the same content,
    count once.
    """
    from labelsvc import flows

    if precision is None:
        raise UsageError("certify needs --precision P: how often the student's labels must be right, such as 0.95")
    config = CertifyConfig(
        precision=precision,
        confidence=confidence,
        threshold=threshold,
        device=device,
        image_column=image_column,
        vector_column=vector_column,
        label_column=label_column,
        group_column=group_column,
        image_root=image_root,
        shape=options.sides(shape, "--shape"),
    )
    with terminal.listening() as listener:
        outcome = flows.certify(workspace, student, fresh, config, listener=listener)
    if as_json:
        answer.say("certify", outcome)
    terminal.note(closing.certified(outcome, student))
    closing.close(outcome, workspace, labeled="accepted")
