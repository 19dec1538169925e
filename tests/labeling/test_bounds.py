"""Exact tests and bounds, against scipy's distributions and against the definition of what they promise."""

from __future__ import annotations

import pytest
from scipy.stats import binom, hypergeom

from labelsvc.labeling import bounds

CORNERS = [(1, 0), (1, 1), (20, 0), (20, 1), (20, 19), (20, 20), (200, 5), (1000, 0), (1000, 999)]
PRECISIONS = [0.5, 0.8, 0.95, 0.98, 0.99]
DELTAS = [0.2, 0.05, 0.001]


@pytest.mark.parametrize(("checked", "wrong"), CORNERS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_endless_population_is_binomial(checked: int, wrong: int, precision: float) -> None:
    """The p-value is the chance of so few wrong rows at the precision itself."""
    assert bounds.p_value(checked, wrong, precision) == pytest.approx(binom.cdf(wrong, checked, 1 - precision))


@pytest.mark.parametrize("population", [20, 21, 60, 1000])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_finite_population_is_hypergeometric(population: int, precision: float) -> None:
    """The p-value is the chance of so few wrong rows in the best population that misses the precision."""
    bad = bounds.allowed_wrong(precision, population) + 1
    for checked, wrong in [(1, 0), (15, 0), (15, 2), (20, 20)]:
        expected = hypergeom.cdf(wrong, population, bad, checked)
        assert bounds.p_value(checked, wrong, precision, population) == pytest.approx(expected)


def test_nothing_checked_proves_nothing() -> None:
    """Without a checked row the p-value is 1 and no precision above 0 is promised."""
    assert bounds.p_value(0, 0, 0.95) == bounds.p_value(0, 0, 0.95, population=100) == 1
    assert bounds.lower_bound(0, 0, 0.05) == bounds.lower_bound(0, 0, 0.05, population=0) == 0


def test_whole_numbers_are_counted_as_whole_numbers() -> None:
    """The wrong rows that a precision allows are not lost to binary fractions."""
    assert bounds.allowed_wrong(0.71, 100) == 29
    assert bounds.allowed_wrong(0.9, 10) == 1
    assert [bounds.allowed_wrong(precision, 1000) for precision in (0.95, 0.98, 0.99)] == [50, 20, 10]


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("population", [None, 25, 300])
def test_a_bound_is_the_largest_precision_that_its_test_proves(delta: float, population: int | None) -> None:
    """What lies below the bound is proven at the level; what lies above is not."""
    for checked, wrong in [(20, 0), (20, 1), (20, 7), (20, 20)]:
        bound = bounds.lower_bound(checked, wrong, delta, population)
        if bound > 0:
            assert bounds.p_value(checked, wrong, bound - 1e-9, population) <= delta + 1e-9
        above = bound + 1e-6 if population is None else bound + 1 / population
        if above < 1:
            assert bounds.p_value(checked, wrong, above, population) > delta - 1e-9


def test_all_rows_checked_leave_no_doubt() -> None:
    """Where the whole population was checked, the bound is what was found."""
    for wrong in (0, 3, 40):
        assert bounds.lower_bound(40, wrong, 0.05, population=40) == pytest.approx(1 - wrong / 40)


@pytest.mark.parametrize(("precision", "needed"), [(0.95, 59), (0.98, 149), (0.99, 299)])
def test_so_many_rows_without_an_error_prove_it(precision: float, needed: int) -> None:
    """The known counts where δ is spent whole, and one row less is too few."""
    assert bounds.rows_needed(precision, 0.05) == needed
    assert bounds.p_value(needed - 1, 0, precision) > 0.05


def test_looks_spend_no_more_than_delta() -> None:
    """The first look spends nine tenths, and all that could ever come not more than all of it."""
    assert bounds.look_level(1, 0.05) == pytest.approx(0.045)
    assert sum(bounds.look_level(look, 0.05) for look in range(1, 200)) <= 0.05 + 1e-12


@pytest.mark.parametrize("rest", [5, 12, 40])
@pytest.mark.parametrize("checked", [3, 10, 25])
@pytest.mark.parametrize("precision", [0.5, 0.8, 0.95])
def test_the_rest_misses_its_precision_no_oftener_than_the_level(rest: int, checked: int, precision: float) -> None:
    """Enumerated: whatever is wrong in all, a proven rest that misses is no more probable than the level."""
    allowed = bounds.allowed_wrong(precision, rest)
    for level in (0.05, 0.2):
        proving = [w for w in range(checked + 1) if bounds.p_value_of_rest(checked, w, precision, rest) <= level]
        for wrong in range(checked + rest + 1):
            chances = hypergeom(checked + rest, wrong, checked)
            assert sum(chances.pmf(w) for w in proving if wrong - w > allowed) <= level + 1e-12
