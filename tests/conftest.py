"""What the tests of all rooms share: shapes are checked while they run, and a missing device is said aloud."""

from __future__ import annotations

import os

import pytest
from jaxtyping import install_import_hook

SHAPES_CHECKED_IN = ["labelsvc.losses", "labelsvc.views", "labelsvc.methods", "labelsvc.training.rows"]

install_import_hook(SHAPES_CHECKED_IN, "shape_checker.checked")  # before any test imports what it checks
os.environ.pop("UV_RUN_RECURSION_DEPTH", None)  # the next command is told alike, whoever starts the tests
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks are slower on two threads than on one


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a GPU test, with the reason, where torch sees no CUDA device."""
    if item.get_closest_marker("gpu"):
        import torch  # slow, and most tests of other rooms do without it

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
