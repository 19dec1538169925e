"""What can be known before anything is spent: what a promise costs, and whether pseudo-labels are likely to help.

The arithmetic is exact and reads no label. The outlook is an estimate: a logistic regression on features that no
training made learns growing shares of the labels and is tested on the rest of them, in folds. That says how hard the
task is and how much labels matter, not what a network will reach; a network that learns from the pool is better, as a
rule, and better by more where pictures are complicated. Knows nothing of stores, files and pictures: it is given
features and classes, of train and validation rows only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from labelsvc.classical.lesson import dealt
from labelsvc.labeling.bounds import look_level, lower_bound, most_wrong, p_value_of_rest, rows_needed
from labelsvc.labeling.patches import Features, compact
from labelsvc.records import ClassCodes

SHARES = (0.125, 0.25, 0.5, 1.0)  # of the labels, of which the curve is made
FOLDS = 5
WRONG = (0, 1, 2)  # rows among the checked ones, for which the arithmetic is told
DIMENSIONS = 128
STRENGTH = 0.1  # C of the logistic regression
FEW_SUREST = 10  # fewer accepted rows than these say nothing

LEVEL = 0.01  # of the tests whether anything at all was learnt
ENOUGH_RIGHT = 0.7  # of the surest fifth of the answers, proven at 5%: else they mislead more than they teach
TOP, FLAT_GAIN = 0.95, 0.01  # accuracy, and what doubling the labels may still add where there is nothing to gain
COVERED = 0.5  # of the pool, that must lie near labeled rows


@dataclass(frozen=True)
class Promise:
    """What a precision costs in checked rows, and what the rows at hand can promise at best.

    ``needed[w]`` and ``best[w]`` are for w wrong ones among the rows that are accepted and checked; ``audit`` and
    ``needed`` are None where no number does.
    """

    precision: float
    confidence: float
    audit: int | None  # rows to judge where all of δ is spent at once, none of them wrong
    look: int  # the next look at this workspace's calibration rows
    needed: tuple[int | None, ...]  # calibration rows to accept at that look
    calibration: int  # how many there are
    best: tuple[float, ...]

    @property
    def missing(self) -> int | None:
        """How many calibration rows are missing even if all are accepted and none is wrong."""
        return None if self.needed[0] is None else max(self.needed[0] - self.calibration, 0)


def promise(
    precision: float, confidence: float, *, calibration: int, pool: int | None = None, look: int = 1
) -> Promise:
    """Return the arithmetic of a precision that is to hold at a confidence, for 0, 1 and 2 wrong rows.

    Where the ``pool``'s rows are given, all of them are taken to be accepted.

    >>> found = promise(0.95, 0.95, calibration=200)
    >>> found.audit, found.needed[0], found.missing, round(found.best[0], 4)
    (59, 61, 0, 0.9846)
    """
    delta = 1 - confidence
    level = look_level(look, delta)
    return Promise(
        precision,
        confidence,
        audit=rows_needed(precision, delta),
        look=look,
        needed=tuple(_needed(precision, level, wrong, pool) for wrong in WRONG),
        calibration=calibration,
        best=tuple(_best(calibration, wrong, level, pool) for wrong in WRONG),
    )


def _needed(precision: float, level: float, wrong: int, pool: int | None) -> int | None:
    """Return how many calibration rows it takes, the pool being as large as it is."""
    endless = rows_needed(precision, level, wrong)
    if endless is None or pool is None:
        return endless
    most = endless
    while p_value_of_rest(most, wrong, precision, pool) > level:
        most *= 2
    fitting = range(endless, most + 1)
    return fitting[
        bisect_left(fitting, x=True, key=lambda rows: p_value_of_rest(rows, wrong, precision, pool) <= level)
    ]


def _best(checked: int, wrong: int, level: float, pool: int | None) -> float:
    """Return the largest precision that so many calibration rows let be promised of the pool."""
    if pool is None or not checked or wrong >= checked:
        return lower_bound(checked, wrong, level)
    in_pool = most_wrong(checked, wrong, level, checked + pool) - wrong
    return 1 - in_pool / pool if pool else 0.0


@dataclass(frozen=True)
class CurvePoint:
    """The accuracy, on labels held out in turn, of a model that learnt from so many labels; ``error`` is its own."""

    labels: int
    accuracy: float
    error: float


@dataclass(frozen=True)
class Evidence:
    """What was measured on the labels, and of the pool's place among them."""

    counts: tuple[int, ...]  # labels of each class
    guess: float  # the accuracy of always naming the most frequent class
    curve: tuple[CurvePoint, ...]
    gain: float  # accuracy that the last doubling of labels brought
    gain_error: float
    agreement: float  # how often a label is that of the nearest other labeled row
    agreement_by_chance: float
    surest_right: tuple[int, int]  # of the surest fifth of the answers: how many are right, of how many
    precision: float
    reaching: float  # the share of answers, the surest ones, that are right as often as ``precision``
    covered: float | None  # the share of the pool near labeled rows; None without a pool

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return sum(self.counts)

    @property
    def accuracy(self) -> float:
        """The accuracy at the curve's end."""
        return self.curve[-1].accuracy if self.curve else 0.0


