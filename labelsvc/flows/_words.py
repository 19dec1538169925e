"""What a model says of a workspace's rows: asked once, kept in the run's folder, found again for the next policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labelsvc.config import LabelConfig
from labelsvc.flows._inputs import open_inputs, rows_to_ask
from labelsvc.flows._models import PREDICTIONS, open_network
from labelsvc.flows._session import Session
from labelsvc.labeling import unknown
from labelsvc.labeling.pool import Answers, predict_rows, prediction_blocks, write_predictions
from labelsvc.labeling.select import among
from labelsvc.networks import Classifier
from labelsvc.records import Listener, Model, Progress, SampleNumbers
from labelsvc.store import runs, samples
from labelsvc.store.database import Store
from labelsvc.training.device import find_device, prepare
from labelsvc.training.predict import answer_blocks
from labelsvc.training.rows import passing_rows


@dataclass(frozen=True)
class Shown:
    """The rows that a model is asked about: the pool, the calibration inputs and the validation rows, no labels."""

    pool: SampleNumbers
    hidden: SampleNumbers  # calibration
    exam: SampleNumbers  # validation

    @property
    def numbers(self) -> SampleNumbers:
        """All of them, sorted."""
        return np.unique(np.concatenate([self.pool, self.hidden, self.exam]))

    @property
    def digest(self) -> str:
        """A digest of which rows are what."""
        return samples.digest_of(self.pool, self.hidden, self.exam)


@dataclass(frozen=True)
class Task:
    """One round of labeling: which rows, by which model, under which rule."""

    store: Store
    config: LabelConfig
    model: Model
    rows: Shown
    listener: Listener


@dataclass(frozen=True)
class Words:
    """Where a model's predictions lie, and how familiar a row must be to get a label (None: no class looks unknown).

    ``score`` says in words what the confidences are.
    """

    path: Path
    least_familiarity: float | None = None
    score: str = "confidence"


def shown(store: Store) -> Shown:
    """Return the rows of a workspace that a model is asked about."""
    return Shown(samples.pool(store), samples.calibration_inputs(store), samples.given(store, "validation").numbers)


def words(session: Session, task: Task) -> Words:
    """Return what the model says of the rows, from an earlier run where it was asked before."""
    known = runs.find_predictions(session.store, task.model.model_id, task.rows.digest)
    if known is not None and (session.workspace.root / known["predictions"]).exists():
        task.listener.note(f"the model's word on the pool is known from {known['predictions']}; only the policy is new")
        facts = {name: known[name] for name in ("predictions", "least_familiarity", "unfamiliar") if name in known}
    else:
        facts = _asked(session, task)
    session.outcome |= {"model": task.model.model_id, "shown": task.rows.digest, **facts}
    least = facts.get("least_familiarity") if task.config.gate else None
    if least is not None:
        task.listener.note(_said(facts["unfamiliar"]))
    return Words(session.workspace.root / facts["predictions"], least, _score(task.model))


def _score(model: Model) -> str:
    return f"confidence of {model.network}" if model.method == PREDICTIONS else "confidence"


def _said(share: float) -> str:
    return (
        f"something unknown is in the pool: {share:.1%} of it is unlike any labeled row, where {unknown.LOST:.0%} is "
        "usual; these rows get no label. `labelsvc suggest` shows some; label a few, or leave them out"
    )


def _asked(session: Session, task: Task) -> dict[str, Any]:
    path = session.folder / "predictions.parquet"
    device, numbers = task.config.device, task.rows.numbers
    place = find_device(device)
    prepare(place)
    network = open_network(session.workspace, task.model).to(place)
    neighbourhood = _neighbourhood(session, network, task.rows, device)
    answers = _answers(session, network, task.model, numbers, neighbourhood)
    for done in write_predictions(path, answers, task.model.classes):
        task.listener.progress(Progress("label", done, len(numbers)))
    gate = {} if neighbourhood is None else _gate(path, task, neighbourhood)
    return {"predictions": session.workspace.relative(path), **gate}


def _answers(
    session: Session,
    network: Classifier,
    model: Model,
    numbers: SampleNumbers,
    neighbourhood: unknown.Neighbourhood | None,
) -> Iterator[Answers]:
    """Ask the model about samples, block by block; about none, it says nothing."""
    if not len(numbers):
        return
    device = network.mean.device
    rows = passing_rows(numbers, open_inputs(session.workspace, session.store, numbers), device)
    yield from predict_rows(network, rows, model.temperature, neighbourhood)


def _neighbourhood(session: Session, network: Classifier, rows: Shown, device: str) -> unknown.Neighbourhood | None:
    """Learn where the model's features of labeled rows and of the pool lie, None where there are too few of either."""
    labeled = samples.given(session.store, "train").numbers
    unlabeled = np.union1d(rows.pool, rows.hidden)
    if not unknown.is_possible(len(labeled), len(unlabeled)):
        return None
    some = np.sort(np.random.default_rng(0).permutation(unlabeled)[: unknown.REFERENCES])
    asked = rows_to_ask(session.workspace, session.store, np.concatenate([labeled, some]), device=device)
    logits, features = zip(*answer_blocks(network, asked), strict=True)
    predicted = np.concatenate(logits)[: len(labeled)].argmax(axis=1).astype(np.int32)
    all_features = torch.cat(features)
    return unknown.learn(
        all_features[: len(labeled)], predicted, all_features[len(labeled) :], classes=logits[0].shape[1]
    )


def _gate(path: Path, task: Task, neighbourhood: unknown.Neighbourhood) -> dict[str, Any]:
    """Return the gate, if more of the pool is unfamiliar than chance allows, and how much of it is."""
    strange: list[SampleNumbers] = []
    for block in prediction_blocks(path, task.model.classes):
        assert block.familiarity is not None, "it was asked of every row"
        strange.append(block.numbers[block.familiarity < neighbourhood.limit])
    numbers = np.concatenate([*strange, np.empty(0, np.int64)])
    held_out = np.union1d(task.rows.hidden, task.rows.exam)
    pool, known = (unknown.Strange(int(among(numbers, rows).sum()), len(rows)) for rows in (task.rows.pool, held_out))
    is_closed = unknown.looks_unknown(pool, known)
    return {"least_familiarity": neighbourhood.limit if is_closed else None, "unfamiliar": pool.share}
