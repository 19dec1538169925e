"""From a network to one ONNX file that answers as the network does, or no file at all.

Input ``image``: uint8 [batch, height, width, channels]; output ``probabilities``: float32 [batch, classes]. Only the
batch is dynamic. Preprocessing and temperature are inside; class names and origin are in the metadata.
"""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelsvc import __version__
from labelsvc.errors import LabelsvcError
from labelsvc.networks import Classifier
from labelsvc.records import Model, Pixels
from labelsvc.student.session import onnxruntime
from labelsvc.training.rows import as_floats
from labelsvc.workspace import written_beside

LARGEST_DIFFERENCE = 1e-4  # of a probability
CLEAR_LEAD = 2e-4  # of the best class over the second, from which both must name the same


class Graph(nn.Module):
    """What the file holds: raw pixels in, calibrated probabilities out."""

    def __init__(self, classifier: Classifier, temperature: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.temperature = temperature

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities [batch, classes] of uint8 pictures [batch, height, width, channels]."""
        logits: Tensor = self.classifier(as_floats(image))
        return (logits / self.temperature).softmax(dim=1)


@dataclass(frozen=True)
class Parity:
    """How the file's answers compare with the network's on real rows."""

    rows: int
    largest_difference: float
    other_class: int  # rows with a clear lead for which the two name different classes

    @property
    def holds(self) -> bool:
        """Whether the file may be given its name."""
        return self.largest_difference <= LARGEST_DIFFERENCE and self.other_class == 0


def export(classifier: Classifier, model: Model, target: Path, *, pixels: Pixels) -> Parity:
    """Write ``target`` when onnxruntime, reading it, answers as the network does on ``pixels``.

    Raises:
        LabelsvcError: it does not; no file is written.
    """
    graph = Graph(classifier.cpu().eval(), model.temperature).eval()
    with written_beside(target) as partial:
        _save(graph, model, partial)
        onnx.checker.check_model(onnx.load(partial), full_check=True)
        parity = compare(_network_answers(graph, pixels), _file_answers(partial, pixels))
        if not parity.holds:
            raise LabelsvcError(
                f"the file was not written: on {parity.rows} real rows its probabilities differ from the network's by "
                f"up to {parity.largest_difference:.1e} (allowed {LARGEST_DIFFERENCE:.0e}) and it names another class "
                f"for {parity.other_class}; report this with `labelsvc doctor --json`"
            )
    return parity


def compare(network: NDArray[np.float32], file: NDArray[np.float32]) -> Parity:
    """Compare two sets of probabilities [rows, classes] of the same rows."""
    ordered = np.sort(network, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > CLEAR_LEAD
    other = (network.argmax(axis=1) != file.argmax(axis=1)) & clear
    return Parity(len(network), float(np.abs(network - file).max()), int(other.sum()))


def _save(graph: Graph, model: Model, path: Path) -> None:
    shape = model.preprocessing.shape
    example = torch.zeros(2, shape.height, shape.width, shape.channels, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own parts
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = _translate(graph, example)
    program.model.metadata_props.update(_metadata(model))
    program.save(path)


def _translate(graph: Graph, example: Tensor) -> torch.onnx.ONNXProgram:
    """Let torch write the graph as ONNX; what goes wrong is one line, and a Ctrl-C in it stays one.

    Raises:
        LabelsvcError: torch cannot.
    """
    try:
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        )
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise LabelsvcError(f"torch cannot export this network: {str(error).splitlines()[0]}") from error
    assert program is not None
    return program


def _metadata(model: Model) -> dict[str, str]:
    return {
        "class_names": json.dumps(model.classes),
        "names": json.dumps(dict(enumerate(model.classes))),
        "labelsvc.version": __version__,
        "labelsvc.model": model.model_id,
        "labelsvc.run": model.run_id,
        "labelsvc.role": model.role,
        "labelsvc.method": model.method,
        "labelsvc.network": model.network,
        "labelsvc.weights_sha256": model.sha256,
        "labelsvc.temperature": repr(model.temperature),
        "labelsvc.calibrated": json.dumps(model.calibrated),
    }


@torch.inference_mode()
def _network_answers(graph: Graph, pixels: Pixels) -> NDArray[np.float32]:
    answers: NDArray[np.float32] = graph(torch.from_numpy(pixels)).numpy()
    return answers


def _file_answers(path: Path, pixels: Pixels) -> NDArray[np.float32]:
    session = onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers: NDArray[np.float32] = session.run(None, {"image": pixels})[0]
    return answers
