"""Students of tables and vectors: one file that takes raw columns by name and answers as its model does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from labelsvc.classical.estimated import as_classifier
from labelsvc.classical.teachers import make
from labelsvc.data.features import encode
from labelsvc.errors import LabelsvcError
from labelsvc.networks import Classifier, build
from labelsvc.networks.features import seen_features
from labelsvc.records import Column, InputShape, Model, Preprocessing, TableShape, Values, VectorShape
from labelsvc.student.estimators import rounded_down
from labelsvc.student.export import export
from labelsvc.student.infer import load
from labelsvc.student.triton import configuration

ROWS = 300
SHAPE = TableShape(
    (
        Column("age in years", "number", 40.0, 12.0, has_nulls=True),
        Column("Größe", "category", categories=("groß", "klein"), has_nulls=True),
        Column("member", "boolean", 0.5, 0.5),
        Column("since", "time", 100.0, 60.0, has_nulls=True, origin=1_700_000_000_000_000),
    )
)
CLASSES = ("a", "b", "c")
ESTIMATORS = (
    "logistic-regression",
    "svm",
    "gradient-boosting",
    "random-forest",
    "extra-trees",
    "sklearn-mlp",
    "svm+gradient-boosting+extra-trees",
    "sklearn.naive_bayes.GaussianNB",
)


def table() -> pa.RecordBatch:
    """Return rows of all kinds of columns with nulls and texts that are none of the categories."""
    rng = np.random.default_rng(0)
    gaps = rng.random((3, ROWS)) < 0.1
    columns = {
        "age in years": pa.array(rng.normal(40, 12, ROWS), mask=gaps[0]),
        "Größe": pa.array(rng.choice(["groß", "klein", "riesig", ""], ROWS), mask=gaps[1]),
        "member": pa.array(rng.random(ROWS) < 0.5),
        "since": pa.array(1_700_000_000 + rng.integers(0, 20_000_000, ROWS), mask=gaps[2]).cast(pa.timestamp("s")),
    }
    return pa.RecordBatch.from_pydict(columns)


VALUES = encode(table(), SHAPE).values
ANSWERS = (np.nan_to_num(VALUES[:, 0]) > 40).astype(np.int32) + (VALUES[:, 1] == 1)


def features(values: Values, shape: TableShape | VectorShape = SHAPE) -> NDArray[np.float32]:
    """Return rows as estimators see them."""
    found: NDArray[np.float32] = seen_features(shape)(torch.from_numpy(values)).numpy()
    return found


def model(shape: InputShape = SHAPE) -> Model:
    """Return the record of a model, at a temperature of its own."""
    return Model("m", "r", "teacher", "supervised", "x", "p", "s", CLASSES, Preprocessing(shape), temperature=1.7)


def taught(name: str) -> Classifier:
    """Return a classifier of the table."""
    if name == "mlp":
        return build("mlp", Preprocessing(SHAPE), len(CLASSES), seed=0).eval()
    return as_classifier(make(name, 0).fit(features(VALUES), ANSWERS), SHAPE, len(CLASSES))


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["mlp", *ESTIMATORS])
def test_the_file_answers_as_its_model_does(name: str, tmp_path: Path) -> None:
    """On every row, with nulls and unmet texts among them, through the raw columns."""
    parity = export(taught(name), model(), tmp_path / "s.onnx", rows=VALUES)
    assert parity.largest_difference <= 1e-5
    student = load(tmp_path / "s.onnx")
    assert student.shape == SHAPE
    assert np.allclose(student.probabilities(VALUES).sum(axis=1), 1, atol=1e-5)


@pytest.mark.seconds
def test_columns_are_inputs_by_their_names(tmp_path: Path) -> None:
    """Whoever has onnxruntime alone feeds what the user's table holds, and gets the model's words."""
    classifier = taught("extra-trees")
    export(classifier, model(), tmp_path / "s.onnx", rows=VALUES)
    session = onnxruntime.InferenceSession(tmp_path / "s.onnx", providers=["CPUExecutionProvider"])
    rows = table().slice(0, 50)
    fed = {
        "age in years": rows["age in years"].to_numpy(zero_copy_only=False).astype(np.float32),
        "Größe": np.array([text or "" for text in rows["Größe"].to_pylist()], dtype=object),
        "member": rows["member"].to_numpy(zero_copy_only=False).astype(np.float32),
        "since": rows["since"].cast(pa.timestamp("us")).cast(pa.int64()).fill_null(-(2**63)).to_numpy(),
    }
    said = session.run(["probabilities"], {name: values[:, None] for name, values in fed.items()})[0]
    logits = classifier(torch.from_numpy(features(VALUES[:50])))
    assert np.allclose(said, (logits / 1.7).softmax(dim=1).numpy(), atol=1e-5)


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["mlp", "logistic-regression"])
def test_no_name_of_a_column_clashes(name: str, tmp_path: Path) -> None:
    """Those that graphs use inside are free, and what is called as the output is, or not at all, has ``_`` behind."""
    names = ("values", "probabilities", "", "labelsvc.column3")
    shape = TableShape(tuple(replace(one, name=name) for name, one in zip(names, SHAPE.columns, strict=True)))
    classifier = taught(name)
    assert export(classifier, model(shape), tmp_path / "s.onnx", rows=VALUES).holds
    student = load(tmp_path / "s.onnx")
    inputs = [one.name for one in student.session.get_inputs()]
    assert inputs == ["values", "probabilities_", "_", "labelsvc.column3"]
    logits = classifier(torch.from_numpy(features(VALUES)))
    assert np.allclose(student.probabilities(VALUES), (logits / 1.7).softmax(dim=1).detach().numpy(), atol=1e-5)


@pytest.mark.seconds
def test_vectors_are_one_input(tmp_path: Path) -> None:
    """As they lie in the user's column; their scale is inside."""
    shape = VectorShape(5, 3.0)
    rows = np.random.default_rng(1).normal(0, 3, (60, 5)).astype(np.float32)
    estimator = make("logistic-regression", 0).fit(features(rows, shape), np.arange(60) % 3)
    export(as_classifier(estimator, shape, 3), model(shape), tmp_path / "s.onnx", rows=rows)
    session = onnxruntime.InferenceSession(tmp_path / "s.onnx", providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("vector", ["batch", 5])]
    assert load(tmp_path / "s.onnx").shape == shape


