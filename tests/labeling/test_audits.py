"""Audits: what is declared, what is drawn, and that a set just under the target is rarely certified."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelsvc.data.verdict_files import Answer, Said
from labelsvc.errors import InputError, PromiseError, UsageError
from labelsvc.labeling.audits import Tally, allowances, conclude, draw, floored, plan_audit, showings, tally
from labelsvc.labeling.bounds import allowed_wrong, p_value, rows_needed
from labelsvc.labeling.verdicts import Sheet, verdicts_of
from labelsvc.records import AuditPlan, Drawn, Shown, Verdict


def counted(checked: int, wrong: int) -> Tally:
    """Return a tally of plain verdicts."""
    return Tally(checked, wrong, unsure=0, none=0, repeats=0, agreed=0)


@pytest.mark.seconds
@settings(max_examples=40, deadline=None)
@given(st.sampled_from([0.8, 0.9, 0.95, 0.99]), st.integers(1, 3), st.integers(500, 5000))
def test_each_stage_passes_with_what_it_allows_and_no_more(precision: float, stages: int, population: int) -> None:
    """A stage's tally is proven exactly where its p-value is at most its share of δ; the bound says the same."""
    plan = plan_audit(precision, 0.95, population, stages=stages)
    for stage, (size, most) in enumerate(zip(plan.sizes, allowances(plan, population), strict=True), 1):
        passed = conclude(plan, population, stage, counted(size, most))
        failed = conclude(plan, population, stage, counted(size, most + 1))
        assert (passed.proven, failed.proven) == (True, False)
        assert (
            p_value(size, most, precision, population) <= 0.05 / stages < p_value(size, most + 1, precision, population)
        )
        assert failed.bound < passed.bound
        assert passed.bound >= precision - 1e-12
        assert failed.bound < precision


def test_a_plan_is_as_small_as_its_rule_says() -> None:
    """Where nothing is known, the fewest rows that can prove it; more where the labels are expected to be so right."""
    assert plan_audit(0.95, 0.95, 10**6).sizes == (59,)
    assert plan_audit(0.95, 0.95, 10**6, expected=0.999).sizes == (59,)
    assert plan_audit(0.95, 0.95, 10**6, expected=0.98).sizes == (rows_needed(0.95, 0.05, 9, 10**6),)
    assert plan_audit(0.95, 0.95, 10**6, expected=0.94).sizes == (59,)
    assert plan_audit(0.95, 0.95, 10**6, n=100, stages=3).sizes == (100, 200, 400)
    assert plan_audit(0.95, 0.95, 20).sizes[0] <= 20


def test_what_cannot_be_planned_is_told() -> None:
    """Too few rows to prove anything break a promise; more rows or stages than there are labels are a wrong call."""
    with pytest.raises(PromiseError, match=r"58 verdicts cannot prove 0.95 .* \(at best 0.9496\); 59 can"):
        plan_audit(0.95, 0.95, 10**6, n=58)
    with pytest.raises(UsageError, match="--n 101 is more than the 100 labels of the set"):
        plan_audit(0.95, 0.95, 100, n=101)
    with pytest.raises(UsageError, match="--stages 3: 60 labels have room for 2"):
        plan_audit(0.95, 0.95, 60, n=55, stages=3)


def test_a_hopeless_audit_ends_before_its_plan() -> None:
    """Where more is wrong than any later stage allows, a stage is the last; where a later one may pass, it is not."""
    plan = AuditPlan(0.95, 0.95, (80, 119, 184))
    assert allowances(plan, 10**6) == (0, 1, 3)
    assert [conclude(plan, 10**6, 1, counted(80, wrong)).final for wrong in (0, 1, 3, 4)] == [True, False, False, True]
    assert [conclude(plan, 10**6, 3, counted(184, wrong)).final for wrong in (3, 4)] == [True, True]


