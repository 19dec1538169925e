"""The program says what it can do, quickly, and what was wrong with a call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from digits import labelsvc

from labelsvc import __version__
from labelsvc.cli.main import program

HEAVY = (
    "torch",
    "torchvision",
    "duckdb",
    "pyarrow",
    "numpy",
    "sklearn",
    "onnx",
    "onnxruntime",
    "rich",
    "pydantic",
    "PIL",
)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with the words that call it."""
    for name, command in program().commands.items():
        for inner, verb in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", verb
        if not hasattr(command, "commands"):
            yield name, command


NAMES = [name for name, _ in commands()]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_and_each_option(name: str) -> None:
    """--help ends well, and neither a command nor an option is without a word."""
    said = labelsvc(*name.split(), "--help")
    assert said.code == 0
    assert said.err == ""
    command = dict(commands())[name]
    assert command.help
    assert [option.name for option in command.params if not option.help] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_json_and_show_config(name: str) -> None:
    """--json and --show-config are everywhere."""
    flags = {flag for option in dict(commands())[name].params for flag in option.opts}
    assert {"--json", "--show-config"} <= flags


def test_first_lines_are_whole_in_the_overview() -> None:
    """No command's line is cut short in the overview."""
    lines = [*labelsvc("--help").out.splitlines(), *labelsvc("labels", "--help").out.splitlines()]
    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage:")] == []


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["labels", "export", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Neither torch nor duckdb, nor anything else that takes long to import, is loaded for --help."""
    loaded = f"sorted({{*{HEAVY!r}}} & {{*sys.modules}})"
    code = f"import sys; from labelsvc.cli.main import main; main({arguments!r}); print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version() -> None:
    """--version names the program and its version."""
    assert labelsvc("--version").out == f"labelsvc {__version__}\n"


def test_nothing_asked_shows_what_could_be() -> None:
    """Without a command the program shows its help."""
    assert "Commands:" in labelsvc().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "--stepz", "3"], "--steps"),
        (["train", "--steps", "many"], "--steps"),
        (["export"], "PATH"),
        (["labels"], "Missing command"),
        (["train", "--set", "x"], "--set NAME=VALUE"),
        (["train", "--budget", "soon"], "90s, 2m or 1.5h"),
        (["label", "--class-threshold", "cat=high"], "--class-threshold NAME=0.9"),
        (["query", "FROM labels", "--format", "xml"], "table, csv, json, parquet"),
        (["methods", "magic"], "softmatch"),
    ],
)
def test_a_wrong_call_gets_one_line_and_exit_code_2(arguments: list[str], expected: str) -> None:
    """A wrong call is told in one line that says what would be right."""
    said = labelsvc(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert expected.lower() in said.err.lower()


def test_options_come_from_one_place() -> None:
    """An option that several verbs share has one meaning: the same help everywhere."""
    told: dict[str, set[str]] = {}
    for _, command in commands():
        for option in command.params:
            if isinstance(option, typer.core.TyperOption):
                told.setdefault(option.opts[0], set()).add(option.help or "")
    assert {flag: helps for flag, helps in told.items() if len(helps) > 1} == {}