@pytest.mark.filterwarnings("ignore:max_iter")
def test_what_has_no_graph_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """Nothing is written, and the way to a student that has one is named."""
    labels = np.where(np.arange(ROWS) % 3 == 0, -1, ANSWERS)
    spread = make("label-spreading", 0).fit(features(VALUES), labels)
    with pytest.raises(LabelsvcError, match=r"LabelSpreading has no ONNX graph.*distill --network mlp"):
        export(as_classifier(spread, SHAPE, 3), model(), tmp_path / "s.onnx", rows=VALUES)
    assert not [*tmp_path.iterdir()]


def test_an_estimator_whose_graph_errs_is_not_written(tmp_path: Path) -> None:
    """skl2onnx's graph of the discriminants of two classes is wrong; the way to a student is named."""
    two = make("sklearn.discriminant_analysis.LinearDiscriminantAnalysis", 0).fit(features(VALUES), ANSWERS > 0)
    with pytest.raises(LabelsvcError, match=r"differ from the model's by up to .*distill --network mlp"):
        export(as_classifier(two, SHAPE, 3), model(), tmp_path / "s.onnx", rows=VALUES)
    assert not [*tmp_path.iterdir()]


def test_a_class_that_was_never_met_has_its_place(tmp_path: Path) -> None:
    """The file has a probability for each class of the workspace, in its order."""
    two = make("logistic-regression", 0).fit(features(VALUES)[ANSWERS != 1], ANSWERS[ANSWERS != 1])
    parity = export(as_classifier(two, SHAPE, 3), model(), tmp_path / "s.onnx", rows=VALUES)
    assert parity.holds
    assert (load(tmp_path / "s.onnx").probabilities(VALUES)[:, 1] < 0.01).all()


def test_thresholds_part_floats_as_doubles_do() -> None:
    """For float32 x, x <= t just where x <= the rounded one."""
    rng = np.random.default_rng(0)
    thresholds = rng.normal(size=1000)
    near = np.nextafter(thresholds.astype(np.float32), np.float32(rng.choice([-9, 9])))
    for x in (thresholds.astype(np.float32), near):
        assert np.array_equal(x.astype(np.float64) <= thresholds, x <= rounded_down(thresholds))


def test_triton_is_told_each_column() -> None:
    """Each input with its type."""
    told = configuration("s", 3, SHAPE)
    assert 'name: "Größe"\n    data_type: TYPE_STRING\n    dims: [ 1 ]' in told
    assert "TYPE_INT64" in told
