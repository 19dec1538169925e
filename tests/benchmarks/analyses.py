"""The article's analyses of Meta Pseudo Labels, on MNIST with 1,000 labels, and its full-data setting.

``training``: along one training of each case, 21 times, how often the network (the student), and the teacher whose
words it learns from, are right on the labeled rows and on 5,000 rows of the pool, in the weights as they are. *Not
label correction*: if teachers corrected labels, teacher and student would be as right on labeled rows as a supervised
network is. *Not only regularization*: at 0, 25, 50, 75 and 100% of the training, what the teacher says of those rows of
the pool as they are: its entropy, how often it is right, and of how many rows its likeliest class is another than at
the moment before. The teacher of ``reduced-mpl`` is its calibrator over what a default teacher said. ``full``: all
60,000 labels of MNIST and of Fashion-MNIST, all in strong views, where ``reduced-mpl`` has the plain supervised network
for a teacher.

Run, on the data that ``few_labels.py`` names; what has a line in ``results/analyses.jsonl`` is not run again::

    export LABELSVC_TEST_DATA=DIR
    uv run python tests/benchmarks/analyses.py training WORKSPACES [CASE...]
    uv run python tests/benchmarks/analyses.py full WORKSPACES [CASE...]
    uv run python tests/benchmarks/analyses.py table

``--steps N`` is a rehearsal of N steps for every training; its lines lie in WORKSPACES.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from draws import all_rows
from lines import Line, Lines, Trial, command_line, markdown, percents
from methods import CASES, MPL
from numpy.typing import NDArray
from torch import nn

from labelsvc import flows
from labelsvc.flows._models import open_network
from labelsvc.flows._room import Assignment, Room, enter
from labelsvc.flows._session import Session, open_store
from labelsvc.losses import log_probabilities
from labelsvc.methods import make
from labelsvc.networks.modes import evaluated
from labelsvc.records import SILENCE, LabeledSamples, SampleNumbers
from labelsvc.store import samples
from labelsvc.store.identifiers import new_id
from labelsvc.training.loop import Plan, State, begin, run
from labelsvc.training.predict import logits_of
from labelsvc.training.rows import Rows
from labelsvc.workspace import find, written_beside

STEPS = 1_500
WATCHED = ("supervised", MPL, f"{MPL}:form=v1", f"{MPL}:meta_weight=0", "reduced-mpl")
LOOKS, MOMENTS = 20, 4  # after the first, at equal distances
STRIDE = LOOKS // MOMENTS
SHOWN = 5_000  # rows of the pool
FULL: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "supervised": ("supervised", {"labeled_view": "strong"}),
    "label smoothing": ("supervised", {"labeled_view": "strong", "smoothing": "0.1"}),
    "reduced-mpl": ("reduced-mpl", {}),
    "reduced-mpl:meta_weight=0": ("reduced-mpl", {"meta_weight": "0"}),
}
DATA = ("mnist", "fashion_mnist")

Logits = NDArray[np.float64]


def main() -> None:
    """Do what the command line says."""
    told = command_line("analyses", __doc__, ("training", "full", "table"), dict.fromkeys([*WATCHED, *FULL]))
    steps = told.steps or STEPS
    if told.mode == "table":
        print("\n\n".join([_accuracies(told.lines), _distributions(told.lines), _full_table(told.lines)]))  # noqa: T201
    elif told.mode == "training":
        _watch_all(told.lines, told.workspaces, [case for case in WATCHED if case in told.cases], steps)
    else:
        for data in DATA:
            _learn_all(told.lines, told.workspaces, data, [case for case in FULL if case in told.cases], steps)


@dataclass(frozen=True)
class Ground:
    """The rows that are looked at, with their truth and, where there is a stored teacher, its words of them."""

    labeled: Rows
    shown: Rows
    truth: tuple[NDArray[np.int32], NDArray[np.int32]]  # of both
    words: tuple[Logits, Logits] | None = None


@dataclass(frozen=True)
class Task:
    """MNIST with 1,000 labels, ingested, and the truth of some rows of its pool."""

    workspace: Path
    session: Session
    labeled: LabeledSamples
    pool: SampleNumbers
    shown: LabeledSamples


def _watch_all(lines: Lines, workspaces: Path, cases: Sequence[str], steps: int) -> None:
    task = _task(workspaces)
    for case in cases:
        key = {"kind": "training", "case": case, "steps": steps}
        if not lines.having(**key):
            lines.add(**key, **_watched(task, case, steps))


def _task(workspaces: Path) -> Task:
    trial = Trial("analyses", "mnist", 1000, 0)
    workspace = workspaces / "analyses-mnist"
    told = pq.read_table(trial.ingest(workspaces, workspace))
    store = open_store(find(workspace))
    names = {name: code for code, name in enumerate(samples.class_names(store))}
    some = np.sort(np.random.default_rng(0).permutation(len(told))[:SHOWN])
    numbers = samples.numbers(store, told["id"].take(some).to_pylist())
    truth = np.array([names[name] for name in told["label"].take(some).to_pylist()], np.int32)
    session = Session(find(workspace), store, new_id())
    return Task(workspace, session, samples.given(store, "train"), samples.pool(store), LabeledSamples(numbers, truth))


def _watched(task: Task, case: str, steps: int) -> Line:
    """Train a case once, and return what was seen on the way."""
    name, settings = CASES[case]
    method = make(name, settings)
    config = flows.TrainConfig(name, steps=steps, settings=dict(settings))
    room = enter(task.session, Assignment("teacher", name, method, task.labeled, task.pool, config), SILENCE)
    ground = Ground(room.rows(task.labeled.numbers), room.rows(task.shown.numbers), _truth(task))
    lesson = room.lesson()
    if method.needs_teacher:
        pool, *looked_at = _stored_words(task, room, ground, steps)
        lesson = replace(lesson, targets=torch.from_numpy(np.exp(pool)).float())
        ground = replace(ground, words=tuple(looked_at))
    plan = Plan(
        method, steps, config.seed, room.device, frozenset(_evenly(steps, LOOKS)) | set(_evenly(steps, MOMENTS))
    )
    state = begin(room.make_network, lesson, plan)
    looks, said = [_look(state, ground)], {0: _teacher(state, ground)}
    for interval in run(state, lesson, plan):
        if interval.step in _evenly(steps, LOOKS):
            looks.append(_look(state, ground))
        if interval.step in _evenly(steps, MOMENTS):
            said[interval.step] = _teacher(state, ground)
    moments = [words[1] for words in said.values() if words is not None]
    return {"looks": looks, "moments": list(_moments(moments, ground.truth[1]))}


def _evenly(steps: int, count: int) -> Sequence[int]:
    return [round(steps * place / count) for place in range(1, count + 1)]


def _truth(task: Task) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    return task.labeled.classes, task.shown.classes


def _stored_words(task: Task, room: Room, ground: Ground, steps: int) -> Iterator[Logits]:
    """Yield what a default teacher says of the pool and of the rows that are looked at, as log-probabilities."""
    model = flows.train(task.workspace, flows.TrainConfig(steps=steps)).model
    network = open_network(find(task.workspace), model)
    for rows in (room.rows(task.pool), ground.labeled, ground.shown):
        yield _log_softmax(logits_of(network, rows))


def _log_softmax(logits: Logits) -> Logits:
    words: Logits = torch.from_numpy(logits).log_softmax(dim=1).numpy()
    return words


def _look(state: State, ground: Ground) -> Line:
    """Return how often student and teacher are right on labeled rows and on the pool's."""
    found: Line = {"step": state.step}
    network = state.student.network
    with evaluated(network):
        student = logits_of(network, ground.labeled), logits_of(network, ground.shown)
    for role, answers in (("student", student), ("teacher", _teacher(state, ground))):
        for rows, logits, truth in zip(("labeled", "pool"), answers or (), ground.truth, strict=False):
            found[f"{role}_{rows}"] = float((logits.argmax(axis=1) == truth).mean())
    return found


