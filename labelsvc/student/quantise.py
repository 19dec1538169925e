"""A student's file in fewer bits: fp16 or int8 from its first weights to its last, and as it was before and after.

Preprocessing, temperature and softmax stay in float32, as do the uint8 input and the float32 output, so that whoever
uses one file uses the others unchanged. Knows nothing of whether a smaller file is good enough.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from labelsvc.errors import LabelsvcError
from labelsvc.records import Pixels
from labelsvc.student.session import onnxruntime

WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
FLOATING = frozenset({"BatchNormalization"})  # there is no int8 kernel for these, only casts on both sides
LOGITS = ["Gemm", "MatMul"]  # whose results stay in float: 255 steps are too few for a confidence
HALF = "_half"


def convert(source: Path, target: Path, dtype: str, shown: Iterable[Pixels]) -> None:
    """Write the fp32 file ``source`` to ``target`` as fp16 or int8, with the metadata that it has.

    Args:
        source: a file that ``export`` wrote.
        target: where to write; nothing else lies there.
        dtype: fp16 or int8.
        shown: blocks of real inputs, whose activations tell int8 its ranges; fp16 needs none.

    Raises:
        LabelsvcError: onnxruntime cannot quantise this graph.
    """
    model = onnx.load(source)
    told = {field.key: field.value for field in model.metadata_props}
    converted = halved(model) if dtype == "fp16" else _quantised(source, shown)
    helper.set_model_props(converted, told)
    onnx.save(converted, target)


def body(graph: GraphProto) -> list[NodeProto]:
    """Return what lies between the first weights and the last: after or at one of them, and before or at another."""
    reached: set[str] = set()
    after = set()
    for node in graph.node:
        if node.op_type in WEIGHTED or not reached.isdisjoint(node.input):
            after.add(node.name)
            reached.update(node.output)
    needed: set[str] = set()
    found = []
    for node in reversed(graph.node):
        if node.op_type in WEIGHTED or not needed.isdisjoint(node.output):
            needed.update(node.input)
            found += [node] if node.name in after else []
    return found[::-1]


def halved(model: ModelProto) -> ModelProto:
    """Return a model whose body computes in fp16, between casts, with weights in fp16."""
    typed = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    seam = _Seam.of(typed.graph)
    casts: set[str] = set()
    nodes: list[NodeProto] = []
    for node in typed.graph.node:
        if node.name not in seam.inside:
            nodes.append(node)
            continue
        missing = [name for name in node.input if name in seam.entering and name not in casts]
        nodes += [_cast(name, name + HALF, TensorProto.FLOAT16) for name in missing]
        casts.update(missing)
        nodes.append(_in_half(node, seam))
        nodes += [_cast(name + HALF, name, TensorProto.FLOAT) for name in node.output if name in seam.leaving]
    weights = [_halved_weight(weight) for weight in typed.graph.initializer if weight.name in seam.weights]
    kept = {name for node in nodes for name in node.input}
    others = [weight for weight in typed.graph.initializer if weight.name in kept]
    graph = helper.make_graph(
        nodes, typed.graph.name, typed.graph.input, typed.graph.output, initializer=[*others, *weights]
    )
    return helper.make_model(graph, opset_imports=typed.opset_import, ir_version=typed.ir_version)


@dataclass(frozen=True)
class _Seam:
    """Where float32 and fp16 meet: the nodes inside, and the float32 values by how they cross."""

    inside: frozenset[str]
    weights: frozenset[str]
    entering: frozenset[str]
    leaving: frozenset[str]

    @classmethod
    def of(cls, graph: GraphProto) -> _Seam:
        """Find the seam of a graph whose values all have types."""
        inner = body(graph)
        inside = frozenset(node.name for node in inner)
        values = [*graph.value_info, *graph.input, *graph.output]
        floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
        weights = {weight.name for weight in graph.initializer if weight.data_type == TensorProto.FLOAT}
        read = {name for node in inner for name in node.input}
        made = {name for node in inner for name in node.output}
        elsewhere = {name for node in graph.node if node.name not in inside for name in node.input}
        elsewhere |= {value.name for value in graph.output}
        return cls(
            inside=inside,
            weights=frozenset(weights & read),
            entering=frozenset((floats - weights - made) & read),
            leaving=frozenset(floats & made & elsewhere),
        )

    @property
    def renamed(self) -> frozenset[str]:
        """The values that have a name of their own in fp16."""
        return self.weights | self.entering | self.leaving


def _in_half(node: NodeProto, seam: _Seam) -> NodeProto:
    inner = NodeProto()
    inner.CopyFrom(node)
    for names in (inner.input, inner.output):
        names[:] = [name + HALF if name in seam.renamed else name for name in names]
    for attribute in inner.attribute:
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:  # of a cast
            attribute.i = TensorProto.FLOAT16
    return inner


def _cast(source: str, target: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=to)


def _halved_weight(weight: TensorProto) -> TensorProto:
    with np.errstate(over="ignore"):  # what becomes infinite here is met by the gate
        return numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name + HALF)


def _quantised(source: Path, shown: Iterable[Pixels]) -> ModelProto:
    """Return the model with a body in int8: static ranges, weights per channel, quantise and dequantise nodes.

    Weights take 7 of their 8 bits, so that two products fit the 16 bits in which CPUs without VNNI add them, and the
    file answers alike on all of them. It cost nothing that was seen (decision log).
    """
    tools = _quantization()
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnxruntime's own, about its own parts
        prepared, target = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        try:
            # the sizes are known without symbols
            tools.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            model = onnx.load(prepared)
            del model.graph.value_info[:]  # of before the preparation, and wrong now
            tools.quantize_static(
                model,
                str(target),
                _Blocks(shown),
                quant_format=tools.QuantFormat.QDQ,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_quantize=[node.name for node in body(model.graph) if node.op_type not in FLOATING],
                extra_options={"OpTypesToExcludeOutputQuantization": LOGITS},
            )
        except Exception as error:
            raise LabelsvcError(f"onnxruntime cannot quantise this network: {str(error).splitlines()[0]}") from error
        return _without_guests(onnx.load(target))


def _without_guests(model: ModelProto) -> ModelProto:
    """Return a model that imports only those operator sets that it uses, not all that onnxruntime knows."""
    used = {node.domain for node in model.graph.node}
    sets = [known for known in model.opset_import if known.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(sets)
    return model


class _Blocks:
    """Real inputs as onnxruntime's quantisation reads them: one block after the other, then None."""

    def __init__(self, shown: Iterable[Pixels]) -> None:
        self._rest: Iterator[Pixels] = iter(shown)

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next block by the input's name."""
        block = next(self._rest, None)
        return None if block is None else {"image": block}


def _quantization() -> ModuleType:
    """Load onnxruntime's quantisation, which takes a second, without the folder that it adds to Python's path."""
    onnxruntime()
    path = [*sys.path]
    tools = importlib.import_module("onnxruntime.quantization")
    sys.path[:] = path
    return tools
