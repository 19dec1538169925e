"""A fitted scikit-learn classifier as an ONNX graph: features in, its probabilities out, by skl2onnx.

skl2onnx 1.20 hands protobuf 7 booleans where it wants whole numbers, and rounds the thresholds of histogram gradient
boosting to the nearest float32, which may send the value between to the other side. Both are mended on their way into
the node; nothing else of the library is changed. Some of its graphs answer otherwise than their estimators do, such as
that of the linear discriminants of two classes: whether there is a good one is found by asking both.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
import onnx

from labelsvc.errors import LabelsvcError
from labelsvc.student.session import onnxruntime

FEATURES = "features"  # the name of a graph's input
OPSET, ML_OPSET = 20, 3
LARGEST_DIFFERENCE = 1e-4  # of a probability, between a model's and its graph's
TRIED_ROWS = 256  # made-up ones, on which an estimator is compared with its graph


def convert(estimator: Any, features: int) -> onnx.ModelProto:  # noqa: ANN401 - scikit-learn ships no types
    """Return a graph of ``features`` float32 [batch, features] to ``probabilities`` float32 [batch, known classes].

    Raises:
        LabelsvcError: skl2onnx is not installed, or knows no graph for it.
    """
    skl2onnx = _skl2onnx()
    kind = skl2onnx.common.data_types.FloatTensorType([None, features])
    try:
        with warnings.catch_warnings(), _mended_nodes():
            warnings.simplefilter("ignore")  # the converters' own, about scikit-learn's parts
            model: onnx.ModelProto = skl2onnx.to_onnx(
                _as_is_known(estimator),
                initial_types=[(FEATURES, kind)],
                options={"zipmap": False},
                target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
            )
    except Exception as error:  # whatever a converter raises
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LabelsvcError(
            f"{type(estimator).__name__} has no ONNX graph ({said}); `labelsvc distill --network mlp` makes a student "
            "that has one"
        ) from error
    return model


def is_convertible(estimator: Any, features: int) -> bool:  # noqa: ANN401 - see above
    """Return whether an estimator has an ONNX graph that answers as it does, on rows of random numbers."""
    try:
        graph = convert(estimator, features)
    except LabelsvcError:
        return False
    rows = np.random.default_rng(0).normal(size=(TRIED_ROWS, features)).astype(np.float32)
    session = onnxruntime().InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    said = session.run([graph.graph.output[-1].name], {FEATURES: rows})[0]
    return bool(np.abs(said - estimator.predict_proba(rows)).max() <= LARGEST_DIFFERENCE)


def _as_is_known(estimator: Any) -> Any:  # noqa: ANN401 - see above
    """Return a blend in the one form that skl2onnx knows, with the same members; any other estimator as it is."""
    from sklearn.ensemble import VotingClassifier

    if not isinstance(estimator, VotingClassifier):
        return estimator
    known = copy(estimator)
    known.flatten_transform = False
    known.weights = None if estimator.weights is None else np.asarray(estimator.weights)
    return known


def _skl2onnx() -> Any:  # noqa: ANN401 - it ships no types
    try:
        import skl2onnx
        import skl2onnx.common.data_types
    except ImportError as error:
        raise LabelsvcError(
            "scikit-learn's models are exported by skl2onnx, which is not installed: pip install 'labelsvc[tables]'"
        ) from error
    return skl2onnx


@contextmanager
def _mended_nodes() -> Iterator[None]:
    """Give nodes of trees whole numbers for booleans, and thresholds that part float32 values as float64 ones do."""
    from skl2onnx.common import _container

    make_node = _container.make_node

    def mended(*names: Any, **attributes: Any) -> onnx.NodeProto:  # noqa: ANN401 - as onnx has it
        if "nodes_missing_value_tracks_true" in attributes:
            tracks = attributes["nodes_missing_value_tracks_true"]
            attributes["nodes_missing_value_tracks_true"] = [int(one) for one in tracks]
            attributes["nodes_values"] = rounded_down(np.asarray(attributes["nodes_values"], np.float64)).tolist()
        node: onnx.NodeProto = make_node(*names, **attributes)
        return node

    _container.make_node = mended
    try:
        yield
    finally:
        _container.make_node = make_node


def rounded_down(thresholds: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the largest float32 that is not above each threshold: x <= t for float32 x just where x <= that.

    >>> float(rounded_down(np.array([0.1]))[0]) <= 0.1 < float(np.float32(0.1))
    True
    """
    nearest = thresholds.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > thresholds, below, nearest)
