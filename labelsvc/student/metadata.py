"""What a student's file says of itself beside its weights: the policy that it labels by, and what its pool looked like.

Text in the file's metadata, by the names below. Written at export, read wherever the file is used; loads neither torch,
onnx nor onnxruntime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from labelsvc.config import DEFAULT_THRESHOLD

INPUT = "labelsvc.input"  # JSON: the shape of its input
VECTOR = "vector"  # the name of the input of a student of vectors
PROBABILITIES = "probabilities"  # the name of the output of every student
NO_TIME = -(2**63)  # what a null time is to a student of tables
POLICY = "labelsvc.policy"
POOL = "labelsvc.pool"
BINS = 10  # of equal width, of confidence

LITTLE, MUCH = 0.1, 0.25  # from which population stability indices tell of some change, and of a different population


@dataclass(frozen=True)
class StudentPolicy:
    """A label counts from a confidence on: of its class where it has a threshold of its own, else of all."""

    threshold: float = DEFAULT_THRESHOLD
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    origin: str = ""  # where the thresholds come from, in words: a certificate, or a label set's policy
    target_precision: float | None = None  # what the thresholds were chosen for
    confidence_level: float | None = None

    def accepts(
        self, best: NDArray[np.int64], confidence: NDArray[np.float64], classes: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Return which rows get a label, by their best classes [rows] and how sure of these the student is."""
        thresholds = np.array([self.class_thresholds.get(name, self.threshold) for name in classes])
        accepted: NDArray[np.bool_] = confidence >= thresholds[best]
        return accepted


@dataclass(frozen=True)
class Words:
    """What a student said of many rows at once: how often each class was its best, and how sure it was of it.

    ``confidence`` counts rows in ``BINS`` equal bins from 0 to 1. Words of several batches add up.
    """

    classes: tuple[int, ...]
    confidence: tuple[int, ...]

    @classmethod
    def of(cls, best: NDArray[np.int64], confidence: NDArray[np.float64], classes: int) -> Words:
        """Count the best classes [rows] and the confidences [rows] of a batch."""
        bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
        return cls(
            tuple(np.bincount(best, minlength=classes).tolist()), tuple(np.bincount(bins, minlength=BINS).tolist())
        )

    @classmethod
    def none(cls, classes: int) -> Words:
        """Return the words of no rows."""
        return cls((0,) * classes, (0,) * BINS)

    def __add__(self, other: Words) -> Words:
        both = zip(self.classes, other.classes, strict=True), zip(self.confidence, other.confidence, strict=True)
        return Words(*(tuple(one + another for one, another in pairs) for pairs in both))

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(self.confidence)


def best_of(probabilities: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the best class of each row of probabilities [rows, classes], and how sure the student is of it.

    >>> best_of(np.array([[0.25, 0.75]], np.float32))
    (array([1]), array([0.75]))
    """
    return probabilities.argmax(axis=1), probabilities.max(axis=1).astype(np.float64)


def policy_in_force(own: StudentPolicy | None, threshold: float | None) -> StudentPolicy:
    """Return the policy that counts: a threshold that was asked for, else the file's ``own``, else the default."""
    if threshold is not None:
        return StudentPolicy(threshold, origin="--threshold")
    return own or StudentPolicy(origin="the default, as the student's file names none")


def stability(expected: Sequence[int], seen: Sequence[int]) -> float:
    """Return the population stability index of two counts over the same bins: Σ (s − e) · ln(s / e) of their shares.

    Equal shares give 0, but for the half row that is added to each bin, so that an empty one is no infinite surprise.
    Siddiqi, "Credit Risk Scorecards", 2006, reads 0.1 as some change and 0.25 as a different population.

    >>> stability([50, 50], [500, 500]), round(stability([90, 10], [50, 50]), 2)
    (0.0, 0.85)
    """
    e, s = ((np.asarray(counts) + 0.5) / (sum(counts) + 0.5 * len(counts)) for counts in (expected, seen))
    return float(((s - e) * np.log(s / e)).sum()) + 0.0


def policy_of(metadata: Mapping[str, str]) -> StudentPolicy | None:
    """Return the policy that a file brings, None where it brings none."""
    return StudentPolicy(**json.loads(metadata[POLICY])) if POLICY in metadata else None


def pool_of(metadata: Mapping[str, str]) -> Words | None:
    """Return what the student said of its pool, None where the file does not tell."""
    if POOL not in metadata:
        return None
    told = json.loads(metadata[POOL])
    return Words(tuple(told["classes"]), tuple(told["confidence"]))


def as_metadata(policy: StudentPolicy | None, pool: Words | None) -> dict[str, str]:
    """Return both as a file keeps them."""
    told = {POLICY: policy, POOL: pool}
    return {name: json.dumps(asdict(what)) for name, what in told.items() if what is not None}
