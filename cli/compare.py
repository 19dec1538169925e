"""labelsvc compare: students of any size beside their teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import answer, closing, options, tables, terminal

if TYPE_CHECKING:
    from labelsvc.flows._compare import Compared, CompareOutcome

HEAD = ["model", "role", "network", "parameters", "MB", "validation", "like the teacher", "ms for 1", "rows/s at 32"]


def compare(
    *,
    model: options.FromModels = None,
    device: options.Device = "auto",
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Compare students of any size with their teacher.

    These are the models that learnt from the current label set, or those of --from, as fp32 ONNX files on this machine.
    Accuracy is on validation rows, never on test rows.
    """
    from labelsvc import flows

    with terminal.listening() as listener:
        outcome = flows.compare(workspace, model or (), device=device, listener=listener)
    if as_json:
        answer.say("compare", outcome)
    else:
        tables.show(HEAD, [_row(one, outcome) for one in outcome.models])
    rows = f"{outcome.validation:,} validation rows, {outcome.pool:,} inputs of the pool"
    terminal.note(f"on this machine's {outcome.device}; {rows}")
    closing.close(outcome, workspace, labeled="asked", abstained=None)


def _row(found: Compared, outcome: CompareOutcome) -> list[object]:
    return [
        terminal.short(found.model_id),
        found.role,
        found.network,
        "-" if found.parameters is None else found.parameters,
        f"{found.bytes / 1e6:.2f}",
        _share(found.right, outcome.validation),
        _share(found.agreeing, outcome.pool),
        f"{found.latency_ms:.2f}",
        f"{found.rows_per_second:,.0f}",
    ]


def _share(part: int | None, whole: int) -> str:
    """Return a share in per cent; a dash where nobody could tell.

    >>> _share(1, 8), _share(None, 0)
    ('12.50%', '-')
    """
    return "-" if part is None or not whole else f"{part / whole:.2%}"
