"""From a classifier to one ONNX file that answers as the classifier does, or no file at all.

Of pictures, the input is ``image``: uint8 [batch, height, width, channels]; of tables and vectors ``tabular`` tells.
Output ``probabilities``: float32 [batch, classes]. Only the batch is dynamic. Preprocessing and temperature are inside;
class names, the input's shape and the origin are in the metadata.
"""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelsvc import __version__
from labelsvc.classical.estimated import Estimated
from labelsvc.errors import LabelsvcError
from labelsvc.networks import Classifier
from labelsvc.records import Decoded, InputShape, Model, PictureShape
from labelsvc.student.estimators import LARGEST_DIFFERENCE
from labelsvc.student.feeding import feeds
from labelsvc.student.metadata import INPUT, PROBABILITIES
from labelsvc.student.session import onnxruntime
from labelsvc.student.tabular import tabular_graph
from labelsvc.training.rows import as_floats, as_networks_see
from labelsvc.workspace import written_beside

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


def export(classifier: Classifier, model: Model, target: Path, *, rows: Decoded) -> Parity:
    """Write ``target`` when onnxruntime, reading it, answers as the classifier does on ``rows``.

    Raises:
        LabelsvcError: it does not, or what it learnt has no ONNX graph; no file is written.
    """
    classifier, shape = classifier.cpu().eval(), model.preprocessing.shape
    with written_beside(target) as partial:
        _save(classifier, model, partial)
        onnx.checker.check_model(onnx.load(partial), full_check=True)
        parity = compare(_own_answers(classifier, model, rows), _file_answers(partial, shape, rows))
        if not parity.holds:
            raise LabelsvcError(
                f"the file was not written: on {parity.rows} real rows its probabilities differ from the model's by "
                f"up to {parity.largest_difference:.1e} (allowed {LARGEST_DIFFERENCE:.0e}) and it names another class "
                f"for {parity.other_class}; {_way_out(classifier)}"
            )
    return parity


def _way_out(classifier: Classifier) -> str:
    """Say what to do about a graph that answers otherwise: scikit-learn's are another library's to mend."""
    if isinstance(classifier.body, Estimated):
        return "`labelsvc distill --network mlp` makes a student that can be written"
    return "report this with `labelsvc doctor --json`"


def compare(network: NDArray[np.float32], file: NDArray[np.float32]) -> Parity:
    """Compare two sets of probabilities [rows, classes] of the same rows."""
    ordered = np.sort(network, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > CLEAR_LEAD
    other = (network.argmax(axis=1) != file.argmax(axis=1)) & clear
    return Parity(len(network), float(np.abs(network - file).max()), int(other.sum()))


def _save(classifier: Classifier, model: Model, path: Path) -> None:
    shape = model.preprocessing.shape
    if isinstance(shape, PictureShape):
        graph = Graph(classifier, model.temperature).eval()
        found = translate(graph, torch.zeros(2, *shape.sides, dtype=torch.uint8), "image", PROBABILITIES)
    else:
        found = tabular_graph(classifier, shape, model.temperature, translate)
    onnx.helper.set_model_props(found, _metadata(model))
    onnx.save(found, path)


def translate(graph: nn.Module, example: Tensor, given: str, made: str) -> onnx.ModelProto:
    """Return a module as an ONNX graph from the input ``given`` to the output ``made``.

    Raises:
        LabelsvcError: torch cannot.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own parts
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        return _translated(graph.eval(), example, given, made).model_proto


def _translated(graph: nn.Module, example: Tensor, given: str, made: str) -> torch.onnx.ONNXProgram:
    """Let torch write the graph as ONNX; what goes wrong is one line, and a Ctrl-C in it stays one.

    Raises:
        LabelsvcError: torch cannot.
    """
    try:
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=[given],
            output_names=[made],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
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
        INPUT: json.dumps(asdict(model.preprocessing.shape)),
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
def _own_answers(classifier: Classifier, model: Model, rows: Decoded) -> NDArray[np.float32]:
    seen = as_networks_see(model.preprocessing.shape, torch.device("cpu"))(torch.from_numpy(rows))
    answers: NDArray[np.float32] = (classifier(seen) / model.temperature).softmax(dim=1).numpy()
    return answers


def _file_answers(path: Path, shape: InputShape, rows: Decoded) -> NDArray[np.float32]:
    session = onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers: NDArray[np.float32] = session.run([PROBABILITIES], feeds(shape, rows))[0]
    return answers
