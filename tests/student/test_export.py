"""One ONNX file that answers as the network does, or no file at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from training.bars import bars, network

from labelsvc import networks
from labelsvc.errors import LabelsvcError
from labelsvc.networks import PICTURE_NETWORKS, Classifier
from labelsvc.records import PictureShape, Preprocessing
from labelsvc.student import export as room
from labelsvc.student.export import LARGEST_DIFFERENCE, Graph, compare, export
from labelsvc.student.infer import Student

from .exported import NAMES, TEMPERATURE, Exported, model

pytestmark = pytest.mark.seconds


def test_the_file_answers_as_the_network_does(exported: Exported, student: Student, classifier: Classifier) -> None:
    """The file's probabilities are softmax(logits / T) of the pictures / 255, on rows it was not checked on too."""
    assert exported.parity.holds
    assert exported.parity.rows == 20
    pixels = bars(50, seed=7)[0]
    with torch.no_grad():
        logits = classifier.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    expected = (logits.double() / TEMPERATURE).softmax(dim=1).numpy()
    np.testing.assert_allclose(student.probabilities(pixels), expected, atol=LARGEST_DIFFERENCE / 10)


def test_only_the_batch_is_dynamic(exported: Exported) -> None:
    """Pictures are uint8 [batch, height, width, channels], probabilities float32 [batch, classes]."""
    graph = onnx.load(exported.path).graph
    (image,), (answer,) = graph.input, graph.output
    assert (image.name, answer.name) == ("image", "probabilities")
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert answer.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    shapes = [[dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in (image, answer)]
    assert shapes == [["batch", 8, 8, 1], ["batch", 3]]


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_any_batch_is_answered(student: Student, rows: int) -> None:
    """Each row of a batch of any size gets a distribution, the one that it gets alone."""
    pixels = bars(rows)[0]
    found = student.probabilities(pixels)
    assert found.shape == (rows, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    alone = np.concatenate([student.probabilities(pixels[row : row + 1]) for row in range(rows)])
    np.testing.assert_allclose(found, alone, atol=1e-6)


def test_the_file_names_its_classes_and_origin(exported: Exported, student: Student) -> None:
    """Class names are there as a JSON list and as a JSON object by code, with the model that they come from."""
    metadata = {entry.key: entry.value for entry in onnx.load(exported.path).metadata_props}
    assert json.loads(metadata["class_names"]) == list(NAMES)
    assert json.loads(metadata["names"]) == {str(code): name for code, name in enumerate(NAMES)}
    assert student.classes == NAMES
    assert student.shape == PictureShape(8, 8, 1)
    assert student.origin["labelsvc.model"] == "m-1"
    assert student.origin["labelsvc.weights_sha256"] == "ab" * 32
    assert float(student.origin["labelsvc.temperature"]) == TEMPERATURE
    assert json.loads(student.origin["labelsvc.calibrated"]) is True


def test_there_is_exactly_one_file(exported: Exported) -> None:
    """The weights are inside: no second file, nothing half-made."""
    assert [path.name for path in exported.path.parent.iterdir()] == ["student.onnx"]
    weights = onnx.load(exported.path, load_external_data=False).graph.initializer
    assert not any(tensor.external_data for tensor in weights)


def test_a_broken_graph_gets_no_name(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that answers as another network is refused, and what lay at its place stays."""
    monkeypatch.setattr(room, "_save", lambda _graph, _model, path: shutil.copy(exported.path, path))
    target = tmp_path / "student.onnx"
    with pytest.raises(LabelsvcError, match="the file was not written: on 20 real rows"):
        export(network(seed=3), model(), target, rows=bars(20)[0])
    assert list(tmp_path.iterdir()) == []
    target.write_text("older")
    with pytest.raises(LabelsvcError):
        export(network(seed=3), model(), target, rows=bars(20)[0])
    assert target.read_text() == "older"
    assert list(tmp_path.iterdir()) == [target]


def test_parity_is_about_probabilities_and_clear_answers() -> None:
    """Small differences hold, large ones and a changed clear answer do not; what is no number never holds."""
    rows = np.array([[0.6, 0.4], [0.50005, 0.49995]], np.float32)
    near = compare(rows, rows + np.array([[5e-5, -5e-5], [-1e-4 + 1e-6, 1e-4 - 1e-6]], np.float32))
    assert near.holds
    assert near.other_class == 0, "the second row has no clear lead"
    far = compare(rows, rows[:, ::-1])
    assert (far.rows, far.other_class) == (2, 1)
    assert far.largest_difference == pytest.approx(0.2)
    assert not far.holds
    assert not compare(rows, np.full_like(rows, np.nan)).holds


def test_the_graph_is_softmax_of_tempered_logits(classifier: Classifier) -> None:
    """A higher temperature makes the graph less sure, and changes no answer."""
    image = torch.from_numpy(bars(9)[0])
    with torch.no_grad():
        cold, warm = (Graph(classifier.eval(), temperature)(image) for temperature in (1.0, 4.0))
    assert torch.equal(cold.argmax(dim=1), warm.argmax(dim=1))
    assert (warm.amax(dim=1) < cold.amax(dim=1)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*PICTURE_NETWORKS} - {"convnet"}))
def test_every_network_can_be_exported(name: str, tmp_path: Path) -> None:
    """Each network in the table becomes one file that answers as it does."""
    preprocessing = Preprocessing(PictureShape(32, 32, 3), (0.5,) * 3, (0.25,) * 3)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    built = networks.build(name, preprocessing, 3, seed=0)
    record = model(network=name, preprocessing=preprocessing)
    assert export(built, record, tmp_path / "student.onnx", rows=pixels).holds
    assert len(list(tmp_path.iterdir())) == 1
