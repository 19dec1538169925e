"""Fewer bits: the same file to its users, nearly the same answers, and fewer bits only where they are meant."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from training.bars import bars

from labelsvc import networks
from labelsvc.errors import LabelsvcError
from labelsvc.networks import PICTURE_NETWORKS
from labelsvc.records import PictureShape, Preprocessing
from labelsvc.student.card import checked_format
from labelsvc.student.export import export
from labelsvc.student.infer import load
from labelsvc.student.quantise import WEIGHTED, body, convert

from .exported import NAMES, Exported, model

pytestmark = pytest.mark.seconds

QUANTISED = TensorProto.UINT8, TensorProto.INT8


@pytest.fixture(scope="module", params=["fp16", "int8"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Give each dtype that is less than fp32."""
    return str(request.param)


@pytest.fixture(scope="module")
def smaller(dtype: str, exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the student's file in fewer bits."""
    path = tmp_path_factory.mktemp(dtype) / "student.onnx"
    convert(exported.path, path, dtype, [bars(32, seed=seed)[0] for seed in range(4)])
    return path


def interface(path: Path) -> list[tuple[str, int, list[int | str]]]:
    """Return the names, types and shapes of a file's input and output."""
    graph = onnx.load(path).graph
    return [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim],
        )
        for value in (*graph.input, *graph.output)
    ]


def types(path: Path) -> dict[str, int]:
    """Return the type of every value between a file's nodes."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True).graph
    return {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}


def test_users_see_no_difference(exported: Exported, smaller: Path) -> None:
    """Input, output and metadata are those of the fp32 file, and there is one file alone."""
    assert interface(smaller) == interface(exported.path)
    told = [{field.key: field.value for field in onnx.load(path).metadata_props} for path in (exported.path, smaller)]
    assert told[0] == told[1]
    assert load(smaller, device="cpu").classes == NAMES
    assert [path.name for path in smaller.parent.iterdir()] == ["student.onnx"]


def test_the_answers_are_nearly_the_same(exported: Exported, smaller: Path, dtype: str) -> None:
    """On bars that nobody showed, every best class is the same, and probabilities differ by little, in any batch."""
    pixels = bars(60, seed=9)[0]
    before, after = (load(path, device="cpu").probabilities(pixels) for path in (exported.path, smaller))
    assert after.dtype == np.float32
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    np.testing.assert_allclose(after, before, atol={"fp16": 2e-3, "int8": 0.1}[dtype])
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-6)
    alone = load(smaller, device="cpu").probabilities(pixels[:1])
    np.testing.assert_allclose(alone, after[:1], atol=1e-6)


def test_checker_and_strict_shape_inference_pass(exported: Exported, smaller: Path) -> None:
    """The file is sound ONNX of the same opset and IR version, and imports no operators that it does not use."""
    assert checked_format(smaller) == checked_format(exported.path)
    loaded = onnx.load(smaller)
    assert {known.domain for known in loaded.opset_import} == {node.domain for node in loaded.graph.node} == {""}


def test_it_is_smaller(exported: Exported, smaller: Path, dtype: str) -> None:
    """Weights take a half of their room in fp16, and a quarter in int8."""

    def stored(path: Path) -> int:
        return sum(len(weight.raw_data) for weight in onnx.load(path).graph.initializer)

    share = stored(smaller) / stored(exported.path)
    assert share < {"fp16": 0.55, "int8": 0.35}[dtype]


def test_before_and_after_the_body_it_stays_in_float(smaller: Path, dtype: str) -> None:
    """Preprocessing, logits / temperature and softmax are computed in float32."""
    known, graph = types(smaller), onnx.load(smaller).graph
    ends = [node for node in graph.node if node.op_type in ("Sub", "Div", "Softmax")]
    assert len(ends) == 5
    assert {known[name] for node in ends for name in node.output} == {TensorProto.FLOAT}
    fewer = {"fp16": (TensorProto.FLOAT16,), "int8": QUANTISED}[dtype]
    assert sum(kind in fewer for kind in known.values()) > 5
    (last,) = (node for node in graph.node if node.op_type == "Gemm")
    readers = {node.op_type for node in graph.node if last.output[0] in node.input}
    assert readers == {"fp16": {"Cast"}, "int8": {"Div"}}[dtype]  # logits are not rounded to 255 steps


def test_the_body_goes_from_the_first_weights_to_the_last(exported: Exported) -> None:
    """It begins with a convolution, ends with the classes' layer, and holds all that lies between."""
    nodes = [node.op_type for node in body(onnx.load(exported.path).graph)]
    assert (nodes[0], nodes[-1]) == ("Conv", "Gemm")
    assert {"MaxPool", "BatchNormalization", "Relu"} < {*nodes}
    assert not {"Cast", "Sub", "Div", "Softmax", "Transpose"} & {*nodes}


