"""A fitted scikit-learn classifier as the body of a classifier, so that whatever asks a network may ask it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from labelsvc.networks import Classifier
from labelsvc.records import InputShape, Preprocessing

FLOOR = 1e-6  # of a probability: a forest says 0 of what none of its trees says, and its logarithm is taken


class Estimated(nn.Module):
    """Features [batch, features] to the logarithms of the probabilities of all classes, which serve as logits.

    A class that the estimator never met has the probability ``FLOOR``.
    """

    def __init__(self, estimator: Any, classes: int) -> None:  # noqa: ANN401 - scikit-learn ships no types
        super().__init__()
        self.estimator = estimator
        self.classes = classes

    def forward(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Return log p of each class."""
        found = log_probabilities(self.estimator, features.cpu().numpy(), self.classes)
        return torch.from_numpy(found).to(features.device)


def log_probabilities(
    estimator: Any,  # noqa: ANN401 - see above
    features: NDArray[np.float32],
    classes: int,
) -> NDArray[np.float32]:
    """Return the logarithms of an estimator's probabilities [rows, classes], not below that of ``FLOOR``."""
    if not len(features):
        return np.empty((0, classes), np.float32)
    said = np.zeros((len(features), classes))
    said[:, estimator.classes_.astype(np.int64)] = estimator.predict_proba(features)
    found: NDArray[np.float32] = np.log(np.clip(said, FLOOR, 1)).astype(np.float32)
    return found


def as_classifier(estimator: Any, shape: InputShape, classes: int) -> Classifier:  # noqa: ANN401 - see above
    """Return a fitted estimator as a classifier of inputs of a shape."""
    return Classifier(Estimated(estimator, classes), Preprocessing(shape))
