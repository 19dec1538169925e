"""labelsvc predict: new rows through an ONNX student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelsvc.config import PredictConfig
from labelsvc.errors import TooManyFailedError

from . import answer, closing, options, terminal


def predict(  # noqa: PLR0913 - an option each
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="An ONNX file that `labelsvc export` wrote.")],
    sources: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Parquet files, folders, patterns, pictures' folders, s3://...")
    ],
    target: Annotated[str, typer.Argument(metavar="OUT", help="The Parquet file to write.")],
    *,
    threshold: options.LabelThreshold = PredictConfig.threshold,
    top_k: options.TopK = PredictConfig.top_k,
    probabilities: options.Probabilities = PredictConfig.probabilities,
    device: options.Device = PredictConfig.device,
    image_column: options.ImageColumn = None,
    vector_column: options.VectorColumn = None,
    id_column: options.IdColumn = None,
    image_root: options.ImageRoot = None,
    shape: options.Shape = None,
    max_failed: options.MaxFailed = PredictConfig.max_failed,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Label new rows with an exported student.

    Writes the same rows in the same order, with label, confidence and error. Interrupted or killed, the same command
    goes on where it was.
    """
    from labelsvc import flows

    config = PredictConfig(
        threshold=threshold,
        top_k=top_k,
        probabilities=probabilities,
        device=device,
        image_column=image_column,
        vector_column=vector_column,
        id_column=id_column,
        image_root=image_root,
        shape=options.sides(shape, "--shape"),
        max_failed=max_failed,
    )
    with terminal.listening() as listener:
        outcome = flows.predict(student, sources, target, config, listener=listener)
    if as_json:
        answer.say("predict", outcome)
    terminal.note(f"{'wrote' if not outcome.repeated else 'nothing to do for'} {outcome.path}")
    closing.close(outcome, None)
    if outcome.rows.failed > outcome.allowed:
        raise TooManyFailedError(
            f"{outcome.rows.failed:,} of {outcome.rows.given:,} rows failed, and --max-failed allows "
            f"{outcome.allowed:,}; {outcome.path} is whole, and its column `error` says why of each"
        )
