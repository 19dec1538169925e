"""What a newcomer is told at the end of the quickstart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """What the quickstart measured; accuracies are shares of ``test_rows``."""

    given: int
    pool: int
    test_rows: int
    baseline: float
    teacher: float
    student: float
    threshold: float
    labels: int
    right: int


def tell(figures: Figures, *, student: str, workspace: str, example: str) -> list[str]:
    """Return the summary as lines; ``example`` is the id of a sample from the pool."""
    share = figures.labels / max(figures.pool, 1)
    right = figures.right / max(figures.labels, 1)
    return [
        "",
        f"From {figures.given} labeled digits and {figures.pool:,} unlabeled ones:",
        "",
        f"  accuracy on {figures.test_rows} digits that no training saw",
        f"    {figures.baseline:6.1%}  a network trained on the {figures.given} labels alone",
        f"    {figures.teacher:6.1%}  the teacher, which also learnt from the unlabeled digits",
        f"    {figures.student:6.1%}  the student, which learnt from the teacher's labels: {student}",
        "",
        f"  labels written at a confidence of {figures.threshold:g} or more",
        f"    {figures.labels:,} of {figures.pool:,} unlabeled digits ({share:.1%}); "
        f"{figures.right:,} of these labels are right ({right:.1%})",
        "",
        "Try next:",
        f'  labelsvc query "SELECT label, source, count(*) FROM labels GROUP BY ALL" --workspace {workspace}',
        f"  labelsvc trace {example} --workspace {workspace}",
        f"  labelsvc label --threshold 0.99 --workspace {workspace}",
    ]
