"""label --rounds R: label, then distill and label again, R − 1 times, until a reason to stop is found.

One parent run with the steps as its children. Each step finds out by itself whether it was done before, so that the
same call again does only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from labelsvc.config import LabelConfig, TrainConfig, digest
from labelsvc.flows._distill import DistillOutcome, distill
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._label import NEXT, LabelOutcome, label_once, round_of, say_kept
from labelsvc.flows._models import newest, open_network
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.labeling.rounds import Round, is_worse, stop_reason
from labelsvc.labeling.select import check_thresholds
from labelsvc.labeling.summary import ClassSummary
from labelsvc.records import LabeledSamples, LabelSet, Listener, Model
from labelsvc.store import certificates, label_sets, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun, RunRecord
from labelsvc.training.device import describe, find_device
from labelsvc.training.predict import logits_of
from labelsvc.training.rows import Rows
from labelsvc.workspace import find

UNWATCHED = (
    "no validation rows: a student that is worse than the model before it would not be noticed; "
    "`labelsvc ingest --validation` keeps some"
)


def label_in_rounds(
    workspace: str | Path, config: LabelConfig, *, listener: Listener, parent_run: str | None
) -> LabelOutcome:
    """Label in ``config.rounds`` rounds, or fewer where there is a reason to; ``config.model`` is for the first one.

    Raises:
        InputError: nothing was ingested or trained.
        UsageError: a threshold is no probability, or names an unknown class; steps and a budget are both given.
    """
    students = TrainConfig(steps=config.steps, budget=config.budget, device=config.device)
    place = find(Path(workspace))
    store = open_store(place)
    series = _series(store, config)
    first = _first_model(store, config, series)
    check_thresholds(config.accepted_from, config.class_thresholds, first.classes)
    config_hash = digest(series, first.model_id, config.rounds)
    done = runs.find_done(store, "rounds", config_hash)
    if done is not None:
        return _repeated(store, done, config, listener)
    settings = {**asdict(config), "series": series, "first_model": first.model_id}
    device = describe(find_device(config.device))
    run = NewRun("rounds", settings, config_hash, students.seed, versions(), device, parent_run)
    with recorded(place, run, resumable=True) as session:
        return _Rounds(session, config, students, listener).outcome(first)


def _series(store: Store, config: LabelConfig) -> str:
    """Return a digest of all that decides the rounds but their number and the first one's model."""
    rule = {name: value for name, value in asdict(config).items() if name not in ("model", "message", "rounds")}
    return digest(rule, samples.state_digest(store))


def _first_model(store: Store, config: LabelConfig, series: str) -> Model:
    """Return the wanted model, else the newest; where these very rounds made that one, the model they began with."""
    model = newest(store, config.model)
    above = runs.get(store, model.run_id).parent_id
    if config.model is not None or above is None:
        return model
    whole = runs.get(store, above)
    return models.get(store, whole.config["first_model"]) if whole.config.get("series") == series else model


def _repeated(store: Store, done: RunRecord, config: LabelConfig, listener: Listener) -> LabelOutcome:
    listener.note(f"run {done.run_id} went through these very rounds; nothing to do")
    label_set = label_sets.rollback(store, done.outcome["label_set"])
    say_kept(label_set, config.message, listener)
    rounds = tuple(Round(**one) for one in done.outcome["rounds"])
    written = runs.get(store, label_set.run_id).outcome
    return LabelOutcome(
        done.run_id,
        label_set,
        models.get(store, label_set.model_id),
        done.rows,
        _following(rounds),
        repeated=True,
        stop_reason=done.stop_reason,
        rounds=rounds,
        certificates=certificates.of_label_set(store, label_set.label_set_id),
        refusal=written["refusal"],
        classes=tuple(ClassSummary(**one) for one in written["classes"]),
    )


def _following(rounds: Sequence[Round]) -> str:
    """Return the next command: a student that was found worse is not to be exported by default."""
    if rounds[-1].label_set_id is None:
        return f"labelsvc export student.onnx --from {rounds[-2].model_id}"
    return NEXT