@dataclass(frozen=True)
class Verdict:
    """Whether pseudo-labels will likely help, and why."""

    helps: bool
    reason: str

    def __str__(self) -> str:
        return f"pseudo-labels will {'likely help' if self.helps else 'not help reliably'}, because {self.reason}"


def gather(
    features: Features, classes: ClassCodes, pool: Features, *, class_count: int, precision: float, seed: int = 0
) -> Evidence:
    """Measure labels and pool by their features [rows, features]."""
    counts = np.bincount(classes, minlength=class_count)
    places = compact(np.concatenate([features, pool]), DIMENSIONS, seed=seed)
    labeled, others = places[: len(classes)], places[len(classes) :]
    shares = counts / max(len(classes), 1)
    told = _tell(labeled, classes, seed) if np.count_nonzero(counts) > 1 else None
    nearest = _nearest(labeled, classes, others)
    last = told[-1] if told else _Told.nothing()
    gains = last.right.astype(float) - (told[-2].right if told and len(told) > 1 else last.right)
    return Evidence(
        counts=tuple(int(count) for count in counts),
        guess=float(shares.max(initial=0)),
        curve=tuple(one.point for one in told or ()),
        gain=float(gains.mean()) if len(gains) else 0.0,
        gain_error=float(np.sqrt((gains**2).sum() + 1) / max(len(gains), 1)),  # one more, as there may be by chance
        agreement=nearest.agreement,
        agreement_by_chance=float((shares**2).sum()),
        surest_right=last.surest_right(),
        precision=precision,
        reaching=last.reaching(precision),
        covered=nearest.covered,
    )


