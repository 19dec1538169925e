"""issues: given labels that look wrong, copies that contradict each other, and twins across roles. Changes nothing.

Labels of calibration rows are not read, only their inputs; test rows are not read at all.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labelsvc.config import digest
from labelsvc.data.tables import write_table
from labelsvc.errors import InputError
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._models import in_use, open_network
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.labeling.neighbours import directions
from labelsvc.labeling.select import among
from labelsvc.labeling.suspects import FEWEST, Votes, rivals, suspicious, vote
from labelsvc.labeling.twins import twins
from labelsvc.records import SILENCE, LabeledSamples, Listener, Model, Role, RowCount, SampleNumbers
from labelsvc.store import samples, suspects
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.training.predict import features_of
from labelsvc.workspace import Workspace, find

ROLES: tuple[Role, ...] = ("train", "validation", "calibration")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "decision", "label", "actor", "given", "suggested")]
    + [("score", pa.float64()), ("role", pa.string()), ("why", pa.string())]
)


@dataclass(frozen=True)
class Issue:
    """A given label that deserves a look. ``score`` is the lead of the suggested class, a share of the votes."""

    sample_id: str
    given: str
    suggested: str | None  # None: the neighbours agree with the given one
    score: float
    role: Role
    why: str


@dataclass(frozen=True)
class Twin:
    """A held-out sample and its near-duplicate in another role; ``distance`` is 0 for copies, at most a third."""

    sample_id: str
    role: Role
    other_id: str
    other_role: Role
    distance: float


@dataclass(frozen=True)
class IssuesOutcome:
    """Suspicious labels, the worst first, and twins, the closest first; ``path`` is the file for decisions."""

    run_id: str
    model: Model
    issues: tuple[Issue, ...]
    twins: tuple[Twin, ...]
    rows: RowCount
    next_command: str
    path: str | None = None


def issues(
    workspace: str | Path, *, model: str | None = None, output: str | Path | None = None, listener: Listener = SILENCE
) -> IssuesOutcome:
    """List given labels of train and validation rows that look wrong, from neighbours among a model's features.

    Nothing is changed: a person's word counts, by way of ``decide_labels``. Labels on which somebody has decided are
    not listed again.

    Args:
        workspace: the task's folder.
        model: any unique ending of a model's id; without it the current set's student, else its teacher.
        output: a Parquet or CSV file to fill in and give to ``decide_labels``.
        listener: hears which model is asked and which labels are read.

    Raises:
        InputError: nothing was trained yet, or no row has a label; or the cache is gone, and a source file is, too.
        UsageError: the ending fits no model, or several.
    """
    place = find(Path(workspace))
    store = open_store(place)
    chosen = in_use(store, model, listener)
    settings = {"model": chosen.model_id, "output": str(output) if output else None}
    with recorded(place, NewRun("issues", settings, digest(settings), versions=versions())) as session:
        rows = _Rows.open(place, store, chosen)
        _say_what_is_read(rows, listener)
        found, session.rows = rows.issues()
        pairs = rows.twins()
        if output is not None:
            _write(Path(output), found)
        session.stop_reason = "all labels compared"
        session.outcome = {"model": chosen.model_id, "issues": len(found), "twins": len(pairs)}
    path = str(output) if output else None
    return IssuesOutcome(session.run_id, chosen, found, pairs, session.rows, _next(path, len(found)), path)


@dataclass(frozen=True)
class _Rows:
    """Rows of train, then of validation, with the labels in force, then calibration inputs without theirs."""

    counts: tuple[int, int, int]  # rows of each of ``ROLES``
    ids: pa.Array
    places: NDArray[np.float32]
    labeled: LabeledSamples  # train and validation
    kinship: suspects.Kinship  # of the labeled rows
    is_decided: NDArray[np.bool_]  # of the labeled rows
    names: tuple[str, ...]

    @classmethod
    def open(cls, workspace: Workspace, store: Store, model: Model) -> _Rows:
        train, validation = samples.given(store, "train"), samples.given(store, "validation")
        calibration = samples.calibration_inputs(store)
        labeled = LabeledSamples(
            np.concatenate([train.numbers, validation.numbers]), np.concatenate([train.classes, validation.classes])
        )
        if not len(labeled):
            raise InputError("no train or validation row has a label to look at; bring some with `labelsvc ingest`")
        numbers = np.concatenate([labeled.numbers, calibration])
        return cls(
            counts=(len(train), len(validation), len(calibration)),
            ids=samples.ids(store, numbers),
            places=_places(workspace, store, model, numbers),
            labeled=labeled,
            kinship=suspects.kinship(store, labeled.numbers),
            is_decided=among(labeled.numbers, suspects.decided(store)),
            names=samples.class_names(store),
        )

    @property
    def roles(self) -> NDArray[np.int64]:
        """The role of each row, as its place in ``ROLES``."""
        return np.repeat(np.arange(len(ROLES)), self.counts)

    def issues(self) -> tuple[tuple[Issue, ...], RowCount]:
        """Return the labels that look wrong, contradictions first, and what became of all labels."""
        given = self.labeled.classes
        votes = vote(self.places[: len(given)], given, self.kinship.kin, len(self.names))
        rival = rivals(self.kinship.contents, given)
        listed = np.flatnonzero(~self.is_decided & ((rival >= 0) | suspicious(votes, given)))
        listed = listed[np.lexsort((self.labeled.numbers[listed], -votes.lead(given)[listed], rival[listed] < 0))]
        found = tuple(self._issue(int(row), votes, int(rival[row])) for row in listed)
        decided = int(self.is_decided.sum())
        quiet = len(given) - len(found) - decided
        return found, RowCount(given=len(given), labeled=len(found), abstained=quiet, skipped=decided)

    def _issue(self, row: int, votes: Votes, rival: int) -> Issue:
        counts, given = votes.counts[row], self.labeled.classes[row]
        favourite = counts.argmax()
        name, other = self.names[given], self.names[favourite]
        if rival >= 0:
            why = f"same content as {self.ids[rival]}, which is labeled {self.names[self.labeled.classes[rival]]}"
        else:
            why = f"of its {counts.sum()} nearest, {counts[favourite]} say {other} and {counts[given]} say {name}"
        suggested = other if favourite != given else None
        lead = float(counts[favourite] - counts[given]) / max(int(counts.sum()), 1)
        return Issue(self.ids[row].as_py(), name, suggested, lead, ROLES[self.roles[row]], why)

    def twins(self) -> tuple[Twin, ...]:
        """Return the near-duplicates across train, validation and calibration, the closest first."""
        roles = self.roles
        found = twins(self.places, roles, np.flatnonzero(roles))
        return tuple(
            Twin(self.ids[row].as_py(), ROLES[roles[row]], self.ids[other].as_py(), ROLES[roles[other]], distance)
            for row, other, distance in zip(
                found.rows.tolist(), found.others.tolist(), found.distances.tolist(), strict=True
            )
        )


def _places(workspace: Workspace, store: Store, model: Model, numbers: SampleNumbers) -> NDArray[np.float32]:
    """Return where a model's features put samples, in their order."""
    order = np.argsort(numbers)
    inputs = rows_to_ask(workspace, store, numbers[order], device="auto")
    features = features_of(open_network(workspace, model).to(inputs.device), inputs)
    return directions(features)[np.argsort(order)]


def _say_what_is_read(rows: _Rows, listener: Listener) -> None:
    labels, calibration = len(rows.labeled), rows.counts[-1]
    held = f"; those of {calibration:,} calibration rows are not read, only their inputs" if calibration else ""
    listener.note(f"labels of {labels:,} train and validation rows are compared{held}")
    if labels < FEWEST:
        listener.note(f"with fewer than {FEWEST} labels their neighbours prove nothing; only copies are compared")


def _write(path: Path, found: Sequence[Issue]) -> None:
    """Write a row for each issue; ``decision``, ``label`` and ``actor`` are empty, for a person to fill in."""
    rows = [asdict(one) | {"id": one.sample_id} for one in found]
    write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA))


def _next(path: str | None, found: int) -> str:
    """Return what is worth typing: writing what was found, deciding on it, or going on where nothing was."""
    if not found:
        return "labelsvc label"
    return f"labelsvc labels decide {shlex.quote(path)} --actor NAME" if path else "labelsvc issues --output issues.csv"
