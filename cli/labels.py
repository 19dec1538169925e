"""labelsvc labels: label sets as things that one names, compares, goes back to and hands on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import answer, closing, options, settings, tables, terminal

if TYPE_CHECKING:
    from labelsvc.flows._labels import NamedLabelSet

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of your own.")]
LabelSet = Annotated[
    str, typer.Argument(metavar="LABEL_SET", help="An id, a unique ending of it, a tag, current, latest.")
]


def app() -> typer.Typer:
    """Build the group of verbs."""
    group = typer.Typer(
        cls=settings.Verbs, rich_markup_mode=None, help="List, tag, compare, roll back, export and decide on labels."
    )
    group.command("list", cls=settings.Verb)(list_)
    group.command("tag", cls=settings.Verb)(tag)
    group.command("diff", cls=settings.Verb)(diff)
    group.command("rollback", cls=settings.Verb)(rollback)
    group.command("export", cls=settings.Verb)(export)
    group.command("decide", cls=settings.Verb)(decide)
    return group


def list_(
    *,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """List all label sets, oldest first."""
    from labelsvc import flows

    found = flows.list_labels(workspace)
    if as_json:
        answer.say("labels list", label_sets=found)
        return
    head = [
        "label set",
        "names",
        "written (UTC)",
        "round",
        "threshold",
        "certified",
        "labels",
        "model",
        "run",
        "message",
    ]
    tables.show(head, [_row(one) for one in found])


def tag(
    name: Name,
    label_set: LabelSet = "current",
    *,
    force: options.Force = False,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Give a label set a name of your own."""
    from labelsvc import flows

    tagged = flows.tag_labels(workspace, name, label_set, force=force)
    if as_json:
        answer.say("labels tag", name=name, label_set=tagged)
    terminal.note(f"{name} is label set {terminal.short(tagged.label_set_id)} of {tagged.rows:,} labels")


def diff(
    before: LabelSet,
    after: LabelSet = "current",
    *,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Say what one label set says otherwise than another."""
    from labelsvc import flows

    found = flows.diff_labels(workspace, before, after)
    if as_json:
        answer.say("labels diff", found)
        return
    typer.echo(
        f"{terminal.short(found.before.label_set_id)} → {terminal.short(found.after.label_set_id)}: "
        f"{found.gained:,} gained, {found.withdrawn:,} withdrawn, {found.changed:,} changed, "
        f"{found.unchanged:,} unchanged\n"
    )
    rows = [list(row.values()) for row in found.classes.to_pylist()]
    tables.show([name.replace("_", " ") for name in found.classes.column_names], rows)


def rollback(
    *,
    to: options.To = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Point current at an older label set; nothing is deleted."""
    from labelsvc import flows

    found = flows.rollback_labels(workspace, to)
    if as_json:
        answer.say("labels rollback", label_set=found)
    terminal.note(f"current is label set {terminal.short(found.label_set_id)} of {found.rows:,} labels")


def export(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The Parquet file to write.")],
    *,
    label_set: options.OfLabelSet = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Write every label, with its source, to a Parquet file."""
    from labelsvc import flows

    outcome = flows.export_labels(workspace, path, label_set=label_set)
    if as_json:
        answer.say("labels export", outcome)
    terminal.note(f"wrote {outcome.path}")
    for line in closing.certificates(outcome.certificates):
        terminal.note(line)
    closing.close(outcome, workspace, abstained="unlabeled")


def decide(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Parquet or CSV of id, decision, label, actor, lead_time_s.")
    ],
    *,
    actor: options.Actor = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Take people's decisions on labels from a file.

    A decision is confirm, relabel, reject or unsure. All rows are taken, or none where one is wrong.
    """
    from labelsvc import flows

    outcome = flows.decide_labels(workspace, file, actor=actor)
    if as_json:
        answer.say("labels decide", outcome)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in outcome.decisions.items())
    terminal.note(f"{outcome.path}: {kinds or 'no decisions'}")
    closing.close(outcome, workspace, labeled="decided", abstained=None)


def _row(named: NamedLabelSet) -> list[object]:
    one = named.label_set
    origin = [terminal.short(one.model_id), terminal.short(one.run_id)]
    written = named.created_at.isoformat(sep=" ", timespec="seconds")
    names = ", ".join(named.names)
    return [
        terminal.short(one.label_set_id),
        names,
        written,
        one.round,
        named.threshold if named.threshold <= 1 else "by class",
        _certified(named),
        one.rows,
        *origin,
        one.message,
    ]


def _certified(named: NamedLabelSet) -> str | None:
    found = named.certificate
    return None if found is None else f"{found.promised_precision:.4g} at {found.confidence:.4g}"
