"""labelsvc distill: a student learns from given and accepted labels."""

from __future__ import annotations

from labelsvc.config import TrainConfig

from . import answer, closing, options, terminal


def distill(  # noqa: PLR0913 - an option each
    *,
    steps: options.Steps = None,
    budget: options.Budget = None,
    network: options.Network = TrainConfig.network,
    views: options.Views = TrainConfig.views,
    device: options.Device = TrainConfig.device,
    seed: options.Seed = TrainConfig.seed,
    set_: options.Set = None,
    keep_moments: options.KeepMoments = TrainConfig.keep_moments,
    resume: options.Resume = False,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # noqa: ARG001 - settings.Verb answers it
) -> None:
    """Train a fresh student on given and accepted labels.

    It takes as many steps as its teacher did, unless told otherwise.
    """
    from labelsvc import flows

    config = TrainConfig(
        steps=steps,
        budget=options.seconds(budget),
        network=network,
        views=views,
        device=device,
        seed=seed,
        keep_moments=keep_moments,
        settings=options.pairs(set_),
    )
    with terminal.listening() as listener:
        if resume:
            config = flows.interrupted_training(workspace, "distill", listener)
        outcome = flows.distill(workspace, config, listener=listener)
    if as_json:
        answer.say("distill", outcome)
    terminal.note(closing.trained(outcome.model, outcome.steps))
    closing.close(outcome, workspace, labeled="learnt from", abstained=None)
