"""labelsvc run: all of it in one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labelsvc.config import IngestConfig, LabelConfig, TrainConfig

from . import answer, closing, options, terminal
from .ingest import ingest_config

TRAINING = ("steps", "budget")  # of run, for its trainings; those of label are for students between rounds

if TYPE_CHECKING:
    from labelsvc.flows import RunConfig
    from labelsvc.flows._run import RunOutcome


def run(  # noqa: PLR0913 - an option each
    files: options.Files = None,
    *,
    test: options.Test = None,
    id_column: options.IdColumn = None,
    label_column: options.LabelColumn = None,
    image_column: options.ImageColumn = None,
    group_column: options.GroupColumn = None,
    vector_column: options.VectorColumn = None,
    features: options.Features = None,
    exclude: options.Exclude = None,
    split_by: options.SplitBy = None,
    image_root: options.ImageRoot = None,
    shape: options.Shape = None,
    size: options.Size = None,
    labels: options.LabelsFile = None,
    classes: options.Classes = None,
    missing_label: options.MissingLabel = None,
    validation: options.Validation = None,
    calibration: options.Calibration = None,
    max_failed: options.MaxFailed = IngestConfig.max_failed,
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
    baseline: options.Baseline = TrainConfig.baseline,
    teacher: options.Teacher = TrainConfig.teacher,
    recipe: options.Recipe = TrainConfig.recipe,
    trust_import: options.TrustImport = TrainConfig.trust_import,
    threshold: options.LabelThreshold = None,
    class_threshold: options.ClassThreshold = None,
    precision: options.Precision = None,
    confidence: options.Confidence = LabelConfig.confidence,
    per_class: options.PerClass = False,
    uncertified: options.Uncertified = False,
    gate: options.Gate = LabelConfig.gate,
    adjust_prior: options.AdjustPrior = False,
    message: options.Message = LabelConfig.message,
    rounds: options.Rounds = LabelConfig.rounds,
    onnx: options.Onnx = None,
    resume: options.Resume = False,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # settings.Verb answers it
) -> None:
    """Ingest, train, label, distill and export in one go.

    What is done already is not done again. The file to export is named by --onnx.
    """
    _run(locals())  # before anything else has a name


def _run(told: Mapping[str, Any]) -> None:
    """Do all of it, by the names of ``run``'s parameters."""
    from labelsvc import flows

    config, workspace = _config(told), told["workspace"]
    with terminal.listening() as listener:
        whole = flows.ToldRun(tuple(told["files"] or ()), tuple(told["test"] or ()), told["onnx"], config)
        if told["resume"]:
            whole = flows.interrupted_run(workspace, listener)
        outcome = flows.run(
            workspace, whole.files, test=whole.test, onnx=whole.onnx, config=whole.config, listener=listener
        )
    if told["as_json"]:
        answer.say("run", outcome)
    _tell(outcome)
    closing.close(outcome, workspace)


def _tell(outcome: RunOutcome) -> None:
    """Say what each step came to."""
    terminal.note(closing.trained(outcome.teacher))
    terminal.note(closing.labeled(outcome.labels.label_set, outcome.rows, outcome.labels.model))
    for line in closing.promised(outcome.labels):
        terminal.note(line)
    terminal.note(closing.trained(outcome.student))
    if outcome.exported is not None:
        for line in closing.exported(outcome.exported):
            terminal.note(line)


def _config(told: Mapping[str, Any]) -> RunConfig:
    """Return what each step is told."""
    from labelsvc import flows

    read = {"budget": options.seconds(told["budget"]), "settings": options.pairs(told["set_"])}
    training = {name: told[name] for name in TrainConfig.__dataclass_fields__ if name in told}
    rule = {name: told[name] for name in LabelConfig.__dataclass_fields__ if name in told and name not in TRAINING}
    labeling = LabelConfig(**rule, class_thresholds=options.thresholds(told["class_threshold"]))
    return flows.RunConfig(ingest_config(told), TrainConfig(**training | read), labeling)
