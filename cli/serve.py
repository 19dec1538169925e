"""labelsvc serve: an ONNX student behind HTTP."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelsvc.config import ServeConfig

from . import answer, closing, options

if TYPE_CHECKING:
    from labelsvc.records import Progress

TOKEN_VARIABLE = "LABELSVC_TOKEN"  # noqa: S105 - where one is, not one


def serve(  # noqa: PLR0913 - an option each
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="An ONNX file that `labelsvc export` wrote.")],
    *,
    host: options.Host = ServeConfig.host,
    port: options.Port = ServeConfig.port,
    threshold: options.LabelThreshold = ServeConfig.threshold,
    device: options.Device = ServeConfig.device,
    token_file: options.TokenFile = ServeConfig.token_file,
    max_body_mb: options.MaxBodyMb = ServeConfig.max_body_mb,
    max_rows: options.MaxRows = ServeConfig.max_rows,
    max_pixels: options.MaxPixels = ServeConfig.max_pixels,
    batch_rows: options.BatchRows = ServeConfig.batch_rows,
    queue_rows: options.QueueRows = ServeConfig.queue_rows,
    max_wait: options.MaxWait = ServeConfig.max_wait,
    body_seconds: options.BodySeconds = ServeConfig.body_seconds,
    drain_seconds: options.DrainSeconds = ServeConfig.drain_seconds,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Serve an exported student over HTTP, with a page for people.

    The Open Inference Protocol v2, /v1/label, and the page at /. Logs a line of JSON for each request. SIGTERM and
    Ctrl-C finish what was taken.
    """
    from labelsvc import flows

    config = ServeConfig(
        host=host,
        port=port,
        threshold=threshold,
        device=device,
        token_file=token_file,
        max_body_mb=max_body_mb,
        max_rows=max_rows,
        max_pixels=max_pixels,
        batch_rows=batch_rows,
        queue_rows=queue_rows,
        max_wait=max_wait,
        body_seconds=body_seconds,
        drain_seconds=drain_seconds,
    )
    outcome = flows.serve(student, config, token=os.environ.get(TOKEN_VARIABLE) or None, listener=_Log())
    if as_json:
        answer.say("serve", outcome)
    closing.close(outcome, None)


class _Log:
    """Writes lines as they come, without a look at the terminal: there may be thousands a second."""

    def note(self, message: str) -> None:
        """Write a line; one that nobody reads any more stops no answer."""
        with suppress(BrokenPipeError):
            sys.stderr.write(message + "\n")

    def progress(self, progress: Progress) -> None:
        """Serving has no end to be near to."""
