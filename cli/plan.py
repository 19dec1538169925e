"""labelsvc plan: what a promise costs, whether pseudo-labels will likely help, and what it all takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from labelsvc.config import PlanConfig, TrainConfig

from . import answer, closing, options, tables, terminal

if TYPE_CHECKING:
    from labelsvc.flows._plan import PlanOutcome, Training
    from labelsvc.labeling.outlook import Evidence, Promise

UNITS = ("B", "kB", "MB", "GB", "TB")


def plan(  # noqa: PLR0913 - an option each
    *,
    precision: options.Precision = PlanConfig.precision,
    confidence: options.Confidence = PlanConfig.confidence,
    budget: options.Budget = None,
    method: options.Method = TrainConfig.method,
    network: options.Network = TrainConfig.network,
    device: options.Device = TrainConfig.device,
    seed: options.Seed = TrainConfig.seed,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Tell what can be promised and afforded before spending.

    What labels a precision costs, whether pseudo-labels will likely help and why, and the time, memory and disk of a
    training. Nothing is written, and no calibration label is read.
    """
    from labelsvc import flows

    train = TrainConfig(method=method, budget=options.seconds(budget), network=network, device=device, seed=seed)
    config = PlanConfig(PlanConfig.precision if precision is None else precision, confidence, train)
    with terminal.listening() as listener:
        outcome = flows.plan(workspace, config, listener=listener)
    if as_json:
        answer.say("plan", outcome, verdict_in_words=str(outcome.verdict))
    else:
        typer.echo("\n\n".join(_told(outcome)))
    closing.close(outcome, workspace, abstained="in the pool")


def _told(outcome: PlanOutcome) -> list[str]:
    """Return the parts of what is told, the verdict last."""
    return [
        _part("Rows", tables.lines(["role", "rows"], list(outcome.roles.items()))),
        _part(*_promise(outcome.promise)),
        _part("Time", [_time(outcome.training)]),
        _part("Memory while training, about", _bytes(outcome.space.memory)),
        _part("Disk, about", _bytes(outcome.space.disk)),
        _part(*_evidence(outcome.evidence)),
        str(outcome.verdict),
    ]


def _part(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _promise(found: Promise) -> tuple[str, list[str]]:
    title = f"Promise: right {100 * found.precision:g}% of the time, at {100 * found.confidence:g}% confidence"
    pairs = enumerate(zip(found.needed, found.best, strict=True))
    rows = [[wrong, needed, f"{best:.2%}"] for wrong, (needed, best) in pairs]
    have = f"{found.calibration:,} calibration rows"
    if found.missing is None:
        enough = "no number of rows can promise it"
    elif found.missing:
        enough = f"{found.missing:,} short of the fewest that could: ingest more labels with --calibration, or audit"
    else:
        enough = "enough, if the threshold that is found accepts that many of them"
    return title, [
        f"an audit: {_count(found.audit)} labels to judge, none of them wrong",
        f"calibration rows, at look {found.look}, by how many of the accepted ones are wrong:",
        *tables.lines(["wrong", "must be accepted", f"best promise with all {found.calibration:,}"], rows),
        f"this workspace has {have}: {enough}",
    ]


def _count(rows: int | None) -> str:
    return "no number of" if rows is None else f"{rows:,}"


def _time(training: Training | None) -> str:
    if training is None:
        return "there is nothing to train on: no row has a label"
    if not training.steps:
        return f"{training.seconds:,.0f} s at most, for comparing teachers ({training.network}) and fitting the best"
    seen = f", each row of the pool seen {training.passes:,.1f} times" if training.passes else ""
    beside = " (a sixth of that for the baseline)" if training.baseline else ""
    return (
        f"{training.seconds:,.0f} s{beside}: {training.steps:,} steps of {training.method} with {training.network} on "
        f"{training.device} at {training.steps_per_second:,.3g} steps/s{seen}"
    )


def _bytes(sizes: Mapping[str, int]) -> list[str]:
    if not sizes:
        return ["nothing"]
    rows = [[name, size(bytes_)] for name, bytes_ in [*sizes.items(), ("together", sum(sizes.values()))]]
    return tables.lines(["what", "size"], rows)


def size(bytes_: float) -> str:
    """Return a size with its unit.

    >>> size(999), size(47_040_000), size(2.5e9)
    ('999 B', '47.0 MB', '2.5 GB')
    """
    unit = 0
    while bytes_ >= 999.95 and unit < len(UNITS) - 1:
        bytes_, unit = bytes_ / 1000, unit + 1
    return f"{bytes_:.1f} {UNITS[unit]}" if unit else f"{bytes_:.0f} B"


def _evidence(found: Evidence) -> tuple[str, list[str]]:
    title = "Outlook, by a quick linear model on untrained features (not what a trained network reaches)"
    rows = [[point.labels, f"{point.accuracy:.1%}", f"± {2 * point.error:.1%}"] for point in found.curve]
    lines = tables.lines(["labels", "right", "on held-out labels"], rows) if rows else ["no curve: too few labels"]
    lines.append(
        f"{found.agreement:.1%} of {found.labels:,} labels are their nearest labeled neighbour's "
        f"({found.agreement_by_chance:.1%} by chance)"
    )
    if found.covered is not None:
        lines.append(f"{found.covered:.1%} of the pool lies as near to a labeled row as 95% of these to each other")
    return title, lines
