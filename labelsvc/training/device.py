"""The device to compute on, chosen aloud, and what the process must be told before it trains there."""

from __future__ import annotations

import ctypes
import sys

import torch

from labelsvc.errors import UsageError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # the names of glibc's mallopt
LARGEST_KEPT_BLOCK = 2**25  # bytes: the most that glibc accepts
KEPT_IN_ALL = 2**31 - 1  # bytes


def find_device(name: str) -> torch.device:
    """Return the device called ``name``: auto takes CUDA where it works, else the CPU.

    Raises:
        UsageError: the name is unknown, or CUDA was asked for and is not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"no device is called {name!r}; there are auto, cuda, cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device here; `labelsvc doctor` says what it sees")
    wants_cuda = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if wants_cuda else "cpu")


def describe(device: torch.device) -> str:
    """Return the device in words, as runs record it."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {torch.get_num_threads()} threads"


def prepare(device: torch.device) -> None:
    """Make the allocator keep the tensors' pages between steps.

    glibc gives large blocks back to the system at every step and fetches them again, page by page: a fifth of a
    small network's step on a CPU.
    """
    if device.type == "cpu" and sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BLOCK)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT_IN_ALL)