def test_what_has_no_weights_has_no_body() -> None:
    """A graph without convolutions or matrices is left in float32."""
    node = onnx.helper.make_node("Relu", ["a"], ["b"], name="relu")
    assert body(onnx.helper.make_graph([node], "g", [], [])) == []


def test_int8_takes_its_ranges_from_what_it_is_shown(exported: Exported, tmp_path: Path) -> None:
    """Shown other pictures, it has other scales; its weights keep within 7 bits, so that no CPU's sums overflow."""
    scales = []
    for name, pixels in (("bright", bars(32)[0]), ("dark", bars(32)[0] // 8)):
        convert(exported.path, tmp_path / f"{name}.onnx", "int8", [pixels])
        weights = {
            one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(tmp_path / f"{name}.onnx").graph.initializer
        }
        scales.append({key: value for key, value in weights.items() if key.endswith("_scale")})
        whole = [value for value in weights.values() if value.dtype == np.int8 and value.ndim > 1]
        assert len(whole) == 4
        assert max(np.abs(value).max() for value in whole) <= 64
    assert any(not np.array_equal(scales[0][key], scales[1][key]) for key in scales[0])


def test_what_cannot_be_quantised_is_said_in_a_line(exported: Exported, tmp_path: Path) -> None:
    """Whatever onnxruntime raises is one line, and nothing is left beside the file."""
    with pytest.raises(LabelsvcError, match="cannot quantise this network: ") as refused:
        convert(exported.path, tmp_path / "out.onnx", "int8", [np.zeros((1, 3, 3, 1), np.uint8)])
    assert "\n" not in str(refused.value)
    assert [*tmp_path.iterdir()] == []


def test_python_finds_its_modules_where_it_did(exported: Exported, tmp_path: Path) -> None:
    """Onnxruntime's tools add a folder of theirs to Python's path, and it is taken out again."""
    path = [*sys.path]
    convert(exported.path, tmp_path / "out.onnx", "int8", [bars(8)[0]])
    assert sys.path == path


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*PICTURE_NETWORKS} - {"convnet"}))
def test_every_network_takes_fewer_bits(name: str, tmp_path: Path) -> None:
    """Each network in the table becomes a sound file in fp16 and int8 that answers nearly as it does in fp32."""
    preprocessing = Preprocessing(PictureShape(32, 32, 3), (0.5,) * 3, (0.25,) * 3)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    built = networks.build(name, preprocessing, 3, seed=0)
    export(built, model(network=name, preprocessing=preprocessing), tmp_path / "fp32.onnx", rows=pixels)
    before = load(tmp_path / "fp32.onnx", device="cpu").probabilities(pixels)
    for dtype in ("fp16", "int8"):
        convert(tmp_path / "fp32.onnx", tmp_path / f"{dtype}.onnx", dtype, [pixels])
        assert checked_format(tmp_path / f"{dtype}.onnx").opset >= 18
        after = load(tmp_path / f"{dtype}.onnx", device="cpu").probabilities(pixels)
        np.testing.assert_allclose(after, before, atol=0.05)
        converted = body(onnx.load(tmp_path / f"{dtype}.onnx").graph)
        assert {node.op_type for node in converted} & WEIGHTED
