"""The state of a training in a file, and back: what is taken up from it goes on bit for bit as if it had never stopped.

The order of rows and dropout depend on the step's number alone, so that nothing of them has to be kept.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from labelsvc.errors import InputError
from labelsvc.methods.contract import Learner, Memory
from labelsvc.records import MetricPoint
from labelsvc.training.loop import State
from labelsvc.workspace import written_beside


def save(state: State, curves: Sequence[MetricPoint], path: Path) -> None:
    """Write everything that changes while training, and the curves so far; ``path`` holds one state or the next."""
    kept = {
        "step": state.step,
        "student": _learnt(state.student),
        "average": state.average.network.state_dict(),
        "partner": None if state.partner is None else _learnt(state.partner),
        "memory": _tensors(state.memory),
        "generator": state.generator.get_state(),
        "curves": [dataclasses.astuple(point) for point in curves],
    }
    content = io.BytesIO()
    torch.save(kept, content)
    with written_beside(path) as partial:
        partial.write_bytes(content.getbuffer())  # torch itself says of a full disk "unexpected pos"


def load(state: State, path: Path) -> list[MetricPoint]:
    """Put ``state``, as ``begin`` made it, where it was when the file was written, and return the curves up to there.

    Raises:
        InputError: the file is damaged, or of another network or method.
    """
    try:
        kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        _put(state.student, kept["student"])
        state.average.network.load_state_dict(kept["average"])
        if state.partner is not None:
            _put(state.partner, kept["partner"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the checkpoint {path} cannot be taken up ({reason}); remove it to train anew") from error
    state.memory = _filled(state.memory, kept["memory"])
    state.generator.set_state(kept["generator"])
    state.step = kept["step"]
    return [MetricPoint(*point) for point in kept["curves"]]


def _learnt(learner: Learner) -> dict[str, Any]:
    return {"network": learner.network.state_dict(), "descent": learner.optimiser.descent.state_dict()}


def _put(learner: Learner, kept: dict[str, Any]) -> None:
    learner.network.load_state_dict(kept["network"])
    learner.optimiser.descent.load_state_dict(kept["descent"])


def _tensors(memory: Memory) -> dict[str, torch.Tensor]:
    if memory is None:
        return {}
    return {field.name: getattr(memory, field.name) for field in dataclasses.fields(memory)}


def _filled(memory: Memory, tensors: dict[str, torch.Tensor]) -> Memory:
    """Return ``memory`` with other tensors, each on the device of the one that it replaces."""
    if memory is None:
        return None
    return dataclasses.replace(
        memory, **{name: tensor.to(getattr(memory, name).device) for name, tensor in tensors.items()}
    )
