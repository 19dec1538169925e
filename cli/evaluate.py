"""labelsvc evaluate: how often is it right?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from . import answer, closing, options, tables, terminal

if TYPE_CHECKING:
    from labelsvc.labeling.score import Score


def evaluate(
    *,
    model: options.FromModel = None,
    truth: options.Truth = None,
    moments: options.Moments = False,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Score a model on test rows, or the labels against the truth."""
    from labelsvc import flows

    with terminal.listening() as listener:
        outcome = flows.evaluate(workspace, model=model, truth=truth, moments=moments, listener=listener)
    if as_json:
        shares = {"accuracy": outcome.score.accuracy, "coverage": outcome.score.coverage}
        answer.say("evaluate", outcome, **shares)
    else:
        typer.echo(f"{outcome.subject}\n{_in_words(outcome.score)}\n")
        _show_classes(outcome.score)
        if outcome.moments:
            typer.echo("")
            tables.show(["step", "accuracy"], [[point.step, f"{point.value:.2%}"] for point in outcome.moments])
    closing.close(outcome, workspace)


def _in_words(score: Score) -> str:
    right = f"{_share(score.right, score.labeled)} ({score.right:,} of {score.labeled:,} right)"
    if score.labeled == score.rows:
        return f"accuracy {right}"
    covered = f"{_share(score.labeled, score.rows)} ({score.labeled:,} of {score.rows:,} rows)"
    return f"accuracy of the labels {right}, coverage {covered}"


def _show_classes(score: Score) -> None:
    headers = ["class", "rows", "labeled", "coverage", "right", "recall", "named", "precision"]
    rows = [
        [
            one.name,
            one.rows,
            one.labeled,
            _share(one.labeled, one.rows),
            one.right,
            _share(one.right, one.rows),
            one.named,
            _share(one.right, one.named),
        ]
        for one in score.classes
    ]
    tables.show(headers, rows)


def _share(part: int, whole: int) -> str:
    """Return a share in per cent; a dash where there is nothing to divide by.

    >>> _share(1, 8), _share(0, 0)
    ('12.50%', '-')
    """
    return f"{part / whole:.2%}" if whole else "-"