@dataclass(frozen=True)
class _Told:
    """Answers on labels held out in turn: how sure, whether right, and from how many labels, on average."""

    labels: int
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]

    @classmethod
    def nothing(cls) -> _Told:
        return cls(0, np.empty(0), np.empty(0, bool))

    @property
    def point(self) -> CurvePoint:
        accuracy = float(self.right.mean())
        return CurvePoint(self.labels, accuracy, float(np.sqrt(accuracy * (1 - accuracy) / len(self.right))))

    def surest(self) -> NDArray[np.bool_]:
        """Return which answers are right, the surest first."""
        return self.right[np.argsort(-self.confidence, kind="stable")]

    def surest_right(self) -> tuple[int, int]:
        fifth = self.surest()[: max(len(self.right) // 5, FEW_SUREST)]
        return int(fifth.sum()), len(fifth)

    def reaching(self, precision: float) -> float:
        precisions = np.cumsum(self.surest()) / np.arange(1, len(self.right) + 1)
        enough = np.flatnonzero(precisions[FEW_SUREST - 1 :] >= precision)
        return (int(enough[-1]) + FEW_SUREST) / len(self.right) if len(enough) else 0.0


def _tell(features: Features, classes: ClassCodes, seed: int) -> list[_Told]:
    """Answer every label from a growing share of those outside its fold, nested, of each class alike."""
    place = dealt(classes, seed)
    fold = place % FOLDS
    told: list[_Told] = []
    for share in SHARES:
        confidence, right, learnt = np.zeros(len(classes)), np.zeros(len(classes), bool), 0
        for one in range(FOLDS):
            tested = fold == one
            lesson = np.flatnonzero(~tested)
            lesson = lesson[_first(place[lesson], classes[lesson], share)]
            answers, confidence[tested] = _answers(features[lesson], classes[lesson], features[tested])
            right[tested] = answers == classes[tested]
            learnt += len(lesson)
        if not told or round(learnt / FOLDS) > told[-1].labels:  # of few labels, a smaller share may be the same
            told.append(_Told(round(learnt / FOLDS), confidence, right))
    return told


def _first(place: NDArray[np.int64], classes: ClassCodes, share: float) -> NDArray[np.bool_]:
    """Return which rows are the first ``share`` of their class, at least one."""
    chosen = np.zeros(len(classes), bool)
    for code in np.unique(classes):
        rows = np.flatnonzero(classes == code)
        wanted = max(1, round(share * len(rows)))
        chosen[rows[np.argsort(place[rows])[:wanted]]] = True
    return chosen


def _answers(features: Features, classes: ClassCodes, asked: Features) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Learn, and return the likeliest class of each asked row with its probability."""
    if len(np.unique(classes)) == 1:
        return np.full(len(asked), classes[0]), np.ones(len(asked))
    if not len(asked):
        return np.empty(0, np.int64), np.empty(0)
    model = LogisticRegression(C=STRENGTH, max_iter=5_000).fit(features, classes)
    scores = model.predict_proba(asked)
    return model.classes_[scores.argmax(axis=1)], scores.max(axis=1)


@dataclass(frozen=True)
class _Nearest:
    agreement: float
    covered: float | None


def _nearest(features: Features, classes: ClassCodes, pool: Features) -> _Nearest:
    """Compare each labeled row with its nearest other, and ask how much of the pool has one as near.

    Near is what is nearer than nineteen of twenty labeled rows are to each other.
    """
    if len(features) < 2:
        return _Nearest(0.0, 0.0 if len(pool) else None)
    index = NearestNeighbors(n_neighbors=1).fit(features)
    distances, rows = index.kneighbors()  # of the fitted rows, themselves left out
    agreement = float((classes[rows[:, 0]] == classes).mean())
    if not len(pool):
        return _Nearest(agreement, None)
    reach = np.quantile(distances[:, 0], 0.95)
    return _Nearest(agreement, float((index.kneighbors(pool, 1)[0][:, 0] <= reach).mean()))


def judge(evidence: Evidence, names: Sequence[str]) -> Verdict:
    """Say whether pseudo-labels will likely help: not where one of the known reasons against them holds."""
    reasons = (_no_pool, _too_few, _not_learnt, _not_covered, _too_wrong, _nothing_to_gain)
    for reason in reasons:
        against = reason(evidence, names)
        if against is not None:
            return Verdict(helps=False, reason=against)
    return Verdict(helps=True, reason=f"{_risen(evidence)}, {_surest(evidence)}")


def _risen(evidence: Evidence) -> str:
    before, last = evidence.curve[-2:][0], evidence.curve[-1]
    said = f"the labels can be learnt ({last.accuracy:.1%} right from {last.labels:,} of them"
    if evidence.gain <= evidence.gain_error:
        return f"{said})"
    return f"{said}, {before.accuracy:.1%} from {before.labels:,})"


def _surest(evidence: Evidence) -> str:
    if not evidence.reaching:
        return (
            f"but no share of the answers is right {100 * evidence.precision:g}% of the time yet, so expect few labels"
        )
    whose = "all answers" if evidence.reaching == 1 else f"the surest {evidence.reaching:.0%} of the answers"
    return f"and {whose} are already right {100 * evidence.precision:g}% of the time"


def _no_pool(evidence: Evidence, _: Sequence[str]) -> str | None:
    return None if evidence.covered is not None else "there is no pool; ingest rows without a label"


def _too_few(evidence: Evidence, names: Sequence[str]) -> str | None:
    lacking = [name for name, count in zip(names, evidence.counts, strict=True) if count < 2]
    if sum(count > 0 for count in evidence.counts) < 2:
        return "labels of fewer than two classes teach nothing; bring labels of every class"
    if not lacking:
        return None
    shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    return (
        f"there is at most one label of a class ({shown}): whether it is told apart cannot be known, and what is told "
        "wrongly would be learnt; bring at least five labels of each class"
    )


def _not_learnt(evidence: Evidence, _: Sequence[str]) -> str | None:
    if _is_learnt(evidence):
        return None
    return (
        f"the pictures do not tell the labels, or {evidence.labels:,} labels are too few to see it: "
        f"{evidence.accuracy:.1%} are guessed right ({evidence.guess:.1%} by always naming one class) and "
        f"{evidence.agreement:.1%} agree with their nearest neighbour's ({evidence.agreement_by_chance:.1%} by chance)"
    )


def _not_covered(evidence: Evidence, _: Sequence[str]) -> str | None:
    if evidence.covered is None or evidence.covered >= COVERED:
        return None
    return f"only {evidence.covered:.0%} of the pool lies near a labeled row; label some of the rest first"


def _too_wrong(evidence: Evidence, _: Sequence[str]) -> str | None:
    right, of = evidence.surest_right
    if lower_bound(of, of - right, 0.05) >= ENOUGH_RIGHT:
        return None
    return (
        f"too many would be wrong: even of the surest fifth of the answers only {right:,} of {of:,} are right; "
        "bring more labels first"
    )


def _nothing_to_gain(evidence: Evidence, _: Sequence[str]) -> str | None:
    if evidence.accuracy < TOP or max(evidence.gain, 0) + 2 * evidence.gain_error >= FLAT_GAIN:
        return None
    return (
        f"there is little to gain: {evidence.accuracy:.1%} are right, and the second half of the labels brought "
        f"{100 * evidence.gain:+.1f} points"
    )


def _is_learnt(evidence: Evidence) -> bool:
    """Return whether answers or neighbours are right more often than chance has it."""
    rows = evidence.labels
    right, agreeing = round(evidence.accuracy * rows), round(evidence.agreement * rows)
    by_answers = bdtrc(right - 1, rows, evidence.guess) if right else 1.0
    by_neighbours = bdtrc(agreeing - 1, rows, evidence.guess) if agreeing else 1.0
    return bool(min(by_answers, by_neighbours) < LEVEL / 2)
