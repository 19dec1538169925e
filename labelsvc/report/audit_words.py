"""What is said of an audit: why so many rows, what its verdicts prove, and why they prove no more.

Pure functions of records; knows nothing of how they are shown.
"""

from __future__ import annotations

from labelsvc.labeling.audits import AuditState, Conclusion, Tally, allowances, errors_to_expect, floored
from labelsvc.labeling.bounds import allowed_wrong, rows_needed
from labelsvc.records import AuditPlan


def why_so_many(plan: AuditPlan, population: int, expected: float | None) -> str:
    """Say by which rule a plan of one stage, without ``--n``, has its size."""
    if expected is None:
        return "as few as can prove it, since the model's confidence is uncalibrated and suggests nothing of the labels"
    if errors_to_expect(plan.precision, plan.level, population, expected):
        fewest = rows_needed(plan.precision, plan.level, 0, population)
        return (
            f"so many that labels as right as their mean confidence, {expected:.4f}, pass in 9 of 10 draws; "
            f"--n {fewest} would do if none of those is wrong"
        )
    doubt = "" if expected > plan.precision else ", too low for such labels to be likely"
    return f"as few as can prove it; the labels' mean confidence is {expected:.4f}{doubt}"


def passes(plan: AuditPlan, population: int) -> str:
    """Say before anything is judged with how many wrong rows each stage passes.

    >>> passes(AuditPlan(0.95, 0.95, (59,)), 10**6)
    'passes with at most 0 wrong of 59; unsure and no class count as wrong'
    >>> passes(AuditPlan(0.95, 0.95, (80, 119)), 10**6)
    'passes with at most 0 wrong of 80, else with at most 1 wrong of 119; unsure and no class count as wrong'
    """
    allowed = allowances(plan, population)
    said = [f"with at most {most:,} wrong of {size:,}" for most, size in zip(allowed, plan.sizes, strict=True)]
    return f"passes {', else '.join(said)}; unsure and no class count as wrong"


def checked(tally: Tally) -> str:
    """Say what was judged, and what of it counts as wrong without being called so.

    >>> checked(Tally(93, 3, unsure=1, none=1, repeats=10, agreed=9))
    '93 checked, 3 wrong (1 unsure and 1 of no class among them)'
    """
    doubtful = [f"{count:,} {name}" for count, name in ((tally.unsure, "unsure"), (tally.none, "of no class")) if count]
    among = f" ({' and '.join(doubtful)} among them)" if doubtful else ""
    return f"{tally.checked:,} checked, {tally.wrong:,} wrong{among}"


def consistency(tally: Tally) -> str:
    """Say how steady the judge was.

    >>> consistency(Tally(93, 3, unsure=1, none=1, repeats=10, agreed=9))
    'the judge said the same of 9 of 10 rows that were shown twice (90%)'
    """
    if not tally.repeats:
        return "no row was shown twice"
    share = tally.agreed / tally.repeats
    return f"the judge said the same of {tally.agreed:,} of {tally.repeats:,} rows that were shown twice ({share:.0%})"


def proven(state: AuditState, conclusion: Conclusion, precision: float) -> str:
    """Say what the verdicts prove of which labels."""
    plan, label_set = state.audit.plan, state.label_set
    return (
        f"proven at {plan.confidence:.4g} confidence: of the {label_set.rows:,} labels of label set "
        f"{label_set.label_set_id} at least {precision:g} are right (lower bound {floored(conclusion.bound):g}): "
        f"{checked(conclusion.tally)}"
    )


def not_proven(state: AuditState, conclusion: Conclusion) -> str:
    """Say what a stage proves that does not prove what was asked; the reason on its certificate."""
    audit, best = state.audit, floored(conclusion.bound)
    return (
        f"audit {audit.audit_id}, stage {conclusion.stage} of {len(audit.plan.sizes)}: {checked(conclusion.tally)}, "
        f"which proves {best:g} and not {audit.plan.precision:g} at {audit.plan.confidence:.4g} confidence"
    )


def for_good(state: AuditState, conclusion: Conclusion) -> str:
    """Say that an audit is over without the proof, what can be promised, and what the proof would have needed."""
    plan, best = state.audit.plan, floored(conclusion.bound)
    is_used_up = conclusion.stage == len(plan.sizes)
    over = "its declared plan is used up" if is_used_up else "no later stage of its plan could pass"
    instead = f", or take what is proven: `labelsvc audit --precision {best:g}`" if best > 0 else ""
    return (
        f"a precision of {plan.precision:g} is not proven: {checked(conclusion.tally)}; the best promise available now "
        f"at {plan.confidence:.4g} confidence is {best:g}. {_missing(state, conclusion)}. "
        f"Audit {state.audit.audit_id} is inconclusive for good, as {over}: label anew, with a higher threshold for "
        f"example{instead}"
    )


def asked_again(state: AuditState, conclusion: Conclusion) -> str:
    """Say why no other sample is drawn from a label set of which an audit has not proven what was asked."""
    audit = state.audit
    extension = (
        "" if conclusion.final else f"judge the declared extension, `labelsvc audit --extend {audit.audit_id[-8:]}`"
    )
    anew = "label anew" if conclusion.final else ", or label anew"
    return (
        f"label set {audit.label_set_id} was audited for {audit.plan.precision:g} by audit {audit.audit_id}: "
        f"{checked(conclusion.tally)}, which proves {floored(conclusion.bound):g}. Asking until a sample passes breaks "
        f"the promise, so no other one is judged: {extension}{anew}"
    )


def _missing(state: AuditState, conclusion: Conclusion) -> str:
    asked = state.audit.plan.precision
    if conclusion.needed is None:
        most = allowed_wrong(asked, state.label_set.rows)
        return f"No more verdicts would prove {asked:g}, as of {state.label_set.rows:,} labels {most:,} may be wrong"
    return f"For {asked:g}, {conclusion.needed:,} more verdicts would have been needed, all of them right"
