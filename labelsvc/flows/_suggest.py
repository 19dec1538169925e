"""suggest: which rows of the pool to label next, as a table or as a file that goes back by ``ingest --labels``.

Suggested rows stay in the pool until they get a label, and count as train from then on: what a certificate rests on
is never chosen by what a model doubts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from labelsvc.config import SuggestConfig, digest
from labelsvc.data.pictures import png
from labelsvc.data.tables import write_table
from labelsvc.errors import InputError, UsageError
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._models import is_kept, newest, open_network
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.flows._words import shown
from labelsvc.labeling.calibrate import probabilities
from labelsvc.labeling.patches import Features, compact, plain_features
from labelsvc.labeling.pool import candidates, read_predictions
from labelsvc.labeling.select import among
from labelsvc.labeling.suggest import Suggested
from labelsvc.labeling.suggest import suggest as choose
from labelsvc.records import SILENCE, Listener, Model, Pixels, PseudoLabels, RowCount, SampleNumbers
from labelsvc.store import runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.training.device import describe, find_device, prepare
from labelsvc.training.predict import features_of, logits_of
from labelsvc.training.rows import Rows, passing_rows
from labelsvc.workspace import Workspace, find

LARGEST = 8_000  # rows of the pool that are looked at, and labeled ones beside them
DIMENSIONS = 64  # of what the network makes of a row, and of its patches
FORMATS = (".parquet", ".csv")
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class Suggestion:
    """A row worth a label, what the model takes it for, and why it is worth one."""

    id: str
    suggested: str
    confidence: float
    reason: str


@dataclass(frozen=True)
class SuggestOutcome:
    """The rows to label next, the most useful first; ``path`` is the file that was written, if one was asked for."""

    run_id: str
    model: Model
    suggestions: tuple[Suggestion, ...]
    looked_at: int  # rows of the pool
    path: str | None
    rows: RowCount
    next_command: str


def suggest(
    workspace: str | Path,
    config: SuggestConfig | None = None,
    *,
    output: str | Path | None = None,
    listener: Listener = SILENCE,
) -> SuggestOutcome:
    """Choose rows of the pool whose labels would help most; the same call again gives the same rows.

    Args:
        workspace: the task's folder.
        config: how many, by which model.
        output: a Parquet file, with the pictures, or a CSV file; its column ``label`` is empty, to be filled in.
        listener: hears what is looked at.

    Raises:
        InputError: nothing was trained, or the pool is empty.
        UsageError: the output's name ends in neither .parquet nor .csv, or there is no such model or device.
    """
    config = config or SuggestConfig()
    target = _target(output)
    place = find(Path(workspace))
    store = open_store(place)
    model = newest(store, config.model)
    pool = samples.pool(store)
    if not len(pool):
        raise InputError("the pool is empty: every row has a label or a decision; ingest rows without a label")
    settings = {**asdict(config), "model": model.model_id, "output": str(target) if target else None}
    device = describe(find_device(config.device))
    run = NewRun("suggest", settings, digest(settings, samples.state_digest(store)), config.seed, versions(), device)
    with recorded(place, run) as session:
        desk = _Desk.open(place, store, model, pool, config)
        listener.note(desk.said(len(pool)))
        chosen = desk.choose()
        suggestions = desk.suggestions(chosen)
        if target is not None:
            _write(target, suggestions, desk.pixels(chosen))
        session.rows = RowCount(given=len(pool), labeled=len(chosen), abstained=len(pool) - len(chosen))
        session.stop_reason = "all rows suggested"
        session.outcome = {"suggested": [one.id for one in suggestions], "model": model.model_id}
    path = str(target) if target else None
    following = f"labelsvc ingest --labels {path}" if path else f"labelsvc suggest --n {config.n} --output to_label.csv"
    return SuggestOutcome(session.run_id, model, suggestions, len(desk.asked), path, session.rows, following)


def _target(output: str | Path | None) -> Path | None:
    target = Path(output) if output is not None else None
    if target is not None and target.suffix.lower() not in FORMATS:
        raise UsageError(f"--output {target}: a file that ends in {' or '.join(FORMATS)} can be filled in")
    return target


@dataclass(frozen=True)
class _Desk:
    """What is looked at: rows of the pool, labeled rows, and what the model says."""

    workspace: Workspace
    store: Store
    model: Model
    config: SuggestConfig
    asked: SampleNumbers  # of the pool, sorted
    labeled: SampleNumbers
    words: PseudoLabels  # of ``asked``
    places: Features  # of ``asked``, then of ``labeled``

    @classmethod
    def open(
        cls, workspace: Workspace, store: Store, model: Model, pool: SampleNumbers, config: SuggestConfig
    ) -> _Desk:
        rng = np.random.default_rng(config.seed)
        asked = np.sort(rng.permutation(pool)[:LARGEST])
        labeled = np.sort(rng.permutation(samples.given(store, "train").numbers)[:LARGEST])
        device = find_device(config.device)
        prepare(device)
        numbers = np.concatenate([asked, labeled])
        rows = passing_rows(numbers, open_inputs(workspace, store, numbers), device)
        words = _known(workspace, store, model, asked) or _asked(workspace, model, rows, asked)
        return cls(workspace, store, model, config, asked, labeled, words, _places(workspace, model, rows, config.seed))

    def said(self, pool: int) -> str:
        asked = f"{len(self.asked):,} rows of the pool"
        drawn = f", drawn at random from {pool:,}" if len(self.asked) < pool else ""
        return (
            f"looking at {asked}{drawn}, beside {len(self.labeled):,} labeled ones, as {self.model.model_id} sees them"
        )

    def choose(self) -> Suggested:
        doubt = 1 - (self.words.confidence - self.words.runner_up_probability)
        rows, labeled = self.places[: len(self.asked)], self.places[len(self.asked) :]
        return choose(rows, labeled, doubt, n=self.config.n, seed=self.config.seed)

    def suggestions(self, chosen: Suggested) -> tuple[Suggestion, ...]:
        ids = samples.ids(self.store, self.asked[chosen.places]).to_pylist()
        reasons = (self._reason(place, rows) for place, rows in zip(chosen.places, chosen.cluster_rows, strict=True))
        names = [self.model.classes[code] for code in self.words.classes[chosen.places]]
        return tuple(map(Suggestion, ids, names, map(float, self.words.confidence[chosen.places]), reasons))

    def _reason(self, place: int, cluster_rows: int) -> str:
        if cluster_rows:
            return f"one of {cluster_rows:,} alike without a labeled row"
        words, classes = self.words, self.model.classes
        first, second = classes[words.classes[place]], classes[words.runner_up[place]]
        return f"{first} {words.confidence[place]:.0%} or {second} {words.runner_up_probability[place]:.0%}"

    def pixels(self, chosen: Suggested) -> Pixels:
        numbers = self.asked[chosen.places]
        return open_inputs(self.workspace, self.store, numbers).gather(numbers)


def _known(workspace: Workspace, store: Store, model: Model, asked: SampleNumbers) -> PseudoLabels | None:
    """Return what a run of ``label`` wrote of the model's word on ``asked``, None where none did."""
    known = runs.find_predictions(store, model.model_id, shown(store).digest)
    path = workspace.root / known["predictions"] if known else None
    if path is None or not path.exists():
        return None
    words = read_predictions(path, model.classes)
    return words.where(among(words.numbers, asked))


