"""distill: a fresh student learns, supervised and in strong views, from given and accepted labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelsvc.config import TrainConfig, digest
from labelsvc.errors import InputError
from labelsvc.flows._models import is_kept
from labelsvc.flows._pupils import Pupil
from labelsvc.flows._room import Assignment
from labelsvc.flows._session import open_store, predictions_of, recorded, versions
from labelsvc.flows._teach import teach
from labelsvc.labeling.pool import read_distributions, read_predictions
from labelsvc.labeling.select import accept, among, thresholds_by_class
from labelsvc.methods import change
from labelsvc.records import (
    SILENCE,
    LabeledSamples,
    LabelSet,
    Listener,
    Model,
    PictureShape,
    PseudoLabels,
    RowCount,
    SampleNumbers,
)
from labelsvc.store import datasets, label_sets, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.student.distil import STUDENT, syllabus
from labelsvc.training.device import describe, find_device
from labelsvc.workspace import Workspace, find

NEXT = "labelsvc export student.onnx"
COMPARED_ROWS = 4096  # on which a student without validation rows takes over its teacher's scale


@dataclass(frozen=True)
class DistillOutcome:
    """A trained student."""

    run_id: str
    model: Model
    label_set: LabelSet
    steps: int | None  # that it learnt for; None of one that takes none
    rows: RowCount
    next_command: str
    repeated: bool = False


def distill(
    workspace: str | Path,
    config: TrainConfig | None = None,
    *,
    label_set: str = label_sets.CURRENT,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> DistillOutcome:
    """Train a student on given labels, people's decisions and a set's accepted labels, by default the current one's.

    Calibration inputs that the set's policy accepts are learnt from too, under the teacher's labels. Without steps
    or budget in ``config`` the student takes as many steps as its teacher did; its method is fixed. For tables and
    vectors, ``_pupils`` says what a student is.

    Raises:
        InputError: nothing was ingested, trained or labeled.
    """
    place = find(Path(workspace))
    store = open_store(place)
    taught_by = label_sets.get(store, label_set)
    if not isinstance(datasets.input_shape(store), PictureShape):
        pupil = Pupil(place, store, taught_by, config or TrainConfig(), listener)
        run_id, model, rows, repeated = pupil.learn(parent_run)
        steps = runs.get(store, run_id).outcome.get("steps")
        return DistillOutcome(run_id, model, taught_by, steps, rows, NEXT, repeated)
    told = replace(config or TrainConfig(), method="supervised", baseline=False, teacher=None)
    config = _as_long_as_teacher(store, told, taught_by)
    method = change(STUDENT, "the student", config.settings)
    config_hash = digest(config, method, taught_by.label_set_id, samples.state_digest(store))
    done = runs.find_done(store, "distill", config_hash)
    if done is not None and is_kept(place, model := models.get(store, done.outcome["model"])):
        listener.note(f"this very student was distilled by run {done.run_id}; nothing to do")
        return DistillOutcome(done.run_id, model, taught_by, done.outcome["steps"], done.rows, NEXT, repeated=True)
    lessons = _syllabus(place, store, taught_by)
    assignment = Assignment(
        role="student",
        method_name="supervised",
        method=method,
        labeled=lessons,
        pool=np.empty(0, np.int64),
        config=config,
        parent_id=taught_by.model_id,
        round=taught_by.round,
        elder=_teachers_words(place, store, taught_by),
    )
    settings = {**asdict(config), "label_set": taught_by.label_set_id}
    device = describe(find_device(config.device))
    run = NewRun("distill", settings, config_hash, config.seed, versions(), device, parent_run)
    with recorded(place, run, resumable=True) as session:
        session.rows = RowCount(given=len(lessons), labeled=len(lessons))
        model = teach(session, assignment, listener)
    return DistillOutcome(session.run_id, model, taught_by, session.outcome["steps"], session.rows, NEXT)


def _as_long_as_teacher(store: Store, config: TrainConfig, label_set: LabelSet) -> TrainConfig:
    if config.steps is not None or config.budget is not None:
        return config
    teacher = models.get(store, label_set.model_id)
    learnt = runs.get(store, teacher.run_id)
    if learnt.command == models.BASELINE and learnt.parent_id is not None:
        learnt = runs.get(store, learnt.parent_id)  # the training that it was the short comparison of
    steps = learnt.outcome.get("steps")
    if steps is None:
        raise InputError(f"how long teacher {teacher.model_id} learnt is not known; give --steps or --budget")
    return replace(config, steps=int(steps))


def _syllabus(workspace: Workspace, store: Store, label_set: LabelSet) -> LabeledSamples:
    accepted = label_sets.accepted(store, label_set.label_set_id)
    undecided = accepted.where(among(accepted.numbers, samples.pool(store)))
    hidden = samples.calibration_inputs(store)
    more = [_accepted_calibration(workspace, store, label_set, hidden)] if len(hidden) else []
    return syllabus(samples.given(store, "train"), undecided, *more)


def _teachers_words(
    workspace: Workspace, store: Store, label_set: LabelSet
) -> tuple[SampleNumbers, NDArray[np.float64]] | None:
    """Return the teacher's probabilities of some of what it was shown, None where the file is gone."""
    said = predictions_of(workspace, store, label_set)
    return read_distributions(said, COMPARED_ROWS) if said else None


def _accepted_calibration(
    workspace: Workspace, store: Store, label_set: LabelSet, hidden: SampleNumbers
) -> PseudoLabels:
    """Return the teacher's labels of the calibration inputs that the set's policy accepts."""
    policy = label_sets.policy(store, label_set)
    classes = models.get(store, label_set.model_id).classes
    said = predictions_of(workspace, store, label_set)
    if said is None:
        raise InputError(
            f"the predictions behind label set {label_set.label_set_id} are gone; run `labelsvc label` again"
        )
    words = read_predictions(said, classes)
    shown = words.where(among(words.numbers, hidden))
    thresholds = thresholds_by_class(policy.threshold, policy.class_thresholds, classes)
    return accept(shown, thresholds, policy.least_familiarity)
