"""labelsvc label: the pool gets its labels."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from labelsvc.config import LabelConfig

from . import answer, by_class, closing, options, tables, terminal

if TYPE_CHECKING:
    from labelsvc.flows._label import LabelOutcome

BY_SOURCE = "SELECT source, count(*) AS rows FROM labels GROUP BY source ORDER BY rows DESC, source"


def label(  # noqa: PLR0913 - an option each
    *,
    threshold: options.LabelThreshold = None,
    class_threshold: options.ClassThreshold = None,
    precision: options.Precision = None,
    confidence: options.Confidence = LabelConfig.confidence,
    per_class: options.PerClass = False,
    uncertified: options.Uncertified = False,
    gate: options.Gate = LabelConfig.gate,
    adjust_prior: options.AdjustPrior = False,
    model: options.FromModel = None,
    from_predictions: options.FromPredictions = None,
    device: options.Device = LabelConfig.device,
    message: options.Message = LabelConfig.message,
    rounds: options.Rounds = LabelConfig.rounds,
    steps: options.Steps = None,
    budget: options.Budget = None,
    resume: options.Resume = False,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Label the pool where the model is confident enough.

    With --precision, the lowest threshold is found for which that precision can be promised, and the certificate is
    stored beside the labels; where none can be, nothing is written and the exit code is 4. The accepted labels are
    written as a label set, which becomes the current one. With --rounds, a student is distilled from them and labels
    the pool in its turn; --steps or --budget say how long each student learns. With --from-predictions, the words are
    those of any other program's model.
    """
    from labelsvc import flows

    config = LabelConfig(
        threshold=threshold,
        class_thresholds=options.thresholds(class_threshold),
        precision=precision,
        confidence=confidence,
        per_class=per_class,
        uncertified=uncertified,
        gate=gate,
        adjust_prior=adjust_prior,
        model=model,
        predictions=from_predictions,
        device=device,
        message=message,
        rounds=rounds,
        steps=steps,
        budget=options.seconds(budget),
    )
    with terminal.listening() as listener:
        if resume:
            config = flows.interrupted_rounds(workspace, listener)
        outcome = flows.label(workspace, config, listener=listener)
    if as_json:
        answer.say("label", outcome)
    if outcome.rounds:
        _show_rounds(outcome)
    terminal.note(closing.labeled(outcome.label_set, outcome.rows, outcome.model))
    with flows.query(workspace, BY_SOURCE) as reader:
        sources = reader.read_all().to_pylist()
    by_class.show(outcome.classes)
    for line in closing.promised(outcome):
        terminal.note(line)
    terminal.note("labels now: " + ", ".join(f"{one['rows']:,} {one['source']}" for one in sources))
    closing.close(outcome, workspace)


def _show_rounds(outcome: LabelOutcome) -> None:
    """Show on stderr what each round came to, and why no further one followed."""
    head = ["round", "labels", "gained", "changed", "withdrawn", "model", "validation", "label set"]
    rows = [
        [
            one.round,
            *([one.labels, one.gained, one.changed, one.withdrawn] if one.label_set_id else [None] * 4),
            terminal.short(one.model_id),
            None if one.accuracy is None else f"{one.accuracy:.2%}",
            terminal.short(one.label_set_id) if one.label_set_id else "not written",
        ]
        for one in outcome.rounds
    ]
    tables.show(head, rows, sys.stderr)
    terminal.note(f"stopped after {len(rows)} {'round' if len(rows) == 1 else 'rounds'}: {outcome.stop_reason}")
