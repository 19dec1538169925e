"""The classical teachers by name, in one table, and scikit-learn's other classifiers by their path.

They are given features of about the same size (``networks.features``), so none scales its inputs again. Defaults are
for some hundreds or thousands of labels (decision log, 2026-11-28).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labelsvc.errors import UsageError

AUTO = ("logistic-regression", "svm", "gradient-boosting", "random-forest", "extra-trees", "sklearn-mlp")
OWN = "sklearn."  # the paths that need no word of the user's


def _logistic_regression(seed: int) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.5, max_iter=2_000, random_state=seed)


def _svm(seed: int) -> Any:  # noqa: ANN401
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.svm import SVC

    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(SVC(C=10.0), cv=folds, ensemble=False)


def _gradient_boosting(seed: int) -> Any:  # noqa: ANN401
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=100,
        max_depth=2,
        min_samples_leaf=5,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )


def _random_forest(seed: int) -> Any:  # noqa: ANN401
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(300, min_samples_leaf=3, max_features=0.2, n_jobs=-1, random_state=seed)


def _extra_trees(seed: int) -> Any:  # noqa: ANN401
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(300, n_jobs=-1, random_state=seed)


def _mlp(seed: int) -> Any:  # noqa: ANN401
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((256,), alpha=0.1, max_iter=400, random_state=seed)


def _label_spreading(seed: int) -> Any:  # noqa: ANN401, ARG001 - nothing of it is left to chance
    from sklearn.semi_supervised import LabelSpreading

    return LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.9, max_iter=50)


def _quadratic(seed: int) -> Any:  # noqa: ANN401
    """Return the tutorial's: rows of length 1, 50 principal components, their 1,326 products, logistic regression."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, PolynomialFeatures

    components = PCA(50, random_state=seed)
    last = SGDClassifier(loss="log_loss", alpha=1e-5, random_state=seed)
    return make_pipeline(Normalizer(), components, PolynomialFeatures(2), last)


TEACHERS: Mapping[str, Callable[[int], Any]] = {
    "logistic-regression": _logistic_regression,
    "svm": _svm,
    "gradient-boosting": _gradient_boosting,
    "random-forest": _random_forest,
    "extra-trees": _extra_trees,
    "sklearn-mlp": _mlp,
    "label-spreading": _label_spreading,
    "quadratic-sgd": _quadratic,
}
FROM_POOL = frozenset({"label-spreading"})  # that learn from rows without labels by themselves
AND = "+"  # between the names of teachers whose probabilities are averaged


def is_classical(network: str) -> bool:
    """Say whether a network's name is a classical teacher's, or the path of a class.

    >>> is_classical("svm"), is_classical("sklearn.naive_bayes.GaussianNB"), is_classical("mlp")
    (True, True, False)
    """
    return all(name in TEACHERS or "." in name for name in network.split(AND))


def make(name: str, seed: int, *, trust_import: bool = False) -> Any:  # noqa: ANN401 - see above
    """Return an unfitted classifier by its name in the table, or by the path of its class, with that one's defaults.

    Of several names, joined by +, it is their blend: the mean of their probabilities.

    Raises:
        UsageError: there is no such teacher or class; it gives no probabilities; or it is neither scikit-learn's nor
            trusted.
    """
    if AND in name:
        return _blend(name.split(AND), seed, trust_import=trust_import)
    if name in TEACHERS:
        return TEACHERS[name](seed)
    if "." not in name:
        raise UsageError(
            f"no teacher is called {name!r}; there are {', '.join(TEACHERS)}, and any sklearn.* classifier"
        )
    if not name.startswith(OWN) and not trust_import:
        raise UsageError(
            f"{name} is not scikit-learn's, and importing it runs its code; say --trust-import on the command line if "
            "you trust it"
        )
    return _by_path(name, seed)


def _blend(names: Sequence[str], seed: int, *, trust_import: bool) -> Any:  # noqa: ANN401 - see above
    from sklearn.ensemble import VotingClassifier

    members = [(name, make(name, seed, trust_import=trust_import)) for name in names]
    return VotingClassifier(members, voting="soft", flatten_transform=False)


def _by_path(name: str, seed: int) -> Any:  # noqa: ANN401 - see above
    module, _, kind = name.rpartition(".")
    try:
        estimator = getattr(importlib.import_module(module), kind)()
    except (ImportError, AttributeError, TypeError) as error:
        raise UsageError(f"there is no classifier {name} that can be made without arguments: {error}") from error
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict_proba")):
        raise UsageError(f"{name} gives no probabilities (no predict_proba), so that it cannot teach; name another one")
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=seed)
    return estimator
