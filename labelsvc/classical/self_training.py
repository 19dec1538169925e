"""Self-training: what a teacher says of the pool is what it learns from next.

Two ways. "growing", as it should be: after Cascante-Bonilla et al., "Curriculum Labeling", AAAI 2021, each round takes
a growing share of the pool, the surest rows of each class as it was predicted, refits from nothing, and freezes no
label. With n the round of R, p(u) the words on the row u of a teacher that has not learnt from u, c(u) = argmax p(u):

    S_n = for each class c: the n / R surest rows u with c(u) = c, by max p(u) · ρ(u)
    fit on labeled rows (weight 1) and S_n under c(u) (weight w · max p(u))

p is out of fold: the pool is in two halves, and each is spoken of by the teacher that learnt from the other, so that no
row confirms itself. ρ is how dense the pool is around u, between 0 and 1: the mean similarity to its k nearest rows, as
in information density (Settles and Craven 2008), so that outliers come last. Where there are validation rows, it stops
with the round before the one that is less often right on them.

"tutorial", as the tutorial does: each iteration draws a share of the pool at random, labels it, joins it to what is
labeled and refits, until the pool is used up; labels are frozen. Its code keeps rows of a probability under .4 or over
.6, which for two classes is "not undecided"; of ten, nearly every row has a class under .4, so that the rule keeps all.
``threshold`` is the rule that was meant: rows whose likeliest class reaches it; 0 keeps all, as the code does. With
``ramp``, pseudo-labels weigh α(t), which grows as Lee's (2013): 0 until a sixth of the iterations, 3 from the end on.

scikit-learn's SelfTrainingClassifier takes every row over a raw .9 and keeps it for ever; it lowered the accuracy in 12
of 14 cases that were measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.classical.estimated import log_probabilities
from labelsvc.classical.lesson import Features, Lesson
from labelsvc.methods.hyperparameters import check, choice, number, truth
from labelsvc.records import ClassCodes

Make = Callable[[], Any]  # an unfitted estimator
HALVES = 2
LARGEST_WEIGHT = 3.0  # α_f of Lee's ramp


@dataclass(frozen=True)
class Turn:
    """A round: how many rows of the pool were learnt from, and the accuracy on rows that nobody learnt from."""

    rows: int
    accuracy: float | None


@dataclass(frozen=True)
class Taught:
    """A fitted estimator, the rounds that led to it, and why there were no more."""

    estimator: Any
    turns: tuple[Turn, ...]
    stop_reason: str


@dataclass(frozen=True)
class Exam:
    """Rows that nobody learns from, with their classes."""

    features: Features
    classes: ClassCodes


@dataclass(frozen=True)
class SelfTraining:
    """Wrap any teacher of tables and vectors."""

    way: str = choice("growing", ("growing", "tutorial"), "how rows of the pool are taken in")
    rounds: int = number(5, 1, 100, "of growing: how many; each takes as much of the pool more", symbol="R")
    pool_weight: float = number(0.5, 0, 10, "of growing: of a pool row beside a labeled one", symbol="w")
    neighbours: int = number(10, 1, 1000, "of growing: by which density is told", symbol="k")
    density: bool = truth(default=True, meaning="of growing: whether rows in dense places come first")
    sample_rate: float = number(0.04, 0, 1, "of tutorial: the share of the pool drawn in each iteration", is_open=True)
    threshold: float = number(0.0, 0, 1, "of tutorial: the confidence from which a drawn row is kept")
    ramp: bool = truth(default=False, meaning="of tutorial: whether pseudo-labels weigh more as time goes on")

    citation = "Scudder 1965; Cascante-Bonilla et al., AAAI 2021"
    advice = (
        "For tables and vectors whose classes lie in clusters. It amplifies what a teacher believes: take it where the "
        "comparison of --method auto shows that it wins."
    )

    def __post_init__(self) -> None:
        check(self)

    def fit(self, lesson: Lesson, make: Make, *, seed: int = 0, exam: Exam | None = None) -> Taught:
        """Fit a teacher to labeled rows and, in rounds, to what it says of the pool."""
        if not len(lesson.pool):
            return Taught(_Added.none(lesson).fit(make(), lesson), (), "there is no pool")
        if self.way == "tutorial":
            return self._drawn(lesson, make, seed)
        return self._growing(lesson, make, seed, exam)

    def _growing(self, lesson: Lesson, make: Make, seed: int, exam: Exam | None) -> Taught:
        dense = _density(lesson.pool, self.neighbours) if self.density else np.ones(len(lesson.pool))
        half = np.random.default_rng(seed).permutation(len(lesson.pool)) % HALVES
        before = added = _Added.none(lesson)
        turns: list[Turn] = []
        for number_ in range(1, self.rounds + 1):
            said, accuracy = _out_of_fold(lesson, make, added, half, exam)
            turns.append(Turn(len(added.rows), accuracy))
            if _fell(turns):
                return Taught(before.fit(make(), lesson), tuple(turns), "the last round was right less often")
            before, added = added, _surest(said, dense, number_ / self.rounds, self.pool_weight)
        return Taught(added.fit(make(), lesson), (*turns, Turn(len(added.rows), None)), "all of the pool was used")

    def _drawn(self, lesson: Lesson, make: Make, seed: int) -> Taught:
        order = np.random.default_rng(seed).permutation(len(lesson.pool))
        size = max(1, round(self.sample_rate * len(order)))
        starts = range(0, len(order), size)
        added = _Added.none(lesson)
        estimator = added.fit(make(), lesson)
        turns: list[Turn] = []
        for place, start in enumerate(starts):
            rows = lesson.pool[order[start : start + size]]
            said = np.exp(log_probabilities(estimator, rows, lesson.class_count))
            kept = said.max(axis=1) >= self.threshold
            drawn, classes = order[start : start + size][kept], said[kept].argmax(axis=1).astype(np.int32)
            added = added.joined(drawn, classes, self._alpha(place, len(starts)))
            estimator = added.fit(make(), lesson)
            turns.append(Turn(len(added.classes), None))
        return Taught(estimator, tuple(turns), "all of the pool was used")

    def _alpha(self, place: int, iterations: int) -> float:
        """Return α(t), or 1 without a ramp."""
        progress = (place + 1) / iterations
        return LARGEST_WEIGHT * float(np.clip((progress - 1 / 6) / (1 - 1 / 6), 0, 1)) if self.ramp else 1.0


@dataclass(frozen=True)
class _Added:
    """Rows of the pool, by their places, with the classes that a teacher gave them, and how much each weighs."""

    rows: NDArray[np.int64]
    classes: ClassCodes
    weights: NDArray[np.float64]

    @classmethod
    def none(cls, lesson: Lesson) -> _Added:
        return cls(np.empty(0, np.int64), lesson.classes[:0], np.empty(0))

    def joined(self, rows: NDArray[np.int64], classes: ClassCodes, weight: float) -> _Added:
        """Return these and further rows, all of them at one weight."""
        both = np.concatenate([self.classes, classes])
        return _Added(np.concatenate([self.rows, rows]), both, np.full(len(both), weight))

    def where(self, chosen: NDArray[np.bool_]) -> _Added:
        """Return those of which ``chosen`` is true."""
        return _Added(self.rows[chosen], self.classes[chosen], self.weights[chosen])

    def fit(self, estimator: Any, lesson: Lesson) -> Any:  # noqa: ANN401
        """Fit an estimator to the labeled rows and these."""
        heard = self.where(self.weights > 0)
        rows = np.concatenate([lesson.labeled, lesson.pool[heard.rows]])
        classes = np.concatenate([lesson.classes, heard.classes])
        return _fit(estimator, rows, classes, np.concatenate([np.ones(len(lesson.classes)), heard.weights]))


def _out_of_fold(
    lesson: Lesson, make: Make, added: _Added, half: NDArray[np.int64], exam: Exam | None
) -> tuple[NDArray[np.float32], float | None]:
    """Return p [pool, classes], by teachers that learnt from the other half, and how often these are right."""
    said = np.empty((len(lesson.pool), lesson.class_count), np.float32)
    answers: list[NDArray[np.float32]] = []
    for number_ in range(HALVES if len(added.rows) else 1):
        others = added.where(half[added.rows] != number_)
        teacher = others.fit(make(), lesson)
        asked = half == number_ if len(added.rows) else np.ones(len(half), bool)
        said[asked] = np.exp(log_probabilities(teacher, lesson.pool[asked], lesson.class_count))
        if exam is not None:
            answers.append(np.exp(log_probabilities(teacher, exam.features, lesson.class_count)))
    if exam is None:
        return said, None
    return said, float((np.mean(answers, axis=0).argmax(axis=1) == exam.classes).mean())


def _fit(estimator: Any, rows: Features, classes: ClassCodes, weights: NDArray[np.float64]) -> Any:  # noqa: ANN401
    from sklearn.utils.validation import has_fit_parameter

    if not has_fit_parameter(estimator, "sample_weight"):
        return estimator.fit(rows, classes)
    return estimator.fit(rows, classes, sample_weight=weights)


def _surest(said: NDArray[np.float32], dense: NDArray[np.float64], share: float, weight: float) -> _Added:
    """Return of each class, as it was predicted, the surest share of its rows, at least one."""
    classes, confidence = said.argmax(axis=1).astype(np.int32), said.max(axis=1)
    chosen: list[NDArray[np.int64]] = []
    for code in np.unique(classes):
        rows = np.flatnonzero(classes == code)
        order = np.argsort(-(confidence[rows] * dense[rows]), kind="stable")
        chosen.append(rows[order[: max(1, round(share * len(rows)))]])
    kept = np.sort(np.concatenate(chosen))
    return _Added(kept, classes[kept], weight * confidence[kept].astype(np.float64))


def _density(pool: Features, neighbours: int) -> NDArray[np.float64]:
    """Return how dense the pool is around each of its rows: e to the minus distance over the median, on average."""
    from sklearn.neighbors import NearestNeighbors

    count = min(neighbours, len(pool) - 1)
    if count < 1:
        return np.ones(len(pool))
    distances, _ = NearestNeighbors(n_neighbors=count).fit(pool).kneighbors()
    usual = max(float(np.median(distances)), 1e-12)
    found: NDArray[np.float64] = np.exp(-distances / usual).mean(axis=1)
    return found


def _fell(turns: list[Turn]) -> bool:
    if len(turns) < 2:
        return False
    now, before = turns[-1].accuracy, turns[-2].accuracy
    return now is not None and before is not None and now < before


def rounds_told(turns: tuple[Turn, ...]) -> Iterator[str]:
    """Yield what each round came to, in words."""
    for number_, turn in enumerate(turns):
        exam = "" if turn.accuracy is None else f", {turn.accuracy:.1%} right on validation rows"
        yield f"round {number_}: {turn.rows:,} rows of the pool{exam}"
