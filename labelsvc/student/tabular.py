"""A classifier of tables or vectors as one ONNX graph, from what users have to calibrated probabilities.

A table's columns are inputs by their own names, each [batch, 1]: numbers and booleans float32, where NaN is a null;
categories as strings, where an empty one is a null and one that was not met is none of them; times int64 microseconds
since 1970, where the smallest int64 is a null. A column called ``probabilities``, as the output is, is the input
``probabilities_``. Vectors are one input, ``vector``, float32 [batch, length].

The graph is put together from three: named columns to numbers, numbers to features (the very module that training
uses, translated by torch), and features to probabilities (the network, by torch; or scikit-learn's, by skl2onnx).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from torch import Tensor, nn

from labelsvc.classical.estimated import FLOOR, Estimated
from labelsvc.data.features import MICROSECONDS_A_DAY
from labelsvc.networks import Classifier
from labelsvc.networks.features import seen_features, width
from labelsvc.records import Column, TableShape, VectorShape
from labelsvc.student.estimators import FEATURES, ML_OPSET, OPSET, convert
from labelsvc.student.feeding import input_names
from labelsvc.student.metadata import NO_TIME, PROBABILITIES, VECTOR

VALUES = "values"
IR_VERSION = 10

Translate = Callable[[nn.Module, Tensor, str, str], onnx.ModelProto]  # a module, an example, input's and output's name


class _Answer(nn.Module):
    """Numbers in, calibrated probabilities out."""

    def __init__(self, seen: nn.Module, classifier: Classifier, temperature: float) -> None:
        super().__init__()
        self.seen = seen
        self.classifier = classifier
        self.temperature = temperature

    def forward(self, values: Tensor) -> Tensor:
        """Return probabilities [batch, classes] of rows of numbers."""
        logits: Tensor = self.classifier(self.seen(values))
        return (logits / self.temperature).softmax(dim=1)


def tabular_graph(
    classifier: Classifier, shape: TableShape | VectorShape, temperature: float, translate: Translate
) -> onnx.ModelProto:
    """Return the graph of a classifier; ``translate`` is how torch's modules become graphs.

    Raises:
        LabelsvcError: scikit-learn's estimator has no graph.
    """
    if isinstance(classifier.body, Estimated):
        answer = _estimator_graph(classifier.body, shape, temperature, translate)
    else:
        answer = translate(
            _Answer(seen_features(shape), classifier, temperature), _example(shape), VALUES, PROBABILITIES
        )
    own = _own_prefix(input_names(shape))
    made = f"{own}{VALUES}"
    front = _columns_graph(shape, own, made) if isinstance(shape, TableShape) else _vector_graph(shape, made)
    return _joined(front, answer, {made: VALUES}, inside=f"{own}model.")


def _own_prefix(inputs: Sequence[str]) -> str:
    """Return what no input's name begins with, and all names inside the graph do.

    >>> _own_prefix(["age"]), _own_prefix(["age", "labelsvc.age"])
    ('labelsvc.', 'labelsvc..')
    """
    prefix = "labelsvc."
    while any(name.startswith(prefix) for name in inputs):
        prefix += "."
    return prefix


def _example(shape: TableShape | VectorShape) -> Tensor:
    return torch.zeros(2, *shape.sides)


def _estimator_graph(
    body: Estimated, shape: TableShape | VectorShape, temperature: float, translate: Translate
) -> onnx.ModelProto:
    """Return numbers to probabilities: features by torch, the estimator by skl2onnx, its temperature after it."""
    features = translate(seen_features(shape), _example(shape), VALUES, FEATURES)
    estimator = convert(body.estimator, width(shape))
    known = estimator.graph.output[-1].name
    calibrated = _calibration_graph(body, temperature)
    scored = _joined(features, estimator, {FEATURES: FEATURES}, inside="estimator.", is_last=False)
    return _joined(scored, calibrated, {f"estimator.{known}": "known"}, inside="calibration.")


def _calibration_graph(body: Estimated, temperature: float) -> onnx.ModelProto:
    """Return softmax(log p / T), with the floor of p for classes that the estimator says nothing of or never met."""
    known = [int(code) for code in body.estimator.classes_]
    places = np.full(body.classes, len(known), np.int64)  # of the column that is put behind, all 0
    places[known] = np.arange(len(known))
    constants = {
        "widths": np.array([0, 0, 0, 1], np.int64),
        "places": places,
        "floor": np.float32(FLOOR),
        "one": np.float32(1),
        "temperature": np.float32(temperature),
    }
    nodes = [
        helper.make_node("Pad", ["known", "widths"], ["padded"]),
        helper.make_node("Gather", ["padded", "places"], ["all"], axis=1),
        helper.make_node("Clip", ["all", "floor", "one"], ["clipped"]),
        helper.make_node("Log", ["clipped"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], [PROBABILITIES], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("known", TensorProto.FLOAT, ["batch", len(known)])]
    outputs = [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", body.classes])]
    return _model(helper.make_graph(nodes, "calibration", inputs, outputs, _initializers(constants)))


def _vector_graph(shape: VectorShape, made: str) -> onnx.ModelProto:
    sides: list[str | int | None] = ["batch", shape.length]
    inputs = [helper.make_tensor_value_info(VECTOR, TensorProto.FLOAT, sides)]
    outputs = [helper.make_tensor_value_info(made, TensorProto.FLOAT, sides)]
    return _model(helper.make_graph([helper.make_node("Identity", [VECTOR], [made])], "vector", inputs, outputs))


def _columns_graph(shape: TableShape, own: str, made: str) -> onnx.ModelProto:
    """Return named columns to the numbers ``made``, as ``data.features`` makes them; other names begin with ``own``."""
    nodes: list[onnx.NodeProto] = []
    parts: list[str] = []
    constants: Constants = {}
    named = list(zip(input_names(shape), shape.columns, strict=True))
    for place, (name, column) in enumerate(named):
        added, part, needed = _COLUMNS[column.kind](name, column, f"{own}column{place}")
        nodes += added
        parts.append(part)
        constants |= needed
    nodes.append(helper.make_node("Concat", parts, [made], axis=1))
    inputs = [helper.make_tensor_value_info(name, TYPES[column.kind], ["batch", 1]) for name, column in named]
    outputs = [helper.make_tensor_value_info(made, TensorProto.FLOAT, ["batch", len(named)])]
    return _model(helper.make_graph(nodes, "columns", inputs, outputs, _initializers(constants)))


TYPES = {
    "number": TensorProto.FLOAT,
    "boolean": TensorProto.FLOAT,
    "category": TensorProto.STRING,
    "time": TensorProto.INT64,
}
Constants = dict[str, Any]  # NumPy's arrays and numbers by their names
Part = tuple[list[onnx.NodeProto], str, Constants]  # nodes, the name of what they make, their constants


def _as_it_is(given: str, column: Column, name: str) -> Part:  # noqa: ARG001 - one shape for all kinds
    return [], given, {}


def _coded(given: str, column: Column, name: str) -> Part:
    codes = [*map(float, range(len(column.categories))), math.nan]
    node = helper.make_node(
        "LabelEncoder",
        [given],
        [name],
        domain="ai.onnx.ml",
        keys_strings=[*column.categories, ""],
        values_floats=codes,
        default_float=float(len(column.categories)),
    )
    return [node], name, {}


def _in_days(given: str, column: Column, name: str) -> Part:
    constants = {
        f"{name}.origin": np.int64(column.origin),
        f"{name}.none": np.int64(NO_TIME),
        f"{name}.day": np.float64(MICROSECONDS_A_DAY),
        f"{name}.nan": np.float32(np.nan),
    }
    nodes = [
        helper.make_node("Equal", [given, f"{name}.none"], [f"{name}.is_null"]),
        helper.make_node("Sub", [given, f"{name}.origin"], [f"{name}.since"]),
        helper.make_node("Cast", [f"{name}.since"], [f"{name}.double"], to=TensorProto.DOUBLE),
        helper.make_node("Div", [f"{name}.double", f"{name}.day"], [f"{name}.days"]),
        helper.make_node("Cast", [f"{name}.days"], [f"{name}.float"], to=TensorProto.FLOAT),
        helper.make_node("Where", [f"{name}.is_null", f"{name}.nan", f"{name}.float"], [name]),
    ]
    return nodes, name, constants


_COLUMNS: dict[str, Callable[[str, Column, str], Part]] = {
    "number": _as_it_is,
    "boolean": _as_it_is,
    "category": _coded,
    "time": _in_days,
}


def _initializers(constants: Constants) -> list[TensorProto]:
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _joined(
    first: onnx.ModelProto, second: onnx.ModelProto, by: dict[str, str], *, inside: str, is_last: bool = True
) -> onnx.ModelProto:
    """Return two graphs as one; names ``inside`` the second begin so, but for the output of the last one."""
    for model in (first, second):
        _settle_versions(model)
    renamed = compose.add_prefix(second, inside, rename_outputs=not is_last)
    places = {ours: f"{inside}{theirs}" for ours, theirs in by.items()}
    last = renamed.graph.output[-1].name
    joined = compose.merge_models(first, renamed, io_map=[*places.items()], outputs=[last])
    _settle_versions(joined)
    return joined


def _settle_versions(model: onnx.ModelProto) -> None:
    """Give a graph the versions that all of them are written for; none of them has functions of its own."""
    model.ir_version = IR_VERSION
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)])
    del model.functions[:]
