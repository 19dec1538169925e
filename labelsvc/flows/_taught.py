"""A stored teacher for the methods that need one: which it is, and what it says of the pool, asked once and kept.

Where a workspace has no model yet, a training makes itself a teacher first, in a run of its own and for half of what
it may spend. The teacher's network is gone before the first step of the method; its words lie in the run's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from labelsvc.config import TrainConfig, digest
from labelsvc.errors import InputError, UsageError
from labelsvc.flows._few import begun_with_few, is_spread
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._models import PREDICTIONS, is_kept, open_network
from labelsvc.flows._room import Assignment
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.flows._teach import teach
from labelsvc.flows._words import shown
from labelsvc.labeling.pool import Answers, answers, predict_rows, write_predictions
from labelsvc.labeling.select import among
from labelsvc.methods import DEFAULT, METHODS, make
from labelsvc.methods.contract import Method
from labelsvc.records import Listener, Model, Progress, RowCount, SampleNumbers
from labelsvc.store import models, runs, samples
from labelsvc.training.device import describe, find_device, prepare
from labelsvc.training.rows import passing_rows
from labelsvc.workspace import Workspace

OWN = "teacher"  # the command of a run in which a training makes itself a teacher
WORDS = "targets.parquet"  # of a run: what its teacher says of each row of the pool
BATCHES = ("labeled_batch", "pool_batch")  # settings of a method that its own teacher is given too
COMPARED_ROWS = 4096  # on which a model without validation rows takes over its teacher's scale


def refuse_unneeded(config: TrainConfig, method: Method) -> None:
    """Refuse a teacher for a method that learns from none.

    Raises:
        UsageError: there is one.
    """
    if config.teacher is not None and not method.needs_teacher:
        those = " and ".join(name for name, known in METHODS.items() if known.needs_teacher)
        raise UsageError(f"--teacher is for {those}; {config.method} learns from no stored teacher, leave it out")


def with_teacher(place: Workspace, config: TrainConfig, method: Method, call: str) -> TrainConfig:
    """Return ``config`` with the id of the model whose words are learnt from: the wanted one, else the newest kept.

    What this very ``call`` made before is passed over, and what came of it, so that the same call is the same training.
    The teacher stays None where the method needs none, or is to be made first.

    Raises:
        InputError: the wanted one's weights are gone, or it knows other classes.
        UsageError: the method needs none, or no model is called so.
    """
    refuse_unneeded(config, method)
    if not method.needs_teacher:
        return config
    store = open_store(place)
    classes = samples.class_names(store)
    if config.teacher is not None:
        return replace(config, teacher=_usable(place, models.get(store, config.teacher), classes).model_id)
    kept = [model for model in models.others(store, call) if is_kept(place, model) and model.classes == classes]
    return replace(config, teacher=kept[-1].model_id if kept else None)


def _usable(place: Workspace, model: Model, classes: tuple[str, ...]) -> Model:
    if not is_kept(place, model):
        raise InputError(f"the weights of {model.role} {model.model_id} are gone; name another one with --teacher")
    if model.classes != classes:
        raise InputError(
            f"{model.role} {model.model_id} knows the classes {', '.join(model.classes)}, and the labels are of "
            f"{', '.join(classes)}; train another one, or name it with --teacher"
        )
    return model


def halves(config: TrainConfig) -> tuple[TrainConfig, TrainConfig]:
    """Return what a training's own teacher may spend, and what is left for the method.

    >>> [half.steps for half in halves(TrainConfig(steps=5))], [half.budget for half in halves(TrainConfig())]
    ([2, 3], [60.0, 60.0])
    """
    if config.steps is not None:
        first = config.steps // 2
        return replace(config, steps=first), replace(config, steps=config.steps - first)
    half = replace(config, budget=(config.seconds or 0.0) / 2)
    return half, half


def taught(session: Session, assignment: Assignment, listener: Listener) -> Assignment:
    """Return ``assignment`` with what the teacher of its config says of the pool, and as that teacher's successor.

    Where the config names none, a teacher is trained first. A run that is gone on with reads what it kept.
    """
    config = assignment.config
    if config.teacher is None:
        first, config = halves(config)
        listener.note(
            f"there is no model yet that {config.method} could learn from, so a {DEFAULT} teacher is made "
            "first, with half of the time; --teacher names one"
        )
        teacher = _own(session, replace(assignment, config=first), listener)
    else:
        teacher = models.get(session.store, config.teacher)
    listener.note(f"learning from {teacher.role} {teacher.model_id} ({teacher.method}, {teacher.network})")
    words = _words(session, teacher, assignment, listener)
    return replace(
        assignment,
        config=replace(config, teacher=teacher.model_id),
        parent_id=teacher.model_id,
        elder=(assignment.pool[:COMPARED_ROWS], words[:COMPARED_ROWS].astype(np.float64)),
        targets=words,
    )


def foreseen(place: Workspace, assignment: Assignment, listener: Listener) -> Assignment:
    """Return ``assignment`` as ``taught`` would, with the words of a teacher that knows nothing: they cost the same.

    Raises:
        InputError, UsageError: as ``with_teacher``.
    """
    method, store = assignment.method, open_store(place)
    call = digest(replace(assignment.config, teacher=None), method, samples.state_digest(store))
    config = with_teacher(place, assignment.config, method, call)
    if config.teacher is None:
        listener.note(
            f"there is no model yet that {config.method} could learn from: `train` makes a {DEFAULT} "
            "teacher first, with half of the time; what follows is of the other half"
        )
        _, config = halves(config)
    classes = len(samples.class_names(store))
    words = np.full((len(assignment.pool), classes), 1 / classes, np.float32)
    return replace(assignment, config=config, targets=words)


def _own(session: Session, assignment: Assignment, listener: Listener) -> Model:
    """Return a teacher of the default method."""
    batches = {name: size for name, size in assignment.config.settings.items() if name in BATCHES}
    config = replace(assignment.config, method=DEFAULT, settings=batches)
    method = make(config.method, config.settings)
    task = replace(assignment, method_name=config.method, method=method, config=config, budget_share=1.0)
    return own_teacher(session, task, listener)


def own_teacher(session: Session, task: Assignment, listener: Listener) -> Model:
    """Return a teacher of a training's own, made in a run below that one's, or before it was interrupted."""
    config = replace(task.config, keep_moments=0, baseline=False, teacher=None)
    task = replace(task, config=config)
    config_hash = digest(config, task.method, samples.state_digest(session.store))
    done = runs.find_done(session.store, OWN, config_hash)
    if done is not None and is_kept(session.workspace, model := models.get(session.store, done.outcome["model"])):
        return model
    device = describe(find_device(config.device))
    run = runs.NewRun(OWN, asdict(config), config_hash, config.seed, versions(), device, session.run_id)
    with recorded(session.workspace, run, resumable=True) as child:
        child.rows = RowCount(given=len(task.labeled), labeled=len(task.labeled))
        if is_spread(child.store, config, task.labeled, task.pool):
            task = begun_with_few(child, task, listener)
        return teach(child, task, listener)


def _words(session: Session, teacher: Model, assignment: Assignment, listener: Listener) -> NDArray[np.float32]:
    """Return the teacher's probabilities [pool, classes] at its own temperature, from the run's folder once there."""
    path, pool = session.folder / WORDS, assignment.pool
    if not path.exists():
        asked = _answers(session, teacher, pool, assignment.config.device)
        for done in write_predictions(path, asked, teacher.classes):
            listener.progress(Progress("ask the teacher", done, len(pool)))
    numbers, words = [np.empty(0, np.int64)], [np.empty((0, len(teacher.classes)), np.float32)]
    for block, scores in answers(path, teacher.classes):
        numbers.append(block.numbers)
        words.append(scores.astype(np.float32))
    if not np.array_equal(np.concatenate(numbers), pool):
        path.unlink()
        raise InputError(
            f"{teacher.role} {teacher.model_id} says nothing of some of the {len(pool):,} rows of the pool; "
            "bring its word on all of them, or name another one with --teacher"
        )
    return np.concatenate(words)


def _answers(session: Session, teacher: Model, pool: SampleNumbers, device: str) -> Iterator[Answers]:
    """Yield what the teacher says of the pool: its network's words, or those that another program's file brought."""
    known = runs.find_predictions(session.store, teacher.model_id, shown(session.store).digest)
    if teacher.method == PREDICTIONS and known is not None:
        for block, scores in answers(session.workspace.root / known["predictions"], teacher.classes):
            chosen = among(block.numbers, pool)
            yield block.where(chosen), scores[chosen]
        return
    place = find_device(device)
    prepare(place)
    network = open_network(session.workspace, teacher).to(place)
    rows = passing_rows(pool, open_inputs(session.workspace, session.store, pool), place)
    yield from predict_rows(network, rows, teacher.temperature)
