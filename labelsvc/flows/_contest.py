"""Teachers of tables and vectors compared by cross-validation on the labeled rows; the best one is taken.

Rows whose labels are held out join the pool, where they really would be. Supervised teachers come first, then the
blend of the three best of scikit-learn's. What learns from the pool (self-training of the best of these, a network,
labels that spread) must show that the pool helps: it must gain more than one standard error of log loss on its own
kind without a pool, on the same rows, and neither fit worse nor be right less often than the best of all. Nothing else
decides; no test row is read.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from labelsvc.classical.lesson import Lesson, dealt, out_of_fold
from labelsvc.classical.self_training import Exam, Taught
from labelsvc.classical.teachers import AND, FROM_POOL, make
from labelsvc.config import TrainConfig
from labelsvc.errors import LabelsvcError, UsageError
from labelsvc.flows._candidates import KEPT, Candidate, Contest
from labelsvc.flows._methods import NETWORK, ROWS, SELF_TRAINING, SPREADING, SUPERVISED, Field, self_training, spreading
from labelsvc.flows._room import Assignment, enter
from labelsvc.flows._session import Session
from labelsvc.flows._spreading import arrived, learner
from labelsvc.labeling.calibrate import (
    count_sure,
    fit_temperature,
    honest_temperature,
    negative_log_likelihood,
    probabilities,
)
from labelsvc.labeling.consistency import BEST
from labelsvc.methods import DEFAULT
from labelsvc.methods import make as make_method
from labelsvc.networks import Classifier
from labelsvc.records import SILENCE, LabeledSamples, Listener, Progress, SampleNumbers
from labelsvc.training.loop import Plan, trained
from labelsvc.training.predict import answers_to
from labelsvc.training.probe import steps_for

FOLDS = 5  # alike for all, so that each has learnt from as many labels
FEWEST = 2  # labels of a class, on average, from which rows can be held out
BLENDED = 3
SECONDS = 240.0  # of a comparison and of the training after it, where nothing is said
TEACHERS_SHARE, SELF_TRAINING_SHARE = 0.25, 0.45  # of the time, by which these must have begun
NETWORK_SHARES = {SUPERVISED: 0.1, DEFAULT: 0.25}  # of a budget, that networks are compared in
AGAIN_SHARE = 0.5  # of a budget, by which spreading again must have begun
FINAL_SHARE = 0.3  # of a budget, that is kept for a network that wins
NETWORK_STEPS = {SUPERVISED: 1_000, DEFAULT: 1_500}  # in each fold, where no budget is given
FINAL_STEPS = {SUPERVISED: 1_500, DEFAULT: 6_000, SPREADING: 4_000}  # of a network that wins, where no budget is given
POOL_ROWS = (500, 4_000)  # of the pool, at least and at most, that self-training sees while it is compared
FITS = 10  # of a self-training, about
UNCOMPARED = "extra-trees"  # the teacher where there are too few labels to compare any


@dataclass(frozen=True)
class Entry:
    """A candidate with its words on the labeled rows: log p [labeled, classes]."""

    candidate: Candidate
    said: NDArray[np.float32]


@dataclass
class Judge:
    """A comparison while it lasts."""

    session: Session
    config: TrainConfig
    contest_field: Field
    labeled: LabeledSamples
    pool: SampleNumbers
    lesson: Lesson
    listener: Listener
    entries: list[Entry] = field(default_factory=list)
    failed: list[Candidate] = field(default_factory=list)
    networks: dict[tuple[str, int], Classifier] = field(default_factory=dict)  # by the method and the fold
    started: float = field(default_factory=time.monotonic)

    def judge(self) -> Contest:
        """Compare, or read what an interrupted run had found."""
        path = self.session.folder / KEPT
        if path.exists():
            return Contest.read(path)
        contest = self._compared() if self._is_possible() else self._uncompared()
        contest.write(path)
        return contest

    @property
    def seconds(self) -> float:
        """The budget for all of it."""
        return SECONDS if self.config.budget is None else self.config.budget

    def _is_possible(self) -> bool:
        return len(self.labeled) >= FEWEST * self.lesson.class_count and len(np.unique(self.labeled.classes)) > 1

    def _uncompared(self) -> Contest:
        names, wanted = self.contest_field.teachers, self.contest_field.wanted
        chosen = Candidate(wanted or SUPERVISED, UNCOMPARED if len(names) != 1 else names[0])
        if wanted == SPREADING:
            chosen = Candidate(SPREADING, NETWORK, over=self._ways()[-1])
        reason = f"{len(self.labeled):,} labels are too few to hold some out; {chosen.name} is taken, uncalibrated"
        return Contest((), chosen, 0, reason)

    def _compared(self) -> Contest:
        for name in self.contest_field.teachers:
            if self._has_time(TEACHERS_SHARE) or not self.entries:
                self._try(Candidate(SUPERVISED, name), partial(learnt, name, config=self.config))
        if self.contest_field.blends:
            self._blend()
        if self.contest_field.self_training and len(self.pool) and self.entries:
            self._self_train(self._wrapped())
        if self.contest_field.network:
            self._network(SUPERVISED)
        if not self.entries:
            raise LabelsvcError(f"no teacher could learn from these rows: {'; '.join(self._reasons())}")
        if self.contest_field.network and len(self.pool):
            if self._is_learning_from_pool_tried():
                self._network(DEFAULT)
            self._spread_over_rows()
        contest = self._decided(self._best())
        if contest.chosen.method == SPREADING and spreading(self.config).rounds > 1:
            self._spread_again(contest.chosen)
            contest = self._decided(self._best())
        return contest.having(self._calibrated(contest.chosen))

    def _calibrated(self, chosen: Candidate) -> Candidate:
        """Return a candidate with the temperature that its model takes, and what told it."""
        for entry in self.entries:
            if entry.candidate == chosen:
                logits = entry.said.astype(np.float64)
                temperature = honest_temperature(logits, self.labeled.classes)
                sure, right = count_sure(logits, self.labeled.classes, temperature)
                return replace(chosen, temperature=temperature, sure=sure, sure_right=right)
        return chosen

    def _gain(self, entry: Entry, other: Entry) -> tuple[float, float]:
        """Return how much less one's log loss is than another's on the same rows, and the standard error of that."""
        rows = np.arange(len(self.labeled))
        ours, theirs = (
            np.log(probabilities(one.said.astype(np.float64), one.candidate.temperature)[rows, self.labeled.classes])
            for one in (entry, other)
        )
        gains = ours - theirs
        return float(gains.mean()), float(gains.std() / np.sqrt(len(gains)))

    def _reasons(self) -> Iterator[str]:
        for one in self.failed:
            yield f"{one.name}: {one.reason}"

    def _has_time(self, share: float) -> bool:
        return self.config.steps is not None or time.monotonic() - self.started < share * self.seconds

    def _folds(self) -> NDArray[np.int64]:
        return dealt(self.labeled.classes, self.config.seed) % FOLDS

    def _try(self, candidate: Candidate, learn: Callable[[Lesson], object]) -> None:
        self._tell(candidate)
        begun = time.monotonic()
        try:
            said = out_of_fold(self.lesson, learn, self._folds())
        except (ValueError, np.linalg.LinAlgError) as error:
            self.failed.append(replace(candidate, reason=str(error).splitlines()[0]))
            return
        self._enter(candidate, said, time.monotonic() - begun)

    def _enter(self, candidate: Candidate, said: NDArray[np.float32], seconds: float) -> None:
        classes = self.labeled.classes
        logits = said.astype(np.float64)
        temperature = fit_temperature(logits, classes)
        found = replace(
            candidate,
            accuracy=float((said.argmax(axis=1) == classes).mean()),
            log_loss=negative_log_likelihood(logits, classes, temperature),
            temperature=temperature,
            seconds=seconds,
        )
        self.entries.append(Entry(found, said))

    def _blend(self) -> None:
        """Average the probabilities of the best three; what they said apart is known."""
        best = sorted(self.entries, key=lambda entry: entry.candidate.log_loss or 0.0)[:BLENDED]
        if len(best) < BLENDED:
            return
        said = np.log(np.mean([np.exp(entry.said) for entry in best], axis=0))
        name = AND.join(sorted(entry.candidate.network for entry in best))
        self._enter(Candidate(SUPERVISED, name), said, sum(entry.candidate.seconds for entry in best))

    def _best(self) -> Entry:
        """Return the supervised teacher whose words fit best, which fewer labels tell than how often it is right."""
        supervised = [entry for entry in self.entries if entry.candidate.method == SUPERVISED]
        return min(supervised, key=lambda one: one.candidate.log_loss or 0.0)

    def _wrapped(self) -> Candidate:
        """Return the best single one of scikit-learn's teachers, of which self-training is tried."""
        everybody = [entry.candidate for entry in self.entries]
        singles = [one for one in everybody if AND not in one.network] or everybody
        return min(singles, key=lambda one: one.log_loss or 0.0)

    def _self_train(self, single: Candidate) -> None:
        """Try self-training, on as much of the pool as there is time for."""
        candidate = Candidate(SELF_TRAINING, single.network)
        rows = self._affordable(single)
        if rows < POOL_ROWS[0]:
            self.failed.append(replace(candidate, reason="there was no time left for it"))
            return
        judge = replace(self, lesson=self.lesson.some_of_pool(rows, self.config.seed))
        judge._try(candidate, lambda lesson: self_trained(single.network, lesson, self.config).estimator)

    def _affordable(self, single: Candidate) -> int:
        """Return on how many rows of the pool there is time to compare, if fits are linear in rows."""
        if self.config.steps is not None:
            return POOL_ROWS[1]
        left = SELF_TRAINING_SHARE * self.seconds - (time.monotonic() - self.started)
        each = single.seconds / FOLDS / len(self.labeled)
        return min(POOL_ROWS[1], int(left / (FOLDS * FITS * each)) - len(self.labeled))

    def _ways(self) -> tuple[str, ...]:
        """Return over what labels are to spread; networks' features are named by how these learn."""
        over = spreading(self.config).over
        return (ROWS, DEFAULT, SUPERVISED) if over == BEST else (over,)

    def _is_learning_from_pool_tried(self) -> bool:
        return self.contest_field.wanted is None or DEFAULT in self._ways()

    def _network(self, method: str) -> None:
        """Let a network learn by a method, in its share of the time for each fold, and labels spread over it."""
        candidate = Candidate(method, NETWORK)
        self._tell(candidate)
        begun = time.monotonic()
        fold = self._folds()
        said = np.empty((len(self.labeled), self.lesson.class_count), np.float32)
        try:
            for number in np.unique(fold):
                held = fold == number
                network = self._network_without(method, held)
                self.networks[method, int(number)] = network
                said[held] = log_softmax(answers_to(network, self.lesson.labeled[held])[0], axis=1)
        except UsageError as error:  # there is no time for a single step
            self.failed.append(replace(candidate, reason=str(error)))
            return
        self._enter(candidate, said, time.monotonic() - begun)
        if method in self._ways() and len(self.pool) > 0:
            self._spread(Candidate(SPREADING, NETWORK, over=method))

    def _spread_over_rows(self) -> None:
        if ROWS in self._ways():
            self._spread(Candidate(SPREADING, NETWORK, over=ROWS))

    def _spread_again(self, once: Candidate) -> None:
        """Let labels spread as they did best, and again over what networks make of that, if there is time for it."""
        again = Candidate(SPREADING, NETWORK, once.over, spreading(self.config).rounds)
        if self.config.budget is None or self._has_time(AGAIN_SHARE):
            self._spread(again)
        else:
            self.failed.append(replace(again, reason="there was no time left for it"))

    def _spread(self, candidate: Candidate) -> None:
        self._tell(candidate)
        begun = time.monotonic()
        fold = self._folds()
        said = np.empty((len(self.labeled), self.lesson.class_count), np.float32)
        for number in np.unique(fold):
            network = self.networks.get((candidate.over, int(number)))
            said[fold == number] = self._arrived(network, fold == number, candidate.rounds)
        self._enter(candidate, said, time.monotonic() - begun)

    def _arrived(self, network: Classifier | None, held: NDArray[np.bool_], rounds: int) -> NDArray[np.float32]:
        """Return what arrives at rows whose labels are held out; they are the first of the pool."""
        lesson = self.lesson
        if self.config.budget is not None:
            lesson = lesson.some_of_pool(POOL_ROWS[1], self.config.seed)
        way = replace(spreading(self.config), rounds=rounds)
        lesson, learn = lesson.without(held), learner(self.config)
        return arrived(way, network, lesson, learn, is_balanced=self.config.balanced)[: held.sum()]

    def _network_without(self, name: str, held: NDArray[np.bool_]) -> Classifier:
        """Return a network that learnt from the labels that are not held out, and saw the rows that are."""
        shown = LabeledSamples(self.labeled.numbers[~held], self.labeled.classes[~held])
        method = make_method(name)
        config = replace(self.config, method=name, network=NETWORK, settings={}, spread=False)
        pool = np.union1d(self.pool, self.labeled.numbers[held])
        room = enter(self.session, Assignment("teacher", name, method, shown, pool, config), SILENCE)
        lesson = room.lesson()
        plan = Plan(method, 1, config.seed, room.device)
        steps = NETWORK_STEPS[name] if config.steps is None else config.steps // FOLDS
        if config.budget is not None:
            seconds = self.seconds * NETWORK_SHARES[name] / FOLDS
            steps = steps_for(seconds, room.make_network, lesson, plan)
        return trained(room.make_network, lesson, replace(plan, steps=max(steps, 1)))

    def _decided(self, best: Entry) -> Contest:
        if self.contest_field.wanted is not None:
            return self._as_asked(self.contest_field.wanted, best)
        chosen, reason = best, f"the words of {best.candidate.name} fit best"
        for entry in self.entries:
            if entry.candidate.method == SUPERVISED:
                continue
            gain, _ = self._gain(entry, chosen)
            alone = self._alone(entry.candidate, best)
            helped, error = self._gain(entry, alone)
            is_right_as_often = (entry.candidate.accuracy or 0.0) >= (chosen.candidate.accuracy or 0.0)
            wins = helped > error and gain > 0 and is_right_as_often
            said = f"{entry.candidate.name} gains {helped:.3f} ± {error:.3f} of log loss on {alone.candidate.name}"
            if alone is not chosen:
                said += f" and {gain:.3f} on {chosen.candidate.name}"
            reason = said if wins else f"{reason}; {said}, which is not enough"
            chosen = entry if wins else chosen
        return Contest(self._everybody(), chosen.candidate, len(self.labeled), reason)

    def _alone(self, candidate: Candidate, best: Entry) -> Entry:
        """Return the supervised entry that tells whether the pool helped a candidate: its own kind's, else the best."""
        if candidate.over == ROWS:
            return best
        for entry in self.entries:
            if (entry.candidate.method, entry.candidate.network) == (SUPERVISED, candidate.network):
                return entry
        return best

    def _as_asked(self, wanted: str, best: Entry) -> Contest:
        """Return the best of what the user asked for, win or lose, though it could not be compared."""
        asked = [entry for entry in self.entries if entry.candidate.method == wanted]
        if not asked:
            chosen, reason = replace(best.candidate, method=wanted), "as you asked for, without a comparison"
        else:
            entry = min(asked, key=lambda one: one.candidate.log_loss or 0.0)
            gain, error = self._gain(entry, best)
            chosen = entry.candidate
            reason = f"{chosen.name} gains {gain:.3f} ± {error:.3f} of log loss on {best.candidate.name}"
        return Contest(self._everybody(), chosen, len(self.labeled), reason)

    def _everybody(self) -> tuple[Candidate, ...]:
        return (*(entry.candidate for entry in self.entries), *self.failed)

    def _tell(self, candidate: Candidate) -> None:
        total = len(self.contest_field.teachers) + self.contest_field.self_training + 5 * self.contest_field.network
        done = len(self.entries) + len(self.failed)
        self.listener.progress(Progress("compare", min(done, total), total, "teachers", {"now": candidate.name}))


def learnt(name: str, lesson: Lesson, config: TrainConfig) -> object:
    """Return a teacher of the table fitted to a lesson; its warnings, of its own parts, are not the user's."""
    estimator = make(name, config.seed, trust_import=config.trust_import)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in FROM_POOL:
            rows = np.concatenate([lesson.labeled, lesson.pool])
            nothing = np.full(len(lesson.pool), -1, np.int32)
            return estimator.fit(rows, np.concatenate([lesson.classes, nothing]))
        return estimator.fit(lesson.labeled, lesson.classes)


def self_trained(network: str, lesson: Lesson, config: TrainConfig, exam: Exam | None = None) -> Taught:
    """Return what self-training of a teacher of the table came to; warnings as in ``learnt``."""
    unfitted = partial(make, network, config.seed, trust_import=config.trust_import)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return self_training(config).fit(lesson, unfitted, seed=config.seed, exam=exam)