@dataclass(frozen=True)
class _Rounds:
    """Rounds under way: their run, their rule, what their students are told, and who listens."""

    session: Session
    config: LabelConfig
    students: TrainConfig
    listener: Listener

    def outcome(self, first: Model) -> LabelOutcome:
        """Go through the rounds, beginning with ``first``, and say what came of them."""
        if not len(self.validation):
            self.listener.note(UNWATCHED)
        labels = self.label(first)
        steps_repeated = [labels.repeated]
        rounds = [self.written(self.examined(first), labels, labels.label_set.parent_id)]
        while (reason := stop_reason(rounds, self.config.rounds)) is None:
            taught = self.taught(labels.label_set)
            steps_repeated.append(taught.repeated)
            turn = self.examined(taught.model)
            if not is_worse(rounds[-1], turn):
                labels = self.label(taught.model)
                steps_repeated.append(labels.repeated)
                turn = self.written(turn, labels, rounds[-1].label_set_id)
            rounds.append(turn)
        if self.config.precision is not None:
            labels = self.promised(labels.model)
            steps_repeated.append(labels.repeated)
        self.record(rounds, labels, reason)
        return replace(
            labels,
            run_id=self.session.run_id,
            next_command=_following(rounds),
            repeated=all(steps_repeated),
            stop_reason=reason,
            rounds=tuple(rounds),
        )

    @property
    def root(self) -> Path:
        return self.session.workspace.root

    @cached_property
    def validation(self) -> LabeledSamples:
        return samples.given(self.session.store, "validation")

    @cached_property
    def exam(self) -> Rows:
        session = self.session
        return rows_to_ask(session.workspace, session.store, self.validation.numbers, device=self.config.device)

    def label(self, model: Model) -> LabelOutcome:
        """Let ``model`` label the pool; where the last round is to end with a promise, in passing."""
        return self._labeled_by(model, in_passing=self.config.precision is not None)

    def promised(self, model: Model) -> LabelOutcome:
        """Let the last round's model label the pool with a promise, the only one of all rounds."""
        return self._labeled_by(model, in_passing=False)

    def _labeled_by(self, model: Model, *, in_passing: bool) -> LabelOutcome:
        turn = replace(self.config, model=model.model_id, rounds=1, steps=None, budget=None)
        parent = self.session.run_id
        return label_once(self.root, turn, listener=self.listener, parent_run=parent, in_passing=in_passing)

    def taught(self, label_set: LabelSet) -> DistillOutcome:
        """Return a student of a round's labels."""
        return distill(
            self.root,
            self.students,
            label_set=label_set.label_set_id,
            listener=self.listener,
            parent_run=self.session.run_id,
        )

    def examined(self, model: Model) -> Round:
        """Return a round of ``model`` without labels, its right answers on validation rows counted."""
        turn = Round(round_of(model), model.model_id)
        if not len(self.validation):
            return turn
        network = open_network(self.session.workspace, model).to(self.exam.device)
        right = logits_of(network, self.exam).argmax(axis=1) == self.validation.classes
        return replace(turn, validation_right=int(right.sum()), validation_rows=len(self.validation))

    def written(self, turn: Round, labels: LabelOutcome, before: str | None) -> Round:
        """Return ``turn`` with its labels, compared with the set ``before``."""
        done = replace(
            turn,
            round=labels.label_set.round,
            label_set_id=labels.label_set.label_set_id,
            pool=labels.rows.given,
            labels=labels.rows.labeled,
            gained=labels.rows.labeled,
        )
        if before is not None:
            found = label_sets.diff(self.session.store, before, labels.label_set.label_set_id)
            done = replace(done, gained=found.gained, changed=found.changed, withdrawn=found.withdrawn)
        self.listener.note(_told(done))
        return done

    def record(self, rounds: Sequence[Round], labels: LabelOutcome, reason: str) -> None:
        """Set what the run leaves behind when it ends."""
        self.session.rows, self.session.stop_reason = labels.rows, reason
        self.session.outcome = {
            "rounds": [asdict(one) for one in rounds],
            "label_set": labels.label_set.label_set_id,
        }


def _told(done: Round) -> str:
    moves = f"{done.gained:,} gained, {done.changed:,} changed, {done.withdrawn:,} withdrawn"
    exam = "" if done.accuracy is None else f"; validation accuracy {done.accuracy:.2%}"
    return f"round {done.round}: {done.labels:,} of {done.pool:,} labeled, {moves}{exam}"
