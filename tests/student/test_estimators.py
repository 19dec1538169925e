"""scikit-learn's classifiers as ONNX graphs: with their very answers, or known not to have them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

from labelsvc.errors import LabelsvcError
from labelsvc.student.estimators import FEATURES, convert, is_convertible

WIDTH = 6
ROWS = np.random.default_rng(0).normal(size=(300, WIDTH)).astype(np.float32)
BLEND = (("linear", LogisticRegression()), ("trees", ExtraTreesClassifier(10, random_state=0)))
KINDS: dict[str, Any] = {
    "logistic regression": LogisticRegression(),
    "SVM": CalibratedClassifierCV(SVC(), cv=3),
    "SVM, of all rows": CalibratedClassifierCV(SVC(), cv=3, ensemble=False),
    "gradient boosting": HistGradientBoostingClassifier(max_iter=20),
    "random forest": RandomForestClassifier(20, random_state=0),
    "extra trees": ExtraTreesClassifier(20, random_state=0),
    "perceptron": MLPClassifier((16,), max_iter=2_000, tol=1e-2, random_state=0),
    "stochastic gradients": SGDClassifier(loss="log_loss", random_state=0),
    "standardised": make_pipeline(StandardScaler(), PCA(3), LogisticRegression()),
    "the tutorial's": make_pipeline(
        Normalizer(), PCA(3), PolynomialFeatures(2), SGDClassifier(loss="log_loss", random_state=0)
    ),
    "blend": VotingClassifier([*BLEND], voting="soft"),
    "weighted blend": VotingClassifier([*BLEND], voting="soft", weights=[1, 3]),
    "blend of a pipeline": VotingClassifier(
        [("scaled", make_pipeline(StandardScaler(), PCA(3), SGDClassifier(loss="log_loss", random_state=0))), *BLEND],
        voting="soft",
    ),
}


def classes(several: int) -> NDArray[np.int64]:
    """Return the classes of the rows, of which there are two or three."""
    return (ROWS[:, 0] > 0).astype(np.int64) + (several > 2) * (ROWS[:, 1] * ROWS[:, 2] > 0.5)


@pytest.mark.parametrize("several", [2, 3])
@pytest.mark.parametrize("name", KINDS)
def test_a_graph_answers_as_its_estimator_does(name: str, several: int) -> None:
    """On every row, of two classes as of more."""
    estimator = KINDS[name].fit(ROWS, classes(several))
    graph = convert(estimator, WIDTH)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    said = session.run([graph.graph.output[-1].name], {FEATURES: ROWS})[0]
    assert np.abs(said - estimator.predict_proba(ROWS)).max() <= 2e-5
    assert is_convertible(estimator, WIDTH)


def test_a_blend_stays_as_it_was() -> None:
    """Its graph is made of a copy."""
    blend = VotingClassifier([*BLEND], voting="soft", weights=[1, 3]).fit(ROWS, classes(3))
    convert(blend, WIDTH)
    assert blend.flatten_transform is True
    assert blend.weights == [1, 3]


def test_a_graph_that_answers_otherwise_is_none() -> None:
    """skl2onnx has one of the discriminants of two classes, which is wrong, and a right one of those of three."""
    told = [is_convertible(LinearDiscriminantAnalysis().fit(ROWS, classes(several)), WIDTH) for several in (2, 3)]
    assert told == [False, True]


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to get it."""
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(LabelsvcError, match=r"pip install 'labelsvc\[tables\]'"):
        convert(LogisticRegression().fit(ROWS, classes(2)), WIDTH)
