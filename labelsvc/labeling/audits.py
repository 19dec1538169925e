"""Audits: how many labels a person must judge, which ones, and what the verdicts prove.

A plan is declared before anything is judged: its stages, with how many rows are judged in all at the end of each. Rows
are drawn from one label set, uniformly and without replacement, so that the exact test is hypergeometric; each of K
stages may spend δ / K (Bonferroni), and the draw's first rows are the first stage's, whatever came of it. A tenth of a
stage's rows is shown twice, to see whether the judge agrees with himself; the first verdict is the one that counts.
Whatever is not "right" counts as wrong. Knows nothing of stores and pages.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise

import numpy as np
from scipy.stats import hypergeom

from labelsvc.errors import PromiseError, UsageError
from labelsvc.labeling.bounds import lower_bound, p_value, rows_needed
from labelsvc.records import Audit, AuditPlan, Drawn, LabelSet, SampleNumbers, Verdict

LIKELY = 0.9  # how often a set as right as its model believes should pass an audit of the default size
MOST_ROWS = 2_000  # of such a size; where more are needed, the fewest that can prove the precision do
REPEATED = 10  # one row of so many is shown twice
APART = 10  # rows, where there are as many, between two showings of one


@dataclass(frozen=True)
class Tally:
    """How many rows were judged, how many of them count as wrong, and how often the judge agreed with himself."""

    checked: int
    wrong: int  # with what is unsure or of no class
    unsure: int
    none: int
    repeats: int
    agreed: int  # of the repeats


@dataclass(frozen=True)
class Conclusion:
    """What the verdicts up to a stage prove."""

    stage: int
    tally: Tally
    bound: float  # the largest precision that is proven
    proven: bool  # whether that is the asked one
    final: bool  # whether no later stage can change it
    needed: int | None  # further verdicts, all right, that the asked precision would need; None: none would do


@dataclass(frozen=True)
class AuditState:
    """An audit, the label set that it was drawn from, and the verdicts on those of its stages that were judged."""

    audit: Audit
    label_set: LabelSet
    verdicts: Mapping[int, Sequence[Verdict]]

    @property
    def judged(self) -> int:
        """How many stages were judged."""
        return len(self.verdicts)

    @property
    def conclusion(self) -> Conclusion | None:
        """What all verdicts prove; None where there are none yet."""
        return self.after(self.judged) if self.judged else None

    def proves(self, precision: float) -> bool:
        """Say whether all verdicts prove a precision, be it the asked one or another."""
        asked = replace(self.audit, plan=replace(self.audit.plan, precision=precision))
        conclusion = replace(self, audit=asked).conclusion
        return conclusion is not None and conclusion.proven

    def after(self, stage: int) -> Conclusion:
        """Return what the verdicts up to the end of ``stage`` prove."""
        told = [one for number, said in self.verdicts.items() if number <= stage for one in said]
        return conclude(self.audit.plan, self.label_set.rows, stage, tally(told))


def plan_audit(
    precision: float,
    confidence: float,
    population: int,
    *,
    n: int | None = None,
    stages: int = 1,
    expected: float | None = None,
) -> AuditPlan:
    """Return the plan for a label set of ``population`` rows.

    ``n`` rows are the first stage, and each further stage doubles what is judged in all. Without ``n``, one stage has
    as many rows as ``errors_to_expect`` asks for; of several, the first has room for no wrong label, the next ones for
    1, 3, 7, and so on.

    Raises:
        PromiseError: the first stage could not prove the precision even if all its rows were right.
        UsageError: there are not so many rows, or too few for so many stages.

    >>> [plan_audit(precision, 0.95, 10**8).sizes for precision in (0.95, 0.98, 0.99)]
    [(59,), (149,), (299,)]
    >>> plan_audit(0.95, 0.95, 10**6, stages=3).sizes, plan_audit(0.95, 0.95, 10**6, expected=0.99).sizes
    ((80, 119, 184), (153,))
    """
    level = (1 - confidence) / stages
    if n is not None:
        _check_size(n, precision, level, population)
        sizes = [min(n << stage, population) for stage in range(stages)]
    else:
        first = errors_to_expect(precision, level, population, expected) if stages == 1 else 0
        allowances = [((first + 1) << stage) - 1 for stage in range(stages)]
        sizes = [rows_needed(precision, level, errors, population) or population for errors in allowances]
    room = 1 + sum(before < after for before, after in pairwise(sizes))
    if room < stages:
        raise UsageError(f"--stages {stages}: {population:,} labels have room for {room}; ask for fewer stages or rows")
    return AuditPlan(precision, confidence, tuple(sizes))


def errors_to_expect(precision: float, level: float, population: int, expected: float | None) -> int:
    """Return for how many wrong labels an audit should have room, so that it is likely to pass.

    The fewest for which, in 9 of 10 draws from a set of which the share ``expected`` is right, no more are seen than
    prove the precision. 0 where nothing is known of the set, where it is not expected to be so good, or where too many
    rows would have to be judged.

    >>> [errors_to_expect(0.95, 0.05, 10**6, expected) for expected in (None, 0.9, 0.96, 0.98, 0.99, 0.999)]
    [0, 0, 0, 9, 3, 0]
    """
    if expected is None or expected <= precision:
        return 0
    bad = round((1 - expected) * population)
    for errors in count():
        rows = rows_needed(precision, level, errors, population)
        if rows is None or rows > MOST_ROWS:
            return 0
        if hypergeom.cdf(errors, population, bad, rows) >= LIKELY:
            return errors
    raise AssertionError("unreachable: more errors need more rows")


def most_allowed(checked: int, precision: float, level: float, population: int) -> int:
    """Return how many of the checked rows may be wrong for the precision to be proven; −1 where not even none may.

    >>> [most_allowed(checked, 0.95, 0.05, 10**6) for checked in (58, 59, 92, 93)]
    [-1, 0, 0, 1]
    """

    def is_too_much(wrong: int) -> bool:
        return p_value(checked, wrong, precision, population) > level

    return bisect_left(range(checked + 1), True, key=is_too_much) - 1


def allowances(plan: AuditPlan, population: int) -> tuple[int, ...]:
    """Return how many wrong rows each stage passes with at most.

    >>> allowances(AuditPlan(0.95, 0.95, (80, 119, 184)), 10**6)
    (0, 1, 3)
    """
    return tuple(most_allowed(size, plan.precision, plan.level, population) for size in plan.sizes)


def draw(plan: AuditPlan, numbers: SampleNumbers, generator: np.random.Generator) -> tuple[Drawn, ...]:
    """Draw the rows of all stages out of ``numbers``, and the places at which each is shown."""
    drawn = generator.choice(numbers, plan.sizes[-1], replace=False, shuffle=True).tolist()
    found: list[Drawn] = []
    for stage, (start, end) in enumerate(pairwise((0, *plan.sizes)), 1):
        places = showings(end - start, generator)
        found += [Drawn(*row) for row in zip(drawn[start:end], [stage] * (end - start), places, strict=True)]
    return tuple(found)


def showings(rows: int, generator: np.random.Generator) -> list[tuple[int, ...]]:
    """Return at which places of a page each of its rows is shown: once, a tenth of them twice, never in succession.

    >>> sorted(len(places) for places in showings(25, np.random.default_rng(0)))[-4:]
    [1, 2, 2, 2]
    """
    repeated = generator.choice(rows - 1, -(-rows // REPEATED), replace=False) if rows > 1 else np.empty(0, np.int64)
    order = list(range(rows))
    for row in sorted(repeated.tolist()):
        earliest = min(order.index(row) + 1 + APART, len(order))
        order.insert(int(generator.integers(earliest, len(order) + 1)), row)
    places: list[list[int]] = [[] for _ in range(rows)]
    for place, row in enumerate(order):
        places[row].append(place)
    return [tuple(found) for found in places]


def tally(verdicts: Iterable[Verdict]) -> Tally:
    """Count verdicts: the first of each row counts, the second is compared with it."""
    told = {(one.sample_no, one.occurrence): (one.verdict, one.class_code) for one in verdicts}
    first = [said for (_, occurrence), (said, _) in told.items() if occurrence == 1]
    again = {number: said for (number, occurrence), said in told.items() if occurrence > 1}
    return Tally(
        checked=len(first),
        wrong=sum(said != "right" for said in first),
        unsure=first.count("unsure"),
        none=first.count("none"),
        repeats=len(again),
        agreed=sum(said == told[number, 1] for number, said in again.items()),
    )


def conclude(plan: AuditPlan, population: int, stage: int, counted: Tally) -> Conclusion:
    """Return what the verdicts up to the end of ``stage`` prove."""
    checked, wrong = counted.checked, counted.wrong
    proven = p_value(checked, wrong, plan.precision, population) <= plan.level
    hope = any(wrong <= allowed for allowed in allowances(plan, population)[stage:])
    needed = rows_needed(plan.precision, plan.level, wrong, population)
    return Conclusion(
        stage=stage,
        tally=counted,
        bound=lower_bound(checked, wrong, plan.level, population),
        proven=proven,
        final=proven or not hope,
        needed=None if needed is None else max(needed - checked, 0),
    )


def _check_size(n: int, precision: float, level: float, population: int) -> None:
    """Refuse a first stage that is larger than the label set, or too small to prove anything."""
    if n > population:
        raise UsageError(f"--n {n:,} is more than the {population:,} labels of the set; ask for fewer")
    if most_allowed(n, precision, level, population) < 0:
        best = floored(lower_bound(n, 0, level, population))
        raise PromiseError(
            f"{n:,} verdicts cannot prove {precision:g} at a level of {level:.3g}, even if all are right (at best "
            f"{best:g}); {rows_needed(precision, level, 0, population):,} can: leave --n away, or ask for less"
        )


def floored(bound: float) -> float:
    """Return a bound with four decimals, never more than it is.

    >>> floored(0.95056), floored(1.0)
    (0.9505, 1.0)
    """
    return math.floor(bound * 10_000) / 10_000
