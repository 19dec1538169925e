"""The README says what is so: its commands and its Python run, and no verb or option is missing or made up."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from flows.digits import Digits, load, one_thread

from labelsvc.cli.main import main, program
from labelsvc.errors import PromiseError

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
OWN_DATA, PYTHON, COMMANDS = "Your own data", "From Python", "Commands"
SHORTER = ((r"--budget \S+", "--steps 20"), (r"budget=\d+", "steps=20"))


def section(title: str) -> str:
    """Return the text below a heading, up to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {title!r}"
    return found[1]


def blocks(text: str, *languages: str) -> list[str]:
    """Return the fenced blocks of a text in one of the languages, with budgets made short."""
    found = re.findall(rf"^```(?:{'|'.join(languages)})\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for budget, steps in SHORTER:
        found = [re.sub(budget, steps, block) for block in found]
    return found


def commands(text: str) -> list[str]:
    """Return the lines of the console blocks that call the program."""
    lines = [line.removeprefix("$ ") for block in blocks(text, "console", "bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("labelsvc ")]


def verbs() -> dict[str, list[str]]:
    """Return the options of every command by its name, ``labels tag`` for one within another."""
    found: dict[str, list[str]] = {}
    for name, command in program().commands.items():
        within = getattr(command, "commands", None)
        parts = {f"{name} {part}": one for part, one in within.items()} if within else {name: command}
        found |= {path: [flag for option in one.params for flag in option.opts] for path, one in parts.items()}
    return found


def rows_of_verbs() -> dict[str, str]:
    """Return the table of commands: what is said of each verb, ``labels list, tag`` standing for two."""
    found: dict[str, str] = {}
    for names, said in re.findall(r"^\| `([^`]+)` \| (.*) \|$", section(COMMANDS), re.MULTILINE):
        name, *parts = [word for word in re.split(r"[ ,]+", names) if not word.isupper() and "." not in word]
        found |= {f"{name} {part}": said for part in parts} if parts else {name: said}
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Digits]:
    """Stand in a folder with the files that the README names, in nobody's settings."""
    digits = load(tmp_path)
    digits.write_pool(tmp_path / "new.parquet", range(600, 700))
    (tmp_path / "picture.png").write_bytes(digits.pictures[700])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LABELSVC_WORKSPACE", raising=False)
    with one_thread():
        yield digits


def test_every_command_is_in_the_readme() -> None:
    """The table of commands names every verb that there is, and no other."""
    assert set(rows_of_verbs()) == set(verbs())


def test_every_option_in_the_table_is_one() -> None:
    """A flag that the table names belongs to the verb in whose row it stands."""
    options = verbs()
    for name, said in rows_of_verbs().items():
        for flag in re.findall(r"--[a-z][a-z-]*", said):
            assert flag in options[name], f"{name} has no {flag}"


@pytest.mark.seconds
@pytest.mark.usefixtures("here")
def test_the_commands_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that calls the program runs, in the order of the README, on files with the names that it uses.

    But for the promise, which a hundred labels cannot make.
    """
    assert len(commands(section(OWN_DATA))) >= 6
    for line in commands(README):
        code = main(shlex.split(line)[1:])
        said = capsys.readouterr().err
        expected = PromiseError.exit_code if line.startswith("labelsvc label --precision") else 0
        assert code == expected, f"{line}: exit code {code}\n{said}"
    assert all(Path(name).stat().st_size for name in ("student.onnx", "out.parquet", "labels.parquet"))


@pytest.mark.seconds
def test_the_python_runs(here: Digits, capsys: pytest.CaptureFixture[str]) -> None:
    """The Python of the README runs as it stands: the flow, then its student on a picture."""
    examples = blocks(README, "python")
    assert examples
    assert all(block in examples for block in blocks(section(PYTHON), "python"))
    for number, example in enumerate(examples):
        path = here.folder / f"example_{number}.py"
        path.write_text(example, encoding="utf-8")
        runpy.run_path(str(path))
    assert "labeled=" in capsys.readouterr().out
    assert (here.folder / "student.onnx").exists()
