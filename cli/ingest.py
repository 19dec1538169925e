"""labelsvc ingest: Parquet files become samples with roles."""

from __future__ import annotations

from labelsvc.config import IngestConfig

from . import answer, closing, options, terminal


def ingest(  # noqa: PLR0913 - an option each
    files: options.Files,
    *,
    test: options.Test = None,
    id_column: options.IdColumn = None,
    label_column: options.LabelColumn = None,
    image_column: options.ImageColumn = None,
    validation: options.Validation = None,
    calibration: options.Calibration = None,
    cache_gb: options.CacheGb = IngestConfig.cache_gb,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Read labeled, unlabeled and test rows into the workspace."""
    from labelsvc import flows

    config = IngestConfig(id_column, label_column, image_column, validation, calibration, cache_gb)
    with terminal.listening() as listener:
        outcome = flows.ingest(workspace, files, test=test or (), config=config, listener=listener)
    if as_json:
        answer.say("ingest", outcome)
    roles = ", ".join(f"{count:,} {role}" for role, count in outcome.roles.items() if count)
    terminal.note(f"new samples: {roles or 'none'}")
    terminal.note(f"{len(outcome.classes)} classes ({', '.join(outcome.classes)}), pictures {outcome.shape}")
    if outcome.duplicates or outcome.same_content_other_id:
        terminal.note(
            f"{outcome.duplicates:,} rows were known already; "
            f"{outcome.same_content_other_id:,} have the same picture as another id"
        )
    closing.close(outcome, workspace, abstained="unlabeled")