def _teacher(state: State, ground: Ground) -> tuple[Logits, Logits] | None:
    """Return the log-probabilities that the student is taught by, of labeled rows and the pool's; None without any."""
    if state.partner is None:
        return None
    network = state.partner.network
    with evaluated(network):
        if ground.words is None:
            return _log_softmax(logits_of(network, ground.labeled)), _log_softmax(logits_of(network, ground.shown))
        labeled, shown = (_calibrated(network, words) for words in ground.words)
        return labeled, shown


@torch.no_grad()
def _calibrated(calibrator: nn.Module, words: Logits) -> Logits:
    told = log_probabilities(torch.from_numpy(np.exp(words)).float())
    return _log_softmax(calibrator(told).double().numpy())


def _moments(said: Sequence[Logits], truth: NDArray[np.int32]) -> Iterator[Line]:
    """Yield of each moment the targets' mean entropy, how often they are right, and how many flipped since the last."""
    before = None
    for words in said:
        likeliest = words.argmax(axis=1)
        entropy = (np.exp(words) * -words).sum(axis=1).mean()
        flips = None if before is None else float((likeliest != before).mean())
        yield {"entropy": float(entropy), "right": float((likeliest == truth).mean()), "flips": flips}
        before = likeliest


def _learn_all(lines: Lines, workspaces: Path, data: str, cases: Sequence[str], steps: int) -> None:
    """Train the full-data cases on one data set; the plain supervised network is the others' stored teacher."""
    workspace = _ingest_all(data, workspaces)
    for case in cases:
        key = {"kind": "full", "data": data, "case": case, "steps": steps}
        if not lines.having(**key):
            teacher = flows.train(workspace, _told("supervised", steps)).model.model_id
            config = _told(case, steps)
            if make(config.method).needs_teacher:
                config = replace(config, teacher=teacher)
            model = flows.train(workspace, config).model
            lines.add(**key, accuracy=flows.evaluate(workspace, model=model.model_id).score.accuracy)


