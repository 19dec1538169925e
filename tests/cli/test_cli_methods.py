"""labelsvc methods: every method tells of itself, on a terminal and to programs."""

from __future__ import annotations

import unicodedata

import pytest
from digits import labelsvc

from labelsvc.classical.self_training import SelfTraining
from labelsvc.labeling.consistency import Spreading
from labelsvc.methods import ALIASES, METHODS, hyperparameters
from labelsvc.optim.recipe import Recipe

WAYS = {**METHODS, "self-training": SelfTraining, "spreading": Spreading}  # of networks, and those for tables
EVERY = pytest.mark.parametrize("name", WAYS)
BOUNDS = {
    ("softmatch", "lambda_max"): "0 to 10",
    ("pseudo-label", "form"): "lee or alternating",
    ("distillation", "target"): "hard or soft or smoothed or temperature",
    ("distillation", "temperature"): "0.01 to 100",
    ("reduced-mpl", "holdout"): "0 to 0.9",
    ("reduced-mpl", "width"): "1 to 4096",
}


def words(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


def width(line: str) -> int:
    """Return how many columns a line takes: a mark above a letter takes none."""
    return sum(not unicodedata.combining(character) for character in line)


def test_the_list_has_every_method() -> None:
    """Each method of the table is there with what it is, its paper, what it needs and when to use it."""
    said = labelsvc("methods")
    assert said.code == 0
    blocks = said.out.split("\n\n")
    assert [block.splitlines()[0].split(",")[0] for block in blocks] == list(WAYS)
    for block, method in zip(blocks, WAYS.values(), strict=True):
        told = words(block)
        assert words(method.citation) in told
        assert words(method.advice) in told
        assert all(f"  {title}" in block for title in ("what", "paper", "needs", "use it"))


def test_what_each_needs_is_told() -> None:
    """Labels only, a pool and in which views, or a stored teacher too."""
    needs = {
        block.splitlines()[0]: words(block.split("  needs")[1].split("  use it")[0])
        for block in labelsvc("methods").out.split("\n\n")
    }
    assert needs["supervised"] == "labels only"
    assert needs["softmatch"] == "labels and a pool, of which it sees a weak and a strong view"
    assert needs["pi-model"] == "labels and a pool, of which it sees two weak views"
    taught = "labels and a pool, of which it sees a strong view, and a stored teacher (--teacher MODEL, "
    assert all(needs[name].startswith(taught) for name in ("distillation", "reduced-mpl"))


@EVERY
def test_a_page_has_everything(name: str) -> None:
    """The page of a method has its paper, and each hyper-parameter with default, bounds and meaning, and its recipe."""
    said = labelsvc("methods", name)
    assert said.code == 0
    told = words(said.out)
    for field, about in hyperparameters.of(WAYS[name]):
        (line,) = [line for line in said.out.splitlines() if line.startswith(f"  {field} ")]
        assert about.bounds in line
        assert about.symbol in line
        assert words(about.meaning) in told
    for field in Recipe.__dataclass_fields__ if name in METHODS else ():
        assert any(line.startswith(f"  {field} ") for line in said.out.splitlines())
    assert words(WAYS[name].advice) in told


@pytest.mark.parametrize(("name", "field"), BOUNDS)
def test_bounds_are_told(name: str, field: str) -> None:
    """Bounds read as a person would say them."""
    (line,) = [line for line in labelsvc("methods", name).out.splitlines() if line.startswith(f"  {field} ")]
    assert f"  {BOUNDS[name, field]}  " in line


@pytest.mark.parametrize("name", [None, *WAYS])
def test_it_fits_a_terminal(name: str | None) -> None:
    """The list is no wider than 100 characters, a page no wider than its paper's equations."""
    said = labelsvc("methods", *([name] if name else []))
    assert max(map(width, said.out.splitlines())) <= (120 if name else 100)
    assert all(line == line.rstrip() for line in said.out.splitlines())


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_the_method(alias: str) -> None:
    """By its other name a method has the same page, which says both names."""
    assert labelsvc("methods", alias).out == labelsvc("methods", ALIASES[alias]).out
    assert labelsvc("methods", alias).out.splitlines()[0] == f"{ALIASES[alias]} (also {alias})"


def test_programs_are_told_the_same() -> None:
    """--json has everything, of all methods or of one."""
    everything = labelsvc("methods", "--json").json["methods"]
    assert [one["name"] for one in everything] == list(WAYS)
    for one, method in zip(everything, METHODS.values(), strict=False):
        assert (one["citation"], one["advice"]) == (method.citation, method.advice)
        assert one["summary"] == one["paper"].splitlines()[0]
        assert one["needs"]["teacher"] == method.needs_teacher
        told = {about["name"]: about for about in one["hyperparameters"]}
        assert {name: about["bounds"] for name, about in told.items()} == {
            name: about.bounds for name, about in hyperparameters.of(method)
        }
        assert one["recipe"].keys() == Recipe.__dataclass_fields__.keys()
    assert labelsvc("methods", "mpl", "--json").json["methods"] == [
        one for one in everything if one["name"] == "meta-pseudo-labels"
    ]
