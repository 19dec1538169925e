"""Who may know whom, and how large a piece may grow. Read from the source, so that a shortcut fails at once."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST_FILE, LONGEST_FUNCTION = 400, 60  # lines
ROOMS_THAT_TRAIN = ("labeling", "losses", "methods", "networks", "optim", "student", "training", "views")
FLOWS_THAT_TRAIN = (
    "_baseline",
    "_compare",
    "_distill",
    "_export",
    "_follow",
    "_label",
    "_plan",
    "_room",
    "_rounds",
    "_run",
    "_suggest",
    "_teach",
    "_train",
)
HELD_OUT = "labelsvc.store.held_out"

# A package, and where it may be imported.
HOMES: Mapping[str, tuple[str, ...]] = {
    "duckdb": ("labelsvc.store",),
    "onnxruntime": ("labelsvc.student",),
    "typer": ("cli",),
    "rich": ("cli",),
    HELD_OUT: ("labelsvc.flows._evaluate", "labelsvc.report"),
    "labelsvc.store.calibration": ("labelsvc.flows._label", "labelsvc.flows._promise"),
}


def module_name(path: Path) -> str:
    """Return a file's module as it is imported, seen from the repository's root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES: Mapping[str, Path] = {
    module_name(path): path for room in ("labelsvc", "cli") for path in sorted((ROOT / room).rglob("*.py"))
}


@cache
def parsed(module: str) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imports(module: str) -> set[str]:
    """Return the full names of all that a module imports, anywhere in it: modules, and names in them."""
    found = set()
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def lies_in(name: str, *packages: str) -> bool:
    """Say whether a full name is one of the packages or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def reached_from(module: str) -> set[str]:
    """Return the modules of ours that ``module`` names, and those that these name, and so on."""
    reached, open_ends = set(), [module]
    while open_ends:
        name = open_ends.pop()
        if name in FILES and name not in reached:
            reached.add(name)
            open_ends += imports(name)
    return reached


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method of a module."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's lines, its docstring's not counted."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    first = function.body[0]
    assert first.end_lineno is not None
    return lines - (first.end_lineno - first.lineno + 1)


@pytest.mark.parametrize("package", HOMES)
def test_a_package_stays_at_home(package: str) -> None:
    """Each of these is imported where it belongs, and nowhere else."""
    homes = HOMES[package]
    guests = [
        module
        for module in FILES
        if any(lies_in(name, package) for name in imports(module)) and not lies_in(module, *homes, package)
    ]
    assert guests == []


@pytest.mark.parametrize("room", ["methods", "losses", "optim", "networks", "views", "training"])
def test_networks_learn_without_scikit_learn(room: str) -> None:
    """Scikit-learn stays out of the rooms that train networks."""
    users = [
        module
        for module in FILES
        if lies_in(module, f"labelsvc.{room}") and any(lies_in(name, "sklearn") for name in imports(module))
    ]
    assert users == []


@pytest.mark.parametrize("room", ROOMS_THAT_TRAIN)
def test_no_room_that_trains_reaches_test_rows(room: str) -> None:
    """From a room that trains, chooses or labels, no chain of imports leads to the test rows."""
    modules = [module for module in FILES if lies_in(module, f"labelsvc.{room}")]
    assert modules
    assert [module for module in modules if HELD_OUT in reached_from(module)] == []


@pytest.mark.parametrize("flow", FLOWS_THAT_TRAIN)
def test_no_flow_that_trains_reaches_test_rows(flow: str) -> None:
    """From a flow that trains, chooses or labels, no chain of imports leads to the test rows."""
    assert HELD_OUT not in reached_from(f"labelsvc.flows.{flow}")
    assert HELD_OUT in reached_from("labelsvc.flows._evaluate"), "or the rule would hold for nothing"


@pytest.mark.parametrize("room", ["methods", "losses", "networks", "views", "optim"])
def test_rooms_of_tensors_know_no_store(room: str) -> None:
    """What is mathematics knows of no store, no file of the user's and no run."""
    for module in FILES:
        if lies_in(module, f"labelsvc.{room}"):
            assert not [name for name in reached_from(module) if lies_in(name, "labelsvc.store", "labelsvc.data")]


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("labelsvc.student.predict, labelsvc.student.infer", {"torch", "duckdb", "sklearn", "typer"}),
        ("labelsvc.store.samples, labelsvc.data.inputs", {"torch", "onnxruntime", "sklearn", "typer"}),
        ("labelsvc.training.loop, labelsvc.methods", {"duckdb", "onnxruntime", "sklearn", "typer"}),
    ],
)
def test_heavy_packages_are_loaded_by_those_who_need_them(modules: str, absent: set[str]) -> None:
    """Importing a room loads no package that its work does without."""
    code = f"import {modules}, sys; print(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def test_what_is_imported_is_declared() -> None:
    """Each package that the library imports is one of its own dependencies, not of a dependency's."""
    names = {name.partition(".")[0] for module in FILES for name in imports(module)}
    wanted = names - {"", "labelsvc", "cli", "rich", *sys.stdlib_module_names}  # rich is typer's face
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    declared = tuple(text.lower() for text in chain(project["dependencies"], *extras))
    providers = packages_distributions()
    borrowed = [
        name
        for name in sorted(wanted)
        if not any(text.startswith(_normal(provider)) for provider in providers[name] for text in declared)
    ]
    assert borrowed == []


@pytest.mark.parametrize("module", FILES)
def test_every_module_says_what_it_is(module: str) -> None:
    """Each module opens with a docstring and stays within its length."""
    assert ast.get_docstring(parsed(module))
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_no_function_is_long() -> None:
    """No function has more than sixty lines beside its docstring."""
    long = [
        f"{module}.{function.name}: {length(function)} lines"
        for module in FILES
        for function in functions(module)
        if length(function) > LONGEST_FUNCTION
    ]
    assert long == []
