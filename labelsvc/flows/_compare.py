"""compare: students of any size beside the teacher whose labels they learnt from, each as the file that it would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from labelsvc.errors import UsageError
from labelsvc.flows._models import PREDICTIONS, is_kept, open_network
from labelsvc.flows._rehearsal import Rehearsal
from labelsvc.flows._session import open_store, predictions_of
from labelsvc.labeling.pool import read_predictions
from labelsvc.records import SILENCE, LabelSet, Listener, Model, ModelRole, Progress, RowCount
from labelsvc.store import label_sets, models
from labelsvc.store.database import Store
from labelsvc.student.export import export
from labelsvc.student.infer import Student, load
from labelsvc.student.speed import BATCHES, device_of, speeds
from labelsvc.workspace import Workspace, find


@dataclass(frozen=True)
class Compared:
    """A model as an fp32 ONNX file in onnxruntime, on this machine."""

    model_id: str
    role: ModelRole
    network: str
    parameters: int | None  # None of scikit-learn's, which have nothing to count alike
    bytes: int
    right: int | None  # of the validation rows; None where there are none
    agreeing: int | None  # inputs of the pool that it names as the teacher does; None where nobody knows what it said
    latency_ms: float  # the median for one picture
    rows_per_second: float  # at batches of 32


@dataclass(frozen=True)
class CompareOutcome:
    """All models, the teacher first; the others by their size."""

    models: tuple[Compared, ...]
    validation: int  # rows
    pool: int  # rows of it that were asked
    device: str
    rows: RowCount


def compare(
    workspace: str | Path,
    chosen: Sequence[str] = (),
    *,
    device: str = "auto",
    listener: Listener = SILENCE,
) -> CompareOutcome:
    """Set the current label set's teacher beside every model that learnt from its labels and whose weights are kept.

    Nothing is written, and no test row is read. Accuracy is on validation rows, agreement with the teacher on a few
    thousand inputs of the pool. The files are timed in turn.

    Args:
        workspace: the task's folder.
        chosen: any unique endings of models' ids, to set beside the teacher in place of the set's own students.
        device: where the files are run.
        listener: hears what is done.

    Raises:
        InputError: no label set is current and no model is named; or a named one's weights are gone.
        UsageError: no model is called so, or the device is unknown.
    """
    place = find(Path(workspace))
    store = open_store(place)
    label_set = label_sets.current(store) if chosen else label_sets.get(store, label_sets.CURRENT)
    line = _line(place, store, label_set, chosen, listener)
    if not line:
        raise UsageError("there is nothing to compare: no kept model is a network; name some with --from MODEL")
    rehearsal = Rehearsal.open(place, store)
    with TemporaryDirectory() as folder:
        entries = []
        for number, model in enumerate(line):
            listener.progress(Progress("compare", number, len(line), unit="models"))
            entries.append(_Entry.of(place, model, rehearsal, Path(folder) / f"{number}.onnx", device))
        listener.progress(Progress("compare", len(line), len(line), unit="models"))
        first = label_set.model_id if label_set else None
        words = _teachers_words(place, store, label_set, rehearsal) if label_set else None
        if words is None:
            words = next((entry.pool for entry in entries if entry.model.model_id == first), None)
        found = _compared(entries, rehearsal, words)
    asked = len(rehearsal.pool) + len(rehearsal.validation)
    return CompareOutcome(
        models=tuple(sorted(found, key=lambda one: (one.model_id != first, one.bytes, one.model_id))),
        validation=len(rehearsal.validation),
        pool=len(rehearsal.pool),
        device=device_of(entries[0].student),
        rows=RowCount(given=asked, labeled=asked),
    )


@dataclass(frozen=True)
class _Entry:
    """A model's file while it is compared, and what it says of the pool and of the validation rows."""

    model: Model
    student: Student
    parameters: int | None
    bytes: int
    pool: NDArray[np.str_]  # the names of its best classes
    right: int

    @classmethod
    def of(cls, place: Workspace, model: Model, rehearsal: Rehearsal, path: Path, device: str) -> _Entry:
        """Export a model to ``path`` and ask it.

        Raises:
            LabelsvcError: its file does not answer as it does.
        """
        network = open_network(place, model)
        export(network, model, path, rows=rehearsal.checked)
        student = load(path, device=device)
        return cls(
            model=model,
            student=student,
            parameters=sum(weights.numel() for weights in network.parameters()) or None,
            bytes=path.stat().st_size,
            pool=np.array(model.classes)[rehearsal.pool_answers(student).argmax(axis=1)],
            right=rehearsal.right(rehearsal.validation_answers(student))[0],
        )


def _line(
    place: Workspace, store: Store, label_set: LabelSet | None, chosen: Sequence[str], listener: Listener
) -> list[Model]:
    """Return the models to compare, each once: the teacher, if its network is here, then the others by their age."""
    if chosen or label_set is None:
        others = [models.get(store, ending) for ending in chosen]
    else:
        others = _kept(place, models.students_of(store, label_set.label_set_id), listener)
    line = {found.model_id: found for found in others}
    if label_set is not None:
        teacher = models.get(store, label_set.model_id)
        if teacher.method != PREDICTIONS and is_kept(place, teacher):
            line = {teacher.model_id: teacher, **line}
        else:
            listener.note(f"the teacher {teacher.model_id} is left out: its network is not here, only what it said")
    return [*line.values()]


def _kept(place: Workspace, students: Sequence[Model], listener: Listener) -> list[Model]:
    kept = [found for found in students if is_kept(place, found)]
    if len(kept) < len(students):
        listener.note(f"{len(students) - len(kept):,} students are left out, whose weights are gone")
    return kept


def _teachers_words(
    place: Workspace, store: Store, label_set: LabelSet, rehearsal: Rehearsal
) -> NDArray[np.str_] | None:
    """Return the classes that the labels were accepted by, of the rows of the pool; None where one is not known."""
    path = predictions_of(place, store, label_set)
    if path is None:
        return None
    classes = models.get(store, label_set.model_id).classes
    words = read_predictions(path, classes)
    order = np.argsort(words.numbers)
    places = np.searchsorted(words.numbers, rehearsal.pool, sorter=order).clip(max=len(order) - 1)
    known = words.numbers[order][places] == rehearsal.pool
    return np.array(classes)[words.classes[order][places]] if known.all() else None


def _compared(entries: Sequence[_Entry], rehearsal: Rehearsal, teacher: NDArray[np.str_] | None) -> list[Compared]:
    students = [entry.student for entry in entries]
    latencies, times = (speeds(students, rehearsal.timed(batch)) for batch in BATCHES)
    return [
        Compared(
            model_id=entry.model.model_id,
            role=entry.model.role,
            network=entry.model.network,
            parameters=entry.parameters,
            bytes=entry.bytes,
            right=entry.right if len(rehearsal.validation) else None,
            agreeing=None if teacher is None else int((entry.pool == teacher).sum()),
            latency_ms=1000 * latency,
            rows_per_second=BATCHES[-1] / seconds,
        )
        for entry, latency, seconds in zip(entries, latencies, times, strict=True)
    ]
