"""The examples in docstrings are run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"labelsvc": "labelsvc", "cli": "labelsvc.cli"}
EXAMPLES = [
    ".".join([PACKAGES[folder], *path.relative_to(ROOT / folder).with_suffix("").parts])
    for folder in PACKAGES
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_hold(module: str) -> None:
    """What a docstring shows is what its function gives."""
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0
