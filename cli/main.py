"""The program ``labelsvc``: its verbs, and how errors become one line and an exit code.

Loads no flow: each verb does so when it is called.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from labelsvc import __version__
from labelsvc.errors import LabelsvcError

from . import (
    audit,
    certify,
    compare,
    distill,
    doctor,
    evaluate,
    export,
    ingest,
    issues,
    label,
    labels,
    methods,
    pack,
    plan,
    predict,
    query,
    quickstart,
    run,
    runs,
    serve,
    settings,
    suggest,
    terminal,
    trace,
    train,
)

INTERRUPTED = 130
ENDING = b"\ninterrupted; ending in order (Ctrl-C again quits at once)\n"
BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended

VERBS = (
    quickstart.quickstart,
    run.run,
    pack.pack,
    ingest.ingest,
    plan.plan,
    train.train,
    label.label,
    distill.distill,
    audit.audit,
    certify.certify,
    export.export,
    compare.compare,
    evaluate.evaluate,
    issues.issues,
    suggest.suggest,
    predict.predict,
    serve.serve,
    query.query,
    trace.trace,
    runs.runs,
    methods.methods,
    doctor.doctor,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with the arguments after its name, and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _interruptible():
            code = _invoke(given)
            sys.stdout.flush()
    except LabelsvcError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(_usage(error), error.exit_code)
    except KeyboardInterrupt:
        again = terminal.as_typed(shlex.join(["labelsvc", *given]))
        terminal.note(f"interrupted: nothing that was done is lost, the same command goes on from here: {again}")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to say to it
        return BROKEN_PIPE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", 1)
    return code


def program() -> Any:  # noqa: ANN401 - typer's Command is private
    """Build the command with all its verbs."""
    app = typer.Typer(name="labelsvc", cls=settings.Verbs, add_completion=False, rich_markup_mode=None)
    app.callback()(_labelsvc)
    for verb in VERBS:
        app.command(cls=settings.Verb)(verb)
    app.add_typer(labels.app(), name="labels")
    return typer.main.get_command(app)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let the first Ctrl-C end the work in order, and a second one end the process at once."""

    def quit_at_once(_signal: int, _frame: object) -> None:
        os._exit(INTERRUPTED)

    def end_in_order(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, quit_at_once)
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, ENDING)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGINT, end_in_order)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"labelsvc {__version__}")
        raise typer.Exit


def _labelsvc(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say the version.")
    ] = False,
) -> None:
    """Pseudo-labels for your dataset: a few labels and many rows in, labels that can be traced and a model out."""


def _invoke(arguments: list[str]) -> int:
    command = program()
    try:
        with command.make_context("labelsvc", arguments or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as exit_:
        return exit_.exit_code
    return 0


def _fail(message: str, code: int) -> int:
    terminal.note(f"error: {message}")
    return code


def _usage(error: typer.TyperException) -> str:
    """Return what typer found wrong with the call, in one line."""
    context = getattr(error, "ctx", None)
    where = f"; see {context.command_path} --help" if context is not None else ""
    return " ".join(error.format_message().split()).rstrip(".") + where
