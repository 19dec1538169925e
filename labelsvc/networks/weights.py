"""Weights in safetensors files: written beside their place, named by what they hold.

Knows nothing of where a file belongs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import nn

from labelsvc.errors import InputError
from labelsvc.workspace import written_beside


def save(network: nn.Module, path: Path) -> str:
    """Write a network's weights and return the file's sha256."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = serialize(weights)
    with written_beside(path) as partial:
        partial.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def load(network: nn.Module, path: Path, *, sha256: str | None = None) -> None:
    """Fill a network with the weights of ``path``.

    Raises:
        InputError: the file is missing, or is not the one that was recorded.
    """
    if not path.exists():
        raise InputError(f"the weights {path} are gone; train again")
    if sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise InputError(f"the weights {path} are not the ones that were recorded; train again")
    network.load_state_dict(load_file(path))


def begin_from(network: nn.Module, path: Path) -> None:
    """Give a network the weights of ``path`` that it has, too, of the same name and shape; it keeps its other ones."""
    fresh = network.state_dict()
    known = {
        name: weight for name, weight in load_file(path).items() if name in fresh and weight.shape == fresh[name].shape
    }
    network.load_state_dict({**fresh, **known})
