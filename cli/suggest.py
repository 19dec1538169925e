"""labelsvc suggest: which rows to label next."""

from __future__ import annotations

from labelsvc.config import SuggestConfig

from . import answer, closing, options, tables, terminal


def suggest(  # noqa: PLR0913 - an option each
    *,
    n: options.N = SuggestConfig.n,
    output: options.Output = None,
    model: options.FromModel = None,
    seed: options.Seed = SuggestConfig.seed,
    device: options.Device = SuggestConfig.device,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Choose rows of the pool whose labels would help most.

    They are shown, or written with an empty column `label` to a .csv file, or a .parquet file with the pictures, which
    goes back by `labelsvc ingest --labels FILE` when it is filled in.
    """
    from labelsvc import flows

    config = SuggestConfig(SuggestConfig.n if n is None else n, model, seed, device)
    with terminal.listening() as listener:
        outcome = flows.suggest(workspace, config, output=output, listener=listener)
    if as_json:
        answer.say("suggest", outcome)
    elif output is None:
        rows = [[one.id, one.suggested, f"{one.confidence:.1%}", one.reason] for one in outcome.suggestions]
        tables.show(["id", "suggested", "confidence", "reason"], rows)
    else:
        terminal.note(f"{outcome.path}: {len(outcome.suggestions):,} rows to label, in the column label")
    closing.close(outcome, workspace, labeled="suggested", abstained="left")
