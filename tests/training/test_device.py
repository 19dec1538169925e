"""The device to compute on."""

from __future__ import annotations

import pytest
import torch

from labelsvc.errors import UsageError
from labelsvc.training.device import describe, find_device, prepare


def test_the_cpu_is_always_there() -> None:
    """The CPU is found by name, described with its threads, and can be prepared again and again."""
    device = find_device("cpu")
    assert describe(device) == f"cpu: {torch.get_num_threads()} threads"
    prepare(device)
    prepare(device)


def test_auto_takes_cuda_where_it_works() -> None:
    """Auto is CUDA where torch sees it, else the CPU."""
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_missing_cuda_is_refused() -> None:
    """CUDA that was asked for and is not there is never replaced in silence."""
    with pytest.raises(UsageError, match="--device cuda: torch sees no CUDA device"):
        find_device("cuda")


def test_unknown_devices_are_refused() -> None:
    """A name that is none is a wrong call, and the message names those that are."""
    with pytest.raises(UsageError, match="auto, cuda, cpu"):
        find_device("tpu")
