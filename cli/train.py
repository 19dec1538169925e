"""labelsvc train: a teacher learns."""

from __future__ import annotations

from labelsvc.config import TrainConfig

from . import answer, by_accuracy, closing, options, terminal


def train(  # noqa: PLR0913 - an option each
    *,
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
    spread: options.Spread = TrainConfig.spread,
    baseline: options.Baseline = TrainConfig.baseline,
    teacher: options.Teacher = TrainConfig.teacher,
    recipe: options.Recipe = TrainConfig.recipe,
    trust_import: options.TrustImport = TrainConfig.trust_import,
    resume: options.Resume = False,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Train a teacher on the labeled rows and the pool."""
    from labelsvc import flows

    config = TrainConfig(
        method=method,
        steps=steps,
        budget=options.seconds(budget),
        network=network,
        views=views,
        device=device,
        seed=seed,
        balanced=balanced,
        keep_moments=keep_moments,
        spread=spread,
        baseline=baseline,
        teacher=teacher,
        recipe=recipe,
        trust_import=trust_import,
        settings=options.pairs(set_),
    )
    with terminal.listening() as listener:
        if resume:
            config = flows.interrupted_training(workspace, "train", listener)
        outcome = flows.train(workspace, config, listener=listener)
    if as_json:
        answer.say("train", outcome)
    by_accuracy.show(outcome.candidates, outcome.taken)
    terminal.note(closing.trained(outcome.model, outcome.steps))
    closing.close(outcome, workspace, labeled="learnt from", abstained=None)
