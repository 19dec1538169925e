"""labelsvc pack: a folder of pictures becomes a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import answer, closing, options, terminal


def pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of pictures; its folders are classes.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The Parquet file to write.")],
    *,
    labels: options.LabelsFile = None,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Turn a folder of pictures into a Parquet file.

    A picture's id is its path below DIR, its label the first folder on that path; or --labels tells the labels by
    path or file name.
    """
    from labelsvc import flows

    with terminal.listening() as listener:
        outcome = flows.pack(folder, target, labels=labels, listener=listener)
    if as_json:
        answer.say("pack", outcome)
    terminal.note(f"wrote {outcome.path}: {len(outcome.classes)} classes ({', '.join(outcome.classes)})")
    closing.close(outcome, None, abstained="unlabeled")