def _told(case: str, steps: int) -> flows.TrainConfig:
    method, settings = FULL[case]
    return flows.TrainConfig(method, steps=steps, settings=dict(settings))


def _ingest_all(data: str, workspaces: Path) -> Path:
    """Ingest all rows of a training set with their labels."""
    folder = Path(os.environ["LABELSVC_TEST_DATA"]) / data
    labeled, workspace = workspaces / f"{data}.parquet", workspaces / f"analyses-{data}-full"
    if not labeled.exists():
        with written_beside(labeled) as beside:
            pq.write_table(all_rows(folder), beside, compression="zstd", row_group_size=5000)
    roles = flows.IngestConfig(validation=0, calibration=0)
    flows.ingest(workspace, [labeled], test=[folder / "test.parquet"], config=roles)
    return workspace


def _accuracies(lines: Lines) -> str:
    """Return who is how often right on which rows at every quarter of a training."""
    rows = [
        (f"`{line['case']}`", name.replace("_", ", "), *(percents([look[name]]) for look in line["looks"][::STRIDE]))
        for line in lines.having(kind="training")
        for name in ("student_labeled", "student_pool", "teacher_labeled", "teacher_pool")
        if name in line["looks"][0]
    ]
    return markdown(("case", "who, on which rows", "0", "25%", "50%", "75%", "100%"), rows)


def _distributions(lines: Lines) -> str:
    """Return what became of the targets from quarter to quarter."""
    rows = []
    for line in lines.having(kind="training"):
        for name, shown in (("entropy", "{:.3f}"), ("right", "{:.2%}"), ("flips", "{:.2%}")):
            values = [moment[name] for moment in line["moments"]]
            if values:
                rows.append((f"`{line['case']}`", name, *("-" if v is None else shown.format(v) for v in values)))
    return markdown(("case", "of the targets", "0", "25%", "50%", "75%", "100%"), rows)


def _full_table(lines: Lines) -> str:
    rows = [
        (
            case,
            *(
                percents([line["accuracy"] for line in lines.having(kind="full", case=case, data=data)])
                for data in DATA
            ),
        )
        for case in FULL
    ]
    return markdown(("all labels", *DATA), rows)


if __name__ == "__main__":
    main()
