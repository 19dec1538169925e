"""train, where labels are few: they are spread over the pool, and the teacher begins with the surest of them.

A network learns a representation from the pool alone, in a run of its own below the training's; over the graph of the
nearest neighbours among its features the labels flow to all rows. A handful of labels says which cluster is which, and
no more: a network that starts from ten pictures takes the wrong turn in every second draw of them. The store is told
nothing of it: a spread label is only what a teacher begins with.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.config import TrainConfig, digest
from labelsvc.flows._room import Assignment, Room, enter
from labelsvc.flows._session import Session, recorded, versions
from labelsvc.flows._teach import fit
from labelsvc.labeling.neighbours import directions, nearest
from labelsvc.labeling.spread import NEIGHBOURS, graph, spread
from labelsvc.methods import DEFAULT
from labelsvc.methods.simclr import SimCLR
from labelsvc.networks import Classifier, weights
from labelsvc.records import LabeledSamples, Listener, PictureShape, RowCount, SampleNumbers
from labelsvc.store import datasets, runs, samples
from labelsvc.store.database import Store
from labelsvc.training.device import describe, find_device
from labelsvc.training.predict import features_of
from labelsvc.workspace import written_beside

COMMAND = "representation"
FEW = 20  # labels for each class, on average, and fewer
FEWEST_INPUTS = 5_000  # of a pool from which something can be learnt without labels
LARGEST = 20_000  # inputs that labels are spread over; the teacher sees the others all the same
SHARE = 0.5  # of the budget, and of the teacher's steps where they are given
OUTPUTS = 64  # of the network that learns the representation
SUREST = 0.5  # of the rows that each class reached
SPREAD, WEIGHTS = "spread.parquet", "representation.safetensors"  # in its run's folder; the weights are written last
LABELS = pa.schema([("sample_no", pa.int64()), ("class", pa.int32()), ("lead", pa.float32())])


def is_spread(store: Store, config: TrainConfig, labeled: LabeledSamples, pool: SampleNumbers) -> bool:
    """Return whether labels are to be spread: where the config says so, else for few labels and the default method."""
    if config.spread is not None:
        return config.spread
    if not isinstance(datasets.input_shape(store), PictureShape):
        return False  # measured on pictures alone
    few = len(labeled) <= FEW * len(samples.class_names(store))
    return few and config.method == DEFAULT and len(pool) >= FEWEST_INPUTS


def begun_with_few(session: Session, assignment: Assignment, listener: Listener) -> Assignment:
    """Return ``assignment`` with the surest spread labels beside its given ones, and its share of the budget."""
    listener.note(
        f"{len(assignment.labeled):,} labels are few: a network first learns from {len(assignment.pool):,} inputs "
        "without labels (SimCLR), then the labels spread over the graph of its neighbours (Poisson learning); "
        "--no-spread leaves that out"
    )
    config = _config(assignment.config)
    config_hash = digest(config, SimCLR(), samples.state_digest(session.store))
    done = runs.find_done(session.store, COMMAND, config_hash)
    folder = session.workspace.run_path(done.run_id) if done is not None else None
    if folder is None or not (folder / WEIGHTS).exists():
        device = describe(find_device(config.device))
        run = runs.NewRun(COMMAND, asdict(config), config_hash, config.seed, versions(), device, session.run_id)
        with recorded(session.workspace, run, resumable=True) as child:
            _spread(child, assignment, config, listener)
        folder = child.folder
    found = _read(folder / SPREAD)
    listener.note(
        f"the surest {SUREST:.0%} of what each class reached, {len(found):,} rows, teach to begin with, and the "
        "representation's weights are the teacher's first"
    )
    given = assignment.labeled
    both = LabeledSamples(
        np.concatenate([given.numbers, found.numbers]), np.concatenate([given.classes, found.classes])
    )
    share = assignment.budget_share * (1 - SHARE)
    return replace(assignment, labeled=both, budget_share=share, origin=folder / WEIGHTS)


def _config(config: TrainConfig) -> TrainConfig:
    """Return what the representation is told: all that a teacher is, but for its method and its length."""
    steps = None if config.steps is None else round(config.steps * SHARE)
    return replace(config, method="simclr", settings={}, steps=steps, keep_moments=0, baseline=False)


def _spread(session: Session, assignment: Assignment, config: TrainConfig, listener: Listener) -> None:
    """Learn the representation, spread the labels, and keep the weights and the surest labels in the run's folder."""
    task = replace(
        assignment,
        method_name="simclr",
        method=SimCLR(),
        config=config,
        budget_share=assignment.budget_share * SHARE,
        outputs=OUTPUTS,
    )
    room = enter(session, task, listener)
    state = fit(room)
    network = state.average.network
    assert isinstance(network, Classifier)
    spread_to = _write_surest(room, network)
    weights.save(network, session.folder / WEIGHTS)
    session.rows = RowCount(given=len(assignment.labeled), labeled=len(assignment.labeled))
    session.stop_reason = f"all {state.step:,} steps done"
    session.outcome = {"steps": state.step, "spread": spread_to}
    session.workspace.checkpoint_path(session.run_id).unlink(missing_ok=True)


def _write_surest(room: Room, network: Classifier) -> int:
    """Write the surest spread labels, without the given ones, and return how many they are."""
    assignment, given = room.assignment, room.assignment.labeled
    others = np.setdiff1d(assignment.pool, given.numbers)
    some = np.sort(np.random.default_rng(assignment.config.seed).permutation(others)[:LARGEST])
    numbers = np.concatenate([given.numbers, some])
    places = directions(features_of(network, room.rows(numbers)))
    around = nearest(places, np.arange(len(numbers)), NEIGHBOURS)
    prior = room.lesson().prior.double().numpy()
    reached = spread(graph(around), np.arange(len(given)), given.classes, prior)
    chosen = reached.surest(SUREST) & (np.arange(len(numbers)) >= len(given))
    columns = [numbers[chosen], reached.classes[chosen], reached.lead[chosen]]
    with written_beside(room.session.folder / SPREAD) as partial:
        pq.write_table(pa.table(columns, schema=LABELS), partial, compression="zstd")
    return int(chosen.sum())


def _read(file: Path) -> LabeledSamples:
    table = pq.read_table(file)
    return LabeledSamples(table["sample_no"].to_numpy(), table["class"].to_numpy())
