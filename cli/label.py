"""labelsvc label: the pool gets its labels."""

from __future__ import annotations

from labelsvc.config import LabelConfig

from . import answer, closing, options, terminal

BY_SOURCE = "SELECT source, count(*) AS rows FROM labels GROUP BY source ORDER BY rows DESC, source"


def label(  # noqa: PLR0913 - an option each
    *,
    threshold: options.Threshold = LabelConfig.threshold,
    class_threshold: options.ClassThreshold = None,
    model: options.FromModel = None,
    device: options.Device = LabelConfig.device,
    message: options.Message = LabelConfig.message,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Label the pool where the model is confident enough.

    The accepted labels are written as a label set, which becomes the current one.
    """
    from labelsvc import flows

    config = LabelConfig(threshold, options.thresholds(class_threshold), model, device, message)
    with terminal.listening() as listener:
        outcome = flows.label(workspace, config, listener=listener)
    if as_json:
        answer.say("label", outcome)
    terminal.note(closing.labeled(outcome.label_set, outcome.rows, outcome.model))
    with flows.query(workspace, BY_SOURCE) as reader:
        sources = reader.read_all().to_pylist()
    terminal.note("labels now: " + ", ".join(f"{one['rows']:,} {one['source']}" for one in sources))
    closing.close(outcome, workspace)