def _asked(workspace: Workspace, model: Model, rows: Rows, asked: SampleNumbers) -> PseudoLabels:
    """Ask the model about the first rows, which are ``asked``."""
    network = open_network(workspace, model).to(rows.device)
    own = passing_rows(asked, rows.source, rows.device)
    return candidates(asked, probabilities(logits_of(network, own), model.temperature))


def _places(workspace: Workspace, model: Model, rows: Rows, seed: int) -> Features:
    """Return where rows lie, by what the model's network makes of them and by their patches."""
    parts = [compact(plain_features(rows, seed=seed), DIMENSIONS, seed=seed)]
    if is_kept(workspace, model):
        network = open_network(workspace, model).to(rows.device)
        parts.append(compact(features_of(network, rows), DIMENSIONS, seed=seed))
    return np.concatenate(parts, axis=1)


def _write(target: Path, suggestions: tuple[Suggestion, ...], pixels: Pixels) -> None:
    """Write suggestions with an empty column ``label``; into Parquet, with their pictures."""
    columns = {
        "id": pa.array([one.id for one in suggestions], pa.string()),
        "label": pa.nulls(len(suggestions), pa.string()),
        "suggested": pa.array([one.suggested for one in suggestions], pa.string()),
        "confidence": pa.array([one.confidence for one in suggestions], pa.float64()),
        "reason": pa.array([one.reason for one in suggestions], pa.string()),
    }
    if target.suffix.lower() != ".csv":
        columns["image"] = pa.array([{"bytes": png(picture), "path": None} for picture in pixels], PICTURE)
    write_table(target, pa.table(columns))
