"""label --from-predictions: another program's predictions become a model's words, with a run and a model of their own.

They lie where this workspace's own models' words lie, so that everything after them is the same. Of the model behind
them nothing is known: it has no network, no temperature and no features.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelsvc.config import digest
from labelsvc.data.prediction_files import read_prediction_file
from labelsvc.data.reading import file_digest
from labelsvc.errors import InputError
from labelsvc.flows._models import PREDICTIONS, is_kept
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.flows._words import Shown, shown
from labelsvc.labeling.pool import BLOCK, Answers, candidates, write_predictions
from labelsvc.labeling.select import among
from labelsvc.records import SILENCE, Listener, Model, Preprocessing, Progress, RowCount, SampleNumbers
from labelsvc.store import datasets, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.identifiers import new_id
from labelsvc.store.runs import NewRun
from labelsvc.workspace import Workspace, find, written_beside


@dataclass(frozen=True)
class _Brought:
    """What a file says of the rows that a model is asked about, sorted, and how many of its ids are nobody's."""

    numbers: SampleNumbers
    scores: NDArray[np.float64]  # [rows, classes]
    given: int  # rows of the file
    unknown: int

    def blocks(self) -> Iterator[Answers]:
        for start in range(0, len(self.numbers), BLOCK):
            rows = slice(start, start + BLOCK)
            yield candidates(self.numbers[rows], self.scores[rows]), self.scores[rows]


@dataclass(frozen=True)
class _Origin:
    """A file and what it is known by."""

    path: Path
    sha256: str
    classes: tuple[str, ...]


def adopt(
    workspace: str | Path, file: str | Path, *, listener: Listener = SILENCE, parent_run: str | None = None
) -> Model:
    """Take the predictions of a file for a model's words on this workspace's rows, and return that model.

    The same file is the same model, and on the same rows there is nothing to do.

    Raises:
        InputError: the file is not what it must be, or none of its ids is of a row that a model is asked about.
    """
    place, path = find(Path(workspace)), Path(file)
    store = open_store(place)
    origin, rows = _Origin(path, file_digest(path), samples.class_names(store)), shown(store)
    config_hash = digest(origin.sha256, origin.classes, rows.digest)
    done = runs.find_done(store, "adopt", config_hash)
    if done is not None and (place.root / done.outcome["predictions"]).exists():
        listener.note(f"run {done.run_id} took these very predictions of {path.name}; nothing to do")
        return models.get(store, done.outcome["model"])
    brought = _brought(store, origin, rows)
    run = NewRun("adopt", {"predictions": str(path)}, config_hash, versions=versions(), parent_id=parent_run)
    with recorded(place, run) as session:
        model = _model(session, origin)
        target = session.folder / "predictions.parquet"
        for written in write_predictions(target, brought.blocks(), origin.classes):
            listener.progress(Progress("adopt", written, len(brought.numbers)))
        used = len(brought.numbers)
        session.rows = RowCount(given=brought.given, labeled=used, skipped=brought.given - used)
        session.stop_reason = "all predictions taken"
        session.outcome = {"model": model.model_id, "shown": rows.digest, "predictions": place.relative(target)}
    for note in _notes(brought, rows, path):
        listener.note(note)
    return model


def _brought(store: Store, origin: _Origin, rows: Shown) -> _Brought:
    said = read_prediction_file(origin.path, origin.classes)
    numbers = samples.numbers(store, said.ids)
    unknown = int((numbers < 0).sum())
    chosen = np.flatnonzero(among(numbers, rows.numbers))
    if not len(chosen):
        known = "none is known here" if unknown == len(numbers) else "the known ones are of train or test rows"
        raise InputError(
            f"{origin.path} predicts no row of the pool, nor a held-out one: of its {len(numbers):,} ids {known}; "
            "ids are those that `labelsvc query 'SELECT sample_id FROM labels'` shows"
        )
    order = chosen[np.argsort(numbers[chosen])]
    return _Brought(numbers[order], said.scores[order], len(numbers), unknown)


def _model(session: Session, origin: _Origin) -> Model:
    """Return the model of a file, recorded with a copy of the file when it first comes."""
    known = models.of_content(session.store, PREDICTIONS, origin.sha256)
    alike = [model for model in known if model.classes == origin.classes and is_kept(session.workspace, model)]
    if alike:
        return alike[-1]
    model = Model(
        model_id=new_id(),
        run_id=session.run_id,
        role="teacher",
        method=PREDICTIONS,
        network=origin.path.name,
        path=_copied(session.workspace, origin.path, session.folder / "given" / origin.path.name),
        sha256=origin.sha256,
        classes=origin.classes,
        preprocessing=_preprocessing(session.store),
    )
    models.add(session.store, model)
    return model


def _copied(workspace: Workspace, source: Path, target: Path) -> str:
    with written_beside(target) as partial:
        shutil.copyfile(source, partial)
    return workspace.relative(target)


def _preprocessing(store: Store) -> Preprocessing:
    """Return what is known of the inputs: their shape."""
    shape = datasets.input_shape(store)
    assert shape is not None, "there are samples, so they have a shape"
    return Preprocessing(shape)


def _notes(brought: _Brought, rows: Shown, path: Path) -> Iterator[str]:
    """Yield what a user may not expect: rows that nothing is made of, rows of which nothing is said."""
    used = len(brought.numbers)
    others = brought.given - used - brought.unknown
    yield (
        f"{path.name}: {used:,} of {brought.given:,} predictions taken, {brought.unknown:,} ids are unknown here and "
        f"{others:,} are of train or test rows; without its features, rows of no class are not looked for"
    )
    pool, hidden = (len(some) - int(among(brought.numbers, some).sum()) for some in (rows.pool, rows.hidden))
    if pool:
        yield f"{pool:,} of {len(rows.pool):,} pool rows have no prediction and get no label"
    if hidden:
        yield f"{hidden:,} of {len(rows.hidden):,} calibration rows have no prediction and count as not accepted"
