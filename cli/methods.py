"""labelsvc methods: how a teacher can learn."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelsvc.errors import UsageError

from . import answer, options, tables

if TYPE_CHECKING:
    from collections.abc import Mapping


def methods(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Say all of one method.")] = None,
    *,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """List the methods, or say all of one.

    That is its paper, its equations, and where it deviates from them.
    """
    from labelsvc.methods import METHODS

    papers = {known: _paper(method) for known, method in METHODS.items()}
    shown = _chosen(papers, name)
    if as_json:
        found = [{"name": known, "summary": paper.splitlines()[0], "paper": paper} for known, paper in shown.items()]
        answer.say("methods", methods=found)
    elif name is not None:
        typer.echo(shown[name])
    else:
        tables.show(["method", "what it is"], [[known, paper.splitlines()[0]] for known, paper in shown.items()])


def _chosen(papers: Mapping[str, str], name: str | None) -> Mapping[str, str]:
    if name is None:
        return papers
    if name not in papers:
        raise UsageError(f"no method is called {name!r}; there are {', '.join(papers)}")
    return {name: papers[name]}


def _paper(method: type[Any]) -> str:
    return inspect.getdoc(sys.modules[method.__module__]) or ""
