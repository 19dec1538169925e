"""Where an option's value comes from: flag, then environment, then the workspace's ``labelsvc.toml``, then default.

An option ``--steps`` of ``labelsvc train`` is ``LABELSVC_TRAIN_STEPS`` in the environment and ``steps`` below
``[train]`` in the file; verbs of ``labels`` have tables such as ``[labels.tag]``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from labelsvc.config import read_file
from labelsvc.errors import InputError

from . import answer, tables

WORKSPACE_VARIABLE = "LABELSVC_WORKSPACE"
DEFAULT_WORKSPACE = Path("workspace")
FILE = "labelsvc.toml"
SHOW_CONFIG = "--show-config"
_PLUMBING = ("help", "workspace", "show-config", "json", "trust-import")  # options that are said by flags alone
_EXCLUSIVE = ("steps", "budget")  # the one from the stronger source wins
_STRENGTH = ("DEFAULT", "DEFAULT_MAP", "ENVIRONMENT", "COMMANDLINE")


class Verbs(TyperGroup):
    """A group of commands whose --help does not wait for pydantic, which typer loads to read a None."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own types are private
        """Return --help, which is off unless it is given."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


class Verb(TyperCommand):
    """A command that reads its options from the environment too, and that answers to ``--show-config``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's Context is private
        """Parse, after the environment's names are known; a bad value is told with where it came from."""
        for name, option in _options(self):
            option.envvar = option.envvar or _variable(ctx, name)
        if SHOW_CONFIG in args:
            for parameter in self.params:
                parameter.required = False
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if error.param is not None and _strength(ctx, error.param.name) in (1, 2):
                error.message += f" (from {_origin(ctx, error.param)})"
            raise
        _let_the_stronger_win(ctx)
        return rest

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer has it
        """Do the work, or only say under which settings it would be done."""
        return _show(self, ctx) if ctx.params.get("show_config") else super().invoke(ctx)


def read(ctx: typer.Context, value: Path) -> Path:
    """Take the defaults of a workspace's ``labelsvc.toml``; the callback of ``--workspace``.

    Raises:
        InputError: the file is no TOML, or names an unknown verb or option.
    """
    file = value / FILE
    root = ctx.find_root().command
    assert isinstance(root, TyperGroup)
    defaults: Any = _checked(read_file(file), root, file, "")
    for name in ctx.command_path.split()[1:]:
        defaults = defaults.get(name, {})
    ctx.default_map = defaults
    return value


def _checked(found: Mapping[str, Any], group: TyperGroup, file: Path, within: str) -> dict[str, Any]:
    """Return the default values of each verb of ``group`` by parameter name."""
    verbs = {name: command for name, command in group.commands.items() if _has_workspace(command)}
    defaults: dict[str, Any] = {}
    for name, table in found.items():
        if name not in verbs or not isinstance(table, dict):
            known = f"tables are {', '.join(f'[{within}{verb}]' for verb in verbs)}"
            raise InputError(f"{file}: [{within}{name}] is no verb with settings{_near(name, verbs)}; {known}")
        command = verbs[name]
        if isinstance(command, TyperGroup):
            defaults[name] = _checked(table, command, file, f"{name}.")
        else:
            defaults[name] = _values(table, command, f"{file}: [{within}{name}]")
    return defaults


def _has_workspace(command: Any) -> bool:  # noqa: ANN401 - typer's Command is private
    return isinstance(command, TyperGroup) or any(option.name == "workspace" for option in command.params)


def _values(table: Mapping[str, Any], command: Any, where: str) -> dict[str, Any]:  # noqa: ANN401 - see above
    options = dict(_options(command))
    values = {}
    for key, value in table.items():
        option = options.get(key.replace("_", "-"))
        if option is None:
            known = f"there are {', '.join(options)}" if options else "it has no settings"
            raise InputError(f"{where} has an unknown key {key!r}{_near(key, options)}; {known}")
        values[option.name] = _texts(value) if option.multiple else _text(value)
    return values


def _near(name: str, known: Mapping[str, object]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _texts(value: object) -> list[object]:
    """Return a repeatable option's values: of a list, of a table ``NAME = VALUE``, or the only one."""
    if isinstance(value, dict):
        return [f"{name}={str(part).lower() if isinstance(part, bool) else part}" for name, part in value.items()]
    return [_text(part) for part in value] if isinstance(value, list) else [_text(value)]


def _text(value: object) -> object:
    """Return a value as it would stand on the command line, so that one parser reads them all."""
    return value if isinstance(value, bool | list | dict) else str(value)


def _options(command: Any) -> Iterator[tuple[str, TyperOption]]:  # noqa: ANN401 - typer's Command is private
    """Yield a verb's settings by the names of their flags."""
    for option in command.params:
        name = max(option.opts, key=len).lstrip("-")
        if isinstance(option, TyperOption) and name not in _PLUMBING:
            yield name, option


def _variable(ctx: Any, name: str) -> str:  # noqa: ANN401 - typer's Context is private
    return "_".join([*ctx.command_path.split(), name]).replace("-", "_").upper()


def _strength(ctx: Any, name: str) -> int:  # noqa: ANN401 - typer's Context is private
    source = ctx.get_parameter_source(name)
    return _STRENGTH.index(source.name) if source is not None else 0


def _let_the_stronger_win(ctx: Any) -> None:  # noqa: ANN401 - typer's Context is private
    """Let ``--steps`` on the command line win over a budget in the file, and the other way round."""
    given = [name for name in _EXCLUSIVE if ctx.params.get(name) is not None]
    strongest = max((_strength(ctx, name) for name in given), default=0)
    for name in given:
        if _strength(ctx, name) < strongest:
            ctx.params[name] = None


def _show(verb: Verb, ctx: Any) -> None:  # noqa: ANN401 - typer's Context is private
    """Print each setting, its value, and where that came from."""
    rows = [(name, ctx.params[option.name], _origin(ctx, option)) for name, option in _options(verb)]
    if "workspace" in ctx.params:
        place = next(option for option in verb.params if option.name == "workspace")
        rows.insert(0, ("workspace", ctx.params["workspace"], _origin(ctx, place)))
    rows = [(name, list(value) if isinstance(value, tuple) else value, source) for name, value, source in rows]
    if ctx.params.get("as_json"):
        settings = [{"name": name, "value": value, "from": source} for name, value, source in rows]
        answer.say(" ".join(ctx.command_path.split()[1:]), settings=settings)
    else:
        tables.show(["setting", "value", "from"], rows)


def _origin(ctx: Any, option: Any) -> str:  # noqa: ANN401 - typer's own types are private
    """Say where an option's value came from."""
    origin = ("default", f"{ctx.params.get('workspace')}/{FILE}", str(option.envvar), "flag")[
        _strength(ctx, option.name)
    ]
    overruled = origin != "default" and ctx.params.get(option.name, origin) is None
    return f"overruled ({origin})" if overruled else origin
