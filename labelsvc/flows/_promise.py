"""label --precision: the labels for which a precision can be promised, or why it cannot.

The only flow that may have the calibration labels read. It asks for them once, when everything else is decided: the
model, its temperature, which thresholds are tested and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.config import DEFAULT_THRESHOLD, digest
from labelsvc.flows._balance import trained_balance
from labelsvc.flows._models import PREDICTIONS
from labelsvc.flows._session import Session
from labelsvc.flows._words import Task
from labelsvc.labeling import certify
from labelsvc.labeling.bounds import look_level, lower_bound, rows_needed
from labelsvc.labeling.resemblance import LEVEL, acceptance_differs, classes_differ
from labelsvc.labeling.select import among, is_familiar
from labelsvc.records import Certificate, LabeledSamples, PseudoLabels
from labelsvc.store import calibration, samples
from labelsvc.store.database import Store
from labelsvc.store.identifiers import new_id

NO_CALIBRATION = (
    "there are no calibration rows, so nothing can be promised; `labelsvc ingest --calibration` keeps some of newly "
    "labeled rows (20% from 500 on, by default)"
)
UNSEEN = (
    "a promise about {} holds only if what made it never learnt from the labels of calibration rows: "
    "\"SELECT sample_id FROM labels WHERE role = 'calibration'\" lists these rows"
)


@dataclass(frozen=True)
class Ruling:
    """From which confidence on labels are written, and what is promised of them; ``refusal`` says why nothing is."""

    threshold: float
    class_thresholds: Mapping[str, float]
    certificates: tuple[Certificate, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True)
class _Part:
    """What the model said of some rows, the unfamiliar ones at no confidence at all, and their groups."""

    said: PseudoLabels
    groups: NDArray[np.int64] | None
    silent: int = 0  # rows, or groups of them, of which it said nothing: they are never accepted

    def units(self, wrong: NDArray[np.bool_] | None = None, of_class: int | None = None) -> certify.Units:
        """Return the rows as what counts once, those that are said to be of one class alone or all."""
        chosen = np.ones(len(self.said), bool) if of_class is None else self.said.classes == of_class
        return certify.units(
            self.said.confidence[chosen],
            None if wrong is None else wrong[chosen],
            None if self.groups is None else self.groups[chosen],
        )

    def wrong(self, labels: LabeledSamples) -> NDArray[np.bool_]:
        """Return which rows are said to be of another class than their label, of which each has one."""
        place = np.searchsorted(labels.numbers, self.said.numbers)
        wrong: NDArray[np.bool_] = self.said.classes != labels.classes[place]
        return wrong

    def by_class(self, classes: int) -> NDArray[np.int64]:
        """Return how many familiar rows are said to be of each class."""
        return np.bincount(self.said.classes[np.isfinite(self.said.confidence)], minlength=classes)


def provisional(task: Task, said: PseudoLabels, least: float | None) -> Ruling:
    """Return the threshold that validation rows suggest for a precision, else the default; nothing is promised."""
    return _Scene(task, said, least).suggested()


def promise(session: Session, task: Task, said: PseudoLabels, least: float | None) -> Ruling:
    """Find the largest set of labels for which the asked precision can be promised; a look at the labels is spent."""
    scene, config = _Scene(task, said, least), task.config
    if not len(task.rows.hidden):
        return scene.refused(NO_CALIBRATION)
    if task.model.method == PREDICTIONS:
        task.listener.note(UNSEEN.format(task.model.network))
    differing = scene.differing_classes()
    if differing is not None:
        return scene.refused(f"{differing}; no calibration label was looked at")
    rule = (config.precision, config.confidence, config.per_class, config.gate, trained_balance(task))
    asked = digest(rule, task.model.model_id, task.rows.digest)
    found = calibration.look(session.store, session.run_id, asked, scene.judge)
    if found.repeated:
        task.listener.note(f"look {found.look} at the calibration labels has answered this already")
    session.outcome |= {"look": found.look, "look_level": found.level}
    return scene.ruling(found)


@dataclass(frozen=True)
class _Scene:
    """Everything that is decided before a calibration label is seen."""

    task: Task
    said: PseudoLabels
    least: float | None

    @property
    def precision(self) -> float:
        assert self.task.config.precision is not None
        return self.task.config.precision

    @property
    def classes(self) -> tuple[str, ...]:
        return self.task.model.classes

    @cached_property
    def pool(self) -> _Part:
        return _part(self.task.store, self.said, self.task.rows.pool, self.least)

    @cached_property
    def hidden(self) -> _Part:
        return _part(self.task.store, self.said, self.task.rows.hidden, self.least)

    @cached_property
    def exam(self) -> _Part:
        return _part(self.task.store, self.said, self.task.rows.exam, self.least)

    def differing_classes(self) -> str | None:
        """Say so if the model finds other classes in the pool than among calibration inputs."""
        hidden, pool = (part.by_class(len(self.classes)) for part in (self.hidden, self.pool))
        p_value = classes_differ(hidden, pool)
        if p_value is None:
            return None
        worst = int(np.argmax(np.abs(hidden / max(hidden.sum(), 1) - pool / max(pool.sum(), 1))))
        return (
            f"the calibration rows do not resemble the pool (p = {p_value:.1g}, tested at {LEVEL / 2:.1%}): "
            f"{hidden[worst] / hidden.sum():.1%} of them look like {self.classes[worst]}, "
            f"and {pool[worst] / pool.sum():.1%} of the pool"
        )

    def judge(self, labels: LabeledSamples, look: int) -> tuple[float, Mapping[str, Any]]:
        """Test thresholds on the calibration labels, for all classes together or for each."""
        delta = 1 - self.task.config.confidence
        level = look_level(look, delta)
        self.task.listener.note(
            f"look {look} at {len(labels):,} calibration labels; it spends {level / delta:.1%} of δ"
        )
        wrong = self.hidden.wrong(labels)
        codes: list[int | None] = [*range(len(self.classes))] if self.task.config.per_class else [None]
        claims = [self.claim(code, wrong, level / len(codes)) for code in codes]
        return level, {"claims": claims, "labels": len(labels)}

    def claim(self, code: int | None, wrong: NDArray[np.bool_], level: float) -> Mapping[str, Any]:
        """Return what the tests of one class, or of all together, came to."""
        pool, hidden = self.pool.units(None, code), self.hidden.units(wrong, code)
        everything = np.concatenate([pool.accepted, hidden.accepted])
        candidates = certify.thresholds(everything[np.isfinite(everything)])
        ordered = certify.descending(candidates, pool, hidden.accepted, precision=self.precision, level=level)
        found = certify.fixed_sequence(ordered, pool, hidden, precision=self.precision, level=level)
        none_tested = certify.Tested(0.0, *hidden.count(0.0), len(pool), 1.0)  # too few calibration rows for any
        return {
            "class": None if code is None else self.classes[code],
            "first": asdict(found.tests[0] if found.tests else none_tested),
            "chosen": None if found.chosen is None else asdict(found.chosen),
        }

    def ruling(self, found: calibration.Look) -> Ruling:
        """Return what follows from a look's answer."""
        claims = found.answer["claims"]
        chosen = {claim["class"]: claim["chosen"] for claim in claims if claim["chosen"] is not None}
        if not chosen:
            why = self.shortfall(found)
            return self.refused(why, self.certificates(found, {None: _furthest(claims)}, why))
        differing = self.differing_acceptance(chosen)
        if differing is not None:
            return self.refused(differing, self.certificates(found, chosen, differing))
        thresholds = {name: test["threshold"] for name, test in chosen.items()}
        shared = thresholds.pop(None, certify.NOTHING)
        return Ruling(shared, thresholds, self.certificates(found, chosen, None))

    def differing_acceptance(self, chosen: Mapping[str | None, Mapping[str, Any]]) -> str | None:
        """Say so if another share of the pool is accepted than of the calibration rows."""
        checked, labeled = (sum(test[name] for test in chosen.values()) for name in ("checked", "pool"))
        hidden, pool = (
            int(np.isfinite(part.units().accepted).sum()) + part.silent for part in (self.hidden, self.pool)
        )
        p_value = acceptance_differs((checked, labeled), (hidden, pool))
        if p_value is None:
            return None
        return (
            f"the certificate is void: the rule accepts {checked / max(hidden, 1):.1%} of the calibration rows and "
            f"{labeled / max(pool, 1):.1%} of the pool (p = {p_value:.1g}, tested at {LEVEL / 2:.1%}), so that the "
            "given labels do not resemble the pool"
        )

    def certificates(
        self, found: calibration.Look, chosen: Mapping[str | None, Mapping[str, Any]], reason: str | None
    ) -> tuple[Certificate, ...]:
        """Return a certificate for all labels and, where each class was asked about, one for each that passed."""
        whole = {name: sum(test[name] for test in chosen.values()) for name in ("checked", "wrong")}
        claims = {None: whole} | {name: test for name, test in chosen.items() if name is not None}
        return tuple(
            Certificate(
                certificate_id=new_id(),
                kind="calibration",
                checked=test["checked"],
                wrong=test["wrong"],
                promised_precision=self.precision,
                confidence=self.task.config.confidence,
                look=found.look,
                rows_digest="",
                valid=reason is None,
                reason=reason,
                class_name=name,
            )
            for name, test in claims.items()
        )

    def shortfall(self, found: calibration.Look) -> str:
        """Say how far the calibration labels reach, and what it would take."""
        delta = 1 - self.task.config.confidence
        claims = found.answer["claims"]
        best = _furthest(claims)
        bound = lower_bound(best["checked"], best["wrong"], found.level / len(claims))
        said = (
            f"of {found.answer['labels']:,} calibration labels, {best['checked']:,} are accepted at a confidence of "
            f"{best['threshold']:.4g} or more and {best['wrong']:,} of these are wrong; "
            f"the best promise available now is {bound:.3f} at {self.task.config.confidence:.0%} confidence"
        )
        return f"{said}, not {self.precision:g}: {self.wanting(best, delta, found.look + 1, len(claims))}"

    def wanting(self, best: Mapping[str, Any], delta: float, look: int, claims: int) -> str:
        """Say how many more labels, or verdicts of an audit, the asked precision needs."""
        share = best["wrong"] / max(best["checked"], 1)
        level = look_level(look, delta) / claims
        needed = certify.checks_needed(share, self.precision, level)
        verdicts = certify.checks_needed(share, self.precision, delta)
        if needed is None or verdicts is None:
            fewest = rows_needed(self.precision, delta)
            return (
                f"with {share:.1%} wrong no number of labels proves it; a better teacher does (more labels to learn "
                f"from, more steps), or a lower --precision, or an audit of labels that are right, {fewest:,} at least"
            )
        more = max(needed - best["checked"], 1)
        accepted = best["checked"] / max(len(self.task.rows.hidden), 1)
        labels = int(np.ceil(more / max(accepted, 1e-9))) if best["checked"] else more
        return (
            f"it takes about {labels:,} more labels of rows drawn at random from where the pool is from, kept for "
            f"calibration, or {verdicts:,} verdicts in an audit (as often wrong as these)"
        )

    def refused(self, why: str, void: tuple[Certificate, ...] = ()) -> Ruling:
        """Return the ruling that promises nothing, with the threshold that --uncertified writes labels by."""
        return replace(self.suggested(), refusal=why, certificates=void)

    def suggested(self) -> Ruling:
        """Return the rule that validation rows suggest, else the default."""
        seen = self.exam.units(self.exam.wrong(samples.given(self.task.store, "validation")))
        confidence = self.pool.said.confidence
        candidates = certify.thresholds(confidence[np.isfinite(confidence)])
        found = certify.suggested(candidates, seen, self.precision)
        return Ruling(DEFAULT_THRESHOLD if found is None else found, {})


def _part(store: Store, said: PseudoLabels, numbers: NDArray[np.int64], least: float | None) -> _Part:
    chosen = said.where(among(said.numbers, numbers))
    confidence = np.where(is_familiar(chosen, least), chosen.confidence, -np.inf)
    groups = samples.groups(store, chosen.numbers)
    is_whole = len(chosen) == len(numbers)
    silent = 0 if is_whole else samples.units(store, numbers) - samples.units(store, chosen.numbers)
    return _Part(replace(chosen, confidence=confidence), groups, silent)


def _furthest(claims: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return, of the first test of each claim, the one with most right."""
    firsts: list[Mapping[str, Any]] = [claim["first"] for claim in claims]
    return max(firsts, key=lambda test: test["checked"] - test["wrong"])