def test_what_is_needed_is_what_would_have_proven_it() -> None:
    """So many more verdicts, all right, prove the asked precision, one less does not; none do where it is refuted."""
    plan = AuditPlan(0.95, 0.95, (59,))
    needed = conclude(plan, 1000, 1, counted(59, 2)).needed
    assert needed is not None
    assert p_value(59 + needed, 2, 0.95, 1000) <= 0.05 < p_value(58 + needed, 2, 0.95, 1000)
    assert conclude(plan, 100, 1, counted(59, 6)).needed is None
    assert allowed_wrong(0.95, 100) == 5


@given(st.integers(1, 200), st.integers(0, 2**32))
def test_showings_cover_a_page(rows: int, seed: int) -> None:
    """Each row is shown once, a tenth of them (rounded up) twice, later and never in succession."""
    places = showings(rows, np.random.default_rng(seed))
    repeated = [found for found in places if len(found) > 1]
    assert len(repeated) == (math.ceil(rows / 10) if rows > 1 else 0)
    assert sorted(place for found in places for place in found) == list(range(rows + len(repeated)))
    assert all(len(found) == 2 and found[1] - found[0] > 1 for found in repeated)
    assert [found[0] for found in places] == sorted(found[0] for found in places)


def test_a_draw_is_uniform_and_nested() -> None:
    """Every row is as likely as every other one to be in any stage, no row is drawn twice, and the seed decides."""
    plan, numbers = AuditPlan(0.9, 0.95, (10, 20)), np.arange(100, 150)
    drawn = draw(plan, numbers, np.random.default_rng(0))
    assert drawn == draw(plan, numbers, np.random.default_rng(0))
    assert len({row.sample_no for row in drawn}) == 20
    assert [row.stage for row in drawn] == [1] * 10 + [2] * 10
    assert {row.sample_no for row in drawn} <= set(numbers.tolist())
    generator = np.random.default_rng(1)
    draws = [draw(plan, numbers, generator) for _ in range(2000)]
    for stage in (1, 2):
        found = np.bincount([row.sample_no - 100 for one in draws for row in one if row.stage == stage], minlength=50)
        assert np.abs(found - 400).max() < 5 * math.sqrt(400 * 0.8)


def test_the_first_verdict_counts_and_the_second_measures() -> None:
    """A repeated row counts once, by its first verdict; unsure and of no class count as wrong; classes must agree."""
    said = [
        Verdict(1, 1, "right"),
        Verdict(2, 1, "wrong", 3),
        Verdict(3, 1, "unsure"),
        Verdict(4, 1, "none"),
        Verdict(2, 2, "wrong", 4),
        Verdict(3, 2, "right"),
        Verdict(4, 2, "none"),
    ]
    assert tally(said) == Tally(checked=4, wrong=3, unsure=1, none=1, repeats=3, agreed=1)


@pytest.mark.seconds
@pytest.mark.parametrize("stages", [1, 3])
@pytest.mark.parametrize(("precision", "population"), [(0.95, 400), (0.95, 20_000), (0.8, 3_000)])
def test_false_certificates_are_rare(precision: float, population: int, stages: int) -> None:
    """Of label sets with one wrong label too many, at most δ (and chance) get a certificate by the whole plan."""
    plan = plan_audit(precision, 0.95, population, stages=stages)
    generator, runs = np.random.default_rng(stages), 20_000
    bad = allowed_wrong(precision, population) + 1

    @cache
    def proven(stage: int, wrong: int) -> bool:
        return conclude(plan, population, stage, counted(plan.sizes[stage - 1], wrong)).proven

    left, wrong, seen = np.full(runs, bad), np.zeros(runs, np.int64), 0
    passed = np.zeros(runs, np.bool_)
    for stage, size in enumerate(plan.sizes, 1):
        found = generator.hypergeometric(left, population - seen - left, size - seen)
        left, wrong, seen = left - found, wrong + found, size
        passed |= np.array([proven(stage, int(count)) for count in wrong])
    share = passed.mean()
    assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert share > 0.01, "a test that never certifies says nothing"


