"""doctor: what this installation can do here, and what stands in its way."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labelsvc.errors import LabelsvcError
from labelsvc.flows._session import open_store, versions
from labelsvc.store import datasets
from labelsvc.workspace import Workspace

LITTLE_DISK = 5 * 2**30  # bytes


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and how it is."""

    topic: str
    state: Literal["good", "note", "bad"]
    says: str


@dataclass(frozen=True)
class DoctorOutcome:
    """All findings; ``healthy`` when none is bad."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is bad."""
        return all(finding.state != "bad" for finding in self.findings)


def doctor(workspace: str | Path) -> DoctorOutcome:
    """Look at versions, devices, onnxruntime, the store and the disk."""
    place = Workspace(Path(workspace))
    return DoctorOutcome(
        (
            Finding("versions", "good", ", ".join(f"{part} {number}" for part, number in versions().items())),
            *_torch(),
            *_onnxruntime(),
            _store(place),
            _disk(place),
        )
    )


def _torch() -> Iterator[Finding]:
    import torch

    from labelsvc.optim.precision import find_dtype

    cpu = torch.device("cpu")
    kind = str(find_dtype(cpu)).removeprefix("torch.")
    yield Finding("cpu", "good", f"{torch.get_num_threads()} threads, {kind}")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        yield Finding("cuda", "good", f"torch sees {', '.join(names)}")
    else:
        yield Finding("cuda", "note", "torch sees no CUDA device; training runs on the CPU")


def _onnxruntime() -> Iterator[Finding]:
    from labelsvc.student.session import PROVIDERS, onnxruntime

    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    if len(installed) > 1:
        yield Finding(
            "onnxruntime",
            "bad",
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files; "
            "uninstall both, then install onnxruntime-gpu",
        )
    providers = onnxruntime().get_available_providers()
    words = "with" if PROVIDERS["cuda"] in providers else "without"
    yield Finding("onnxruntime", "good", f"{words} CUDA: {', '.join(providers)}; telemetry off")


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _store(workspace: Workspace) -> Finding:
    if not workspace.store_path.exists():
        return Finding("store", "note", f"none at {workspace.root} yet; `labelsvc ingest FILE...` makes it")
    try:
        known = datasets.datasets(open_store(workspace))
    except LabelsvcError as error:
        return Finding("store", "bad", str(error))
    size = workspace.store_path.stat().st_size
    return Finding("store", "good", f"{workspace.store_path}: {len(known)} datasets, {size / 1e6:.1f} MB")


def _disk(workspace: Workspace) -> Finding:
    folder = next(path for path in (workspace.root, *workspace.root.resolve().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    state: Literal["good", "note"] = "good" if free > LITTLE_DISK else "note"
    return Finding("disk", state, f"{free / 1e9:.1f} GB free at {folder}")
