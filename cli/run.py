"""labelsvc run: all of it in one go."""

from __future__ import annotations

from labelsvc.config import IngestConfig, LabelConfig, TrainConfig

from . import answer, closing, options, terminal


def run(  # noqa: PLR0913 - an option each
    files: options.Files,
    *,
    test: options.Test = None,
    id_column: options.IdColumn = None,
    label_column: options.LabelColumn = None,
    image_column: options.ImageColumn = None,
    validation: options.Validation = None,
    calibration: options.Calibration = None,
    cache_gb: options.CacheGb = IngestConfig.cache_gb,
    method: options.Method = TrainConfig.method,
    steps: options.Steps = None,
    budget: options.Budget = None,
    network: options.Network = TrainConfig.network,
    views: options.Views = TrainConfig.views,
    device: options.Device = TrainConfig.device,
    seed: options.Seed = TrainConfig.seed,
    balanced: options.Balanced = TrainConfig.balanced,
    set_: options.Set = None,
    keep_moments: options.KeepMoments = TrainConfig.keep_moments,
    threshold: options.Threshold = LabelConfig.threshold,
    class_threshold: options.ClassThreshold = None,
    message: options.Message = LabelConfig.message,
    onnx: options.Onnx = None,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Ingest, train, label, distill and export in one go.

    What is done already is not done again. The file to export is named by --onnx.
    """
    from labelsvc import flows

    config = flows.RunConfig(
        IngestConfig(id_column, label_column, image_column, validation, calibration, cache_gb),
        TrainConfig(
            method=method,
            steps=steps,
            budget=options.seconds(budget),
            network=network,
            views=views,
            device=device,
            seed=seed,
            balanced=balanced,
            keep_moments=keep_moments,
            settings=options.pairs(set_),
        ),
        LabelConfig(threshold, options.thresholds(class_threshold), None, device, message),
    )
    with terminal.listening() as listener:
        outcome = flows.run(workspace, files, test=test or (), onnx=onnx, config=config, listener=listener)
    if as_json:
        answer.say("run", outcome)
    terminal.note(closing.trained(outcome.teacher))
    terminal.note(closing.labeled(outcome.labels.label_set, outcome.rows, outcome.teacher))
    terminal.note(closing.trained(outcome.student))
    if outcome.exported is not None:
        terminal.note(closing.exported(outcome.exported))
    closing.close(outcome, workspace)
