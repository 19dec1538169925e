"""Decoded inputs of a workspace's samples: opened from the cache, decoded again where the cache is gone."""

from __future__ import annotations

from pathlib import Path

from labelsvc.data.cache import SourceFile, cache_folder, open_decoded, rebuild
from labelsvc.data.columns import Columns
from labelsvc.data.inputs import InputPart, Inputs
from labelsvc.records import Decoded, SampleNumbers
from labelsvc.store import datasets, samples
from labelsvc.store.database import Store
from labelsvc.store.datasets import DatasetVersion
from labelsvc.training.device import find_device, prepare
from labelsvc.training.rows import Rows, open_rows
from labelsvc.workspace import Workspace


def open_inputs(workspace: Workspace, store: Store, numbers: SampleNumbers) -> Inputs:
    """Return the decoded inputs of samples, ready to be gathered by number.

    Raises:
        InputError: the cache is gone and so is, or has changed, a source file.
    """
    versions = {version.dataset_no: version for version in datasets.datasets(store)}
    located = samples.locations(store, numbers)
    parts = [
        InputPart(found.numbers, found.positions, _decoded(workspace, versions[found.dataset_no])) for found in located
    ]
    return Inputs(parts, versions[located[0].dataset_no].shape if located else None)


def rows_to_ask(workspace: Workspace, store: Store, numbers: SampleNumbers, *, device: str) -> Rows:
    """Return the inputs of samples on a device, ready to be shown to one network after another.

    Raises:
        InputError: as ``open_inputs``.
        UsageError: there is no such device.
    """
    place = find_device(device)
    prepare(place)
    inputs = open_inputs(workspace, store, numbers)
    return open_rows(numbers, inputs, place, inputs.shape.bytes)


def _decoded(workspace: Workspace, version: DatasetVersion) -> Decoded:
    folder = cache_folder(workspace, version.digest)
    kept = open_decoded(folder)
    if kept is not None:
        return kept
    sources = [SourceFile(Path(file.uri), file.sha256, Columns(**file.columns)) for file in version.files]
    return rebuild(folder, sources, shape=version.shape, rows=version.rows)
