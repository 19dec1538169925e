"""labelsvc methods: how a teacher can learn."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard

import typer

from . import answer, options, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from labelsvc.classical.self_training import SelfTraining
    from labelsvc.labeling.consistency import Spreading
    from labelsvc.methods.contract import Method

    Way = Method | SelfTraining | Spreading

OF_TABLES = {  # the methods that are for tables and vectors alone, and what they need
    "self-training": "labels and a pool, of tables or vectors, and any of scikit-learn's classifiers (--network)",
    "spreading": "labels and a pool, of tables or vectors",
}
WIDTH = 100  # characters of a line
COUNTS = {1: "a", 2: "two", 3: "three", 4: "four"}


def methods(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Say all of one method.")] = None,
    *,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """List the methods, or say all of one.

    That is its paper, its equations, where it deviates from them, and each of its hyper-parameters.
    """
    shown = _chosen(name)
    if as_json:
        answer.say("methods", methods=[_facts(known, method) for known, method in shown.items()])
    elif name is None:
        typer.echo("\n\n".join("\n".join(_entry(known, method)) for known, method in shown.items()))
    else:
        ((known, method),) = shown.items()
        typer.echo("\n".join(_page(known, method)))


def _chosen(name: str | None) -> dict[str, Way]:
    from labelsvc.classical.self_training import SelfTraining
    from labelsvc.labeling.consistency import Spreading
    from labelsvc.methods import METHODS, full_name

    of_tables: dict[str, Way] = dict(zip(OF_TABLES, (SelfTraining(), Spreading()), strict=True))
    if name in of_tables:
        return {name: of_tables[name]}
    names = METHODS if name is None else [full_name(name)]
    return {known: METHODS[known]() for known in names} | (of_tables if name is None else {})


def _entry(name: str, method: Way) -> Iterator[str]:
    """Yield the lines of a method in the list."""
    yield ", ".join([name, *_aliases(name)])
    said = {"what": _paper(method).splitlines()[0], "paper": method.citation}
    for title, words in (said | {"needs": _needs(name, method), "use it": method.advice}).items():
        yield from _wrapped(f"  {title:<8}", words)


def _page(name: str, method: Way) -> Iterator[str]:
    """Yield the lines of a method's own page."""
    from labelsvc.methods import hyperparameters

    also = _aliases(name)
    yield f"{name} (also {', '.join(also)})" if also else name
    yield ""
    yield _paper(method)
    own = [
        [f"  {field}", about.symbol, _value(about.default), about.bounds, about.meaning]
        for field, about in hyperparameters.of(method)
    ]
    if own:
        yield "\nHyper-parameters, each by --set NAME=VALUE\n"
        yield from _table(["  name", "symbol", "default", "bounds", "meaning"], own)
    recipe = [[f"  {field}", _value(value)] for field, value in _recipe(method).items()]
    if recipe:
        yield "\nRecipe, by --set NAME=VALUE too\n"
        yield from tables.lines(["  name", "default"], recipe)
    yield ""
    yield from _wrapped("Needs: ", _needs(name, method))
    yield from _wrapped("Use it: ", method.advice)


def _facts(name: str, method: Way) -> dict[str, Any]:
    """Return all that is known of a method, for programs."""
    from labelsvc.methods import hyperparameters

    paper = _paper(method)
    return {
        "name": name,
        "aliases": _aliases(name),
        "summary": paper.splitlines()[0],
        "paper": paper,
        "citation": method.citation,
        "advice": method.advice,
        "needs": _needed(method),
        "hyperparameters": [
            {"name": field, **asdict(about), "bounds": about.bounds} for field, about in hyperparameters.of(method)
        ],
        "recipe": _recipe(method),
    }


def _needed(method: Way) -> dict[str, Any]:
    if not _is_of_networks(method):
        return {"pool": True, "teacher": False, "views": [], "held_out": 0.0}
    return {
        "pool": method.needs_pool,
        "teacher": method.needs_teacher,
        "views": list(method.pool_views),
        "held_out": method.held_out_share,
    }


def _recipe(method: Way) -> dict[str, Any]:
    """Return how a method's network is stepped; nothing of one that has none."""
    return asdict(method.recipe) if _is_of_networks(method) else {}


def _is_of_networks(method: Way) -> TypeGuard[Method]:
    from labelsvc.methods.contract import Method

    return isinstance(method, Method)


def _aliases(name: str) -> list[str]:
    from labelsvc.methods import ALIASES

    return [alias for alias, known in ALIASES.items() if known == name]


def _paper(method: Way) -> str:
    return inspect.getdoc(sys.modules[type(method).__module__]) or ""


def _needs(name: str, method: Way) -> str:
    """Say what a method cannot do without."""
    if not _is_of_networks(method):
        return OF_TABLES[name]
    if not method.needs_pool:
        return "labels only"
    counted = Counter(method.pool_views)
    views = " and ".join(f"{COUNTS.get(count, count)} {view}" for view, count in counted.items())
    kind = "view" if set(counted.values()) == {1} else "views"
    teacher = ", and a stored teacher (--teacher MODEL, else the newest, else one made first)"
    return f"labels and a pool, of which it sees {views} {kind}{teacher if method.needs_teacher else ''}"


def _value(value: object) -> str:
    """Return a default as it would be typed.

    >>> _value(True), _value(1000000), _value(0.5), _value("soft")
    ('true', '1000000', '0.5', 'soft')
    """
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table whose last column is wrapped."""
    narrow = tables.lines(headers[:-1], [row[:-1] for row in rows])
    width = max(map(len, narrow)) + len(tables.GAP)
    for line, words in zip(narrow, [headers[-1], *(row[-1] for row in rows)], strict=True):
        yield from _wrapped(line.ljust(width), words)


def _wrapped(first: str, words: str) -> list[str]:
    """Return ``words`` after ``first``, wrapped below their beginning.

    >>> _wrapped("what: ", "short")
    ['what: short']
    """
    return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)