@pytest.mark.seconds
@pytest.mark.parametrize("stages", [1, 3])
def test_false_certificates_are_rare_of_real_draws(stages: int) -> None:
    """The same with the rows that are really drawn, stage by stage, until one passes or none can."""
    population, runs, false = 300, 500, 0
    plan = plan_audit(0.9, 0.9, population, stages=stages)
    generator = np.random.default_rng(7)
    bad = allowed_wrong(0.9, population) + 1
    for _ in range(runs):
        drawn = draw(plan, np.arange(population), generator)
        false += certified(plan, population, drawn, bad)
    assert false / runs <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / runs)


def certified(plan: AuditPlan, population: int, drawn: tuple[Drawn, ...], bad: int) -> bool:
    """Say whether an honest judge's verdicts certify a set whose first ``bad`` rows are wrong."""
    said: list[Verdict] = []
    for stage in range(1, len(plan.sizes) + 1):
        rows = [row for row in drawn if row.stage == stage]
        said += [Verdict(row.sample_no, 1, "wrong" if row.sample_no < bad else "right") for row in rows]
        conclusion = conclude(plan, population, stage, tally(said))
        if conclusion.final:
            return conclusion.proven
    return False


SHEET = Sheet(
    {"a": Shown(1, "a", 0, 0.9, (0, 3)), "b": Shown(2, "b", 1, 0.9, (1,)), "c": Shown(3, "c", 1, 0.9, (2,))},
    ("cat", "dog"),
)


def said(sample_id: str, occurrence: int, verdict: Said = "right", label: str | None = None) -> Answer:
    """Return an answer."""
    return Answer(sample_id, occurrence, verdict, label, 1.0)


COMPLETE = [said("a", 1), said("b", 1), said("c", 1), said("a", 2)]


def test_a_picked_class_is_right_or_wrong() -> None:
    """Who is not shown the proposed class picks one: the same is right, another one wrong with that class."""
    answers = [said("a", 1, "class", "cat"), said("b", 1, "class", "cat"), said("c", 1, "none"), said("a", 2, "unsure")]
    assert [(one.verdict, one.class_code) for one in verdicts_of(answers, SHEET)] == [
        ("right", None),
        ("wrong", 0),
        ("none", None),
        ("unsure", None),
    ]
    assert verdicts_of([*COMPLETE, said("b", 1)], SHEET) == verdicts_of(COMPLETE, SHEET), "the same twice is once"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (COMPLETE[:2], r"2 of 4 verdicts are missing \('c', 'a' shown again\), so nothing was written.*judge the rest"),
        ([*COMPLETE, said("x", 1)], r"1 verdict is wrong, .*verdict 4, id 'x': it is not in this stage's sample"),
        ([*COMPLETE, said("b", 2)], r"id 'b': it is shown once, and this is a verdict on its showing 2"),
        ([*COMPLETE, said("a", 3)], r"id 'a': it is shown twice, and this is a verdict on its showing 3"),
        ([*COMPLETE, said("b", 1, "unsure")], r"id 'b': its showing 1 is judged twice, right and unsure; keep one"),
        (
            [*COMPLETE[:3], said("a", 2, "wrong", "dog"), said("a", 2, "wrong")],
            r"its showing 2 is judged twice, wrong 'dog' and wrong; keep one",
        ),
        ([said("a", 1, "wrong", "cow"), *COMPLETE[1:]], r"id 'a': there is no class 'cow'; the classes are cat, dog"),
        ([said("a", 1, "wrong", "cat"), *COMPLETE[1:]], r"id 'a': it is called wrong, and 'cat', its proposed class"),
        ([said("x", 1)] * 3 + [said("y", 1)] * 2, r"5 verdicts are wrong.*'x'.*; and 2 more \(from 0\)"),
    ],
)
def test_wrong_answers_are_told(answers: list[Answer], expected: str) -> None:
    """An answer that is to nothing shown, contradicts, or is missing is refused, with how many and the first three."""
    with pytest.raises(InputError, match=expected):
        verdicts_of(answers, SHEET)


@given(st.floats(0, 1))
def test_a_floored_bound_promises_no_more(bound: float) -> None:
    """What is printed is never more than what is proven, and less by under a ten-thousandth."""
    assert bound - 1.0001e-4 < floored(bound) <= bound
