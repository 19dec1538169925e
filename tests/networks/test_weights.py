"""Weights in files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from labelsvc import networks
from labelsvc.errors import InputError
from labelsvc.networks import PICTURE_NETWORKS, Classifier, weights
from labelsvc.records import PictureShape, Preprocessing


def make(name: str = "convnet", *, seed: int = 0) -> Classifier:
    """Return a network for colour pictures."""
    return networks.build(name, Preprocessing(PictureShape(8, 8, 3), (0.5,) * 3, (0.25,) * 3), 4, seed=seed)


@pytest.mark.parametrize("name", PICTURE_NETWORKS)
def test_weights_survive_the_file(name: str, tmp_path: Path) -> None:
    """What is loaded is what was saved, bit for bit, batch statistics and counters included."""
    saved, loaded = make(name, seed=1).train(), make(name, seed=2)
    saved(torch.rand(4, 3, 8, 8))
    sha256 = weights.save(saved, tmp_path / "teacher.safetensors")
    weights.load(loaded, tmp_path / "teacher.safetensors", sha256=sha256)
    kept = loaded.state_dict()
    assert all(torch.equal(tensor, kept[key]) for key, tensor in saved.state_dict().items())


def test_the_sha256_is_the_files(tmp_path: Path) -> None:
    """Saving returns the digest of the file's bytes, the same for the same weights, and leaves only the file."""
    first, second = (weights.save(make(), tmp_path / name) for name in ("a.safetensors", "b.safetensors"))
    assert first == second == hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """A file that is not the recorded one is refused, and the network stays as it was."""
    weights.save(make(seed=1), tmp_path / "w.safetensors")
    network = make(seed=2)
    with pytest.raises(InputError, match="not the ones that were recorded"):
        weights.load(network, tmp_path / "w.safetensors", sha256="0" * 64)
    untouched = make(seed=2).state_dict()
    assert all(torch.equal(tensor, untouched[key]) for key, tensor in network.state_dict().items())


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    """A file that is gone is said to be, with what to do."""
    with pytest.raises(InputError, match=r"gone\.safetensors are gone; train again"):
        weights.load(make(), tmp_path / "gone.safetensors")
