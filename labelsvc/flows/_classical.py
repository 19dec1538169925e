"""train, for tables and vectors: teachers are compared, the best one is fitted to all labels, kept and calibrated."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from labelsvc.classical.estimated import as_classifier
from labelsvc.classical.keeping import SUFFIX, save
from labelsvc.classical.lesson import Lesson
from labelsvc.classical.self_training import Exam, rounds_told
from labelsvc.config import TrainConfig
from labelsvc.errors import LabelsvcError
from labelsvc.flows._candidates import Candidate, Contest
from labelsvc.flows._contest import Judge, learnt, self_trained
from labelsvc.flows._inputs import open_inputs, rows_to_ask
from labelsvc.flows._methods import SELF_TRAINING, Field
from labelsvc.flows._session import Session
from labelsvc.flows._teach import write_resolved
from labelsvc.labeling.calibrate import fit_temperature
from labelsvc.records import LabeledSamples, Listener, Model, ModelRole, Preprocessing, SampleNumbers
from labelsvc.store import models, samples
from labelsvc.store.identifiers import new_id
from labelsvc.training.predict import logits_of

LARGEST_POOL = 20_000  # rows of the pool that a classical teacher learns from, at most


@dataclass(frozen=True)
class Studies:
    """What a classical teacher learns from, and as whose successor."""

    session: Session
    config: TrainConfig
    labeled: LabeledSamples
    pool: SampleNumbers
    listener: Listener
    role: ModelRole = "teacher"
    parent_id: str | None = None
    round: int = 1

    @cached_property
    def seen(self) -> SampleNumbers:
        """The rows of the pool that are learnt from: all of them, or as many as there is room for."""
        if len(self.pool) <= LARGEST_POOL:
            return self.pool
        self.listener.note(f"{LARGEST_POOL:,} of {len(self.pool):,} rows of the pool are learnt from, drawn at random")
        return np.sort(np.random.default_rng(self.config.seed).permutation(self.pool)[:LARGEST_POOL])

    def lesson(self) -> Lesson:
        """Read the features of the labeled rows and of some of the pool."""
        names = samples.class_names(self.session.store)
        return Lesson(self.features(self.labeled.numbers), self.labeled.classes, self.features(self.seen), len(names))

    def features(self, numbers: SampleNumbers) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Return the features [rows, features] of samples, as networks see them."""
        if not len(numbers):
            known = self.features(self.labeled.numbers[:1])
            return known[:0]
        order = np.argsort(numbers)
        rows = rows_to_ask(self.session.workspace, self.session.store, numbers[order], device="cpu")
        blocks = np.concatenate([block.numpy() for block in rows.blocks(1 << 16)])
        return blocks[np.argsort(order)]

    def compare(self, contest_field: Field, lesson: Lesson) -> Contest:
        """Compare teachers on the labeled rows, and say what came of it."""
        judge = Judge(self.session, self.config, contest_field, self.labeled, self.pool, lesson, self.listener)
        contest = judge.judge()
        self.listener.note(contest.told)
        return contest

    def fit(self, chosen: Candidate, lesson: Lesson) -> Model:
        """Fit the chosen teacher to all labels, keep and calibrate it.

        Raises:
            LabelsvcError: it cannot learn from these rows.
        """
        try:
            estimator = self._fitted(chosen, lesson)
        except (ValueError, np.linalg.LinAlgError) as error:
            said = str(error).splitlines()[0]
            raise LabelsvcError(
                f"{chosen.network} cannot learn from these rows: {said}; name another with --network"
            ) from error
        return self._keep(chosen, estimator, lesson.class_count)

    def _fitted(self, chosen: Candidate, lesson: Lesson) -> object:
        config = self.config
        if chosen.method != SELF_TRAINING:
            return learnt(chosen.network, lesson, config)
        exam = samples.given(self.session.store, "validation")
        seen = Exam(self.features(exam.numbers), exam.classes) if len(exam) else None
        taught = self_trained(chosen.network, lesson, config, seen)
        for said in rounds_told(taught.turns[-5:]):
            self.listener.note(said)
        self.listener.note(f"self-training ended: {taught.stop_reason}")
        self.session.outcome["turns"] = [asdict(turn) for turn in taught.turns]
        return taught.estimator

    def _keep(self, chosen: Candidate, estimator: object, class_count: int) -> Model:
        session = self.session
        path = session.folder / f"{self.role}{SUFFIX}"
        shape = open_inputs(session.workspace, session.store, self.labeled.numbers[:1]).shape
        temperature, origin, is_known = self._temperature(chosen, estimator, class_count)
        self.listener.note(f"temperature {temperature:.3f}: {origin}")
        write_resolved(session, {**asdict(self.config), "method": chosen.method, "network": chosen.network})
        model = Model(
            model_id=new_id(),
            run_id=session.run_id,
            role=self.role,
            method=chosen.method,
            network=chosen.network,
            path=session.workspace.relative(path),
            sha256=save(estimator, path),
            classes=samples.class_names(session.store),
            preprocessing=Preprocessing(shape),
            temperature=temperature,
            calibrated=is_known,
            parent_id=self.parent_id,
            round=self.round,
        )
        models.add(session.store, model)
        session.outcome["model"] = model.model_id
        session.stop_reason = f"{chosen.name} fitted to {len(self.labeled):,} labels"
        return model

    def _temperature(self, chosen: Candidate, estimator: object, class_count: int) -> tuple[float, str, bool]:
        """Return the temperature, where it is from, and whether labels are behind it.

        Where teachers were compared, the labeled rows that were held out in folds are more than the validation rows.
        """
        exam = samples.given(self.session.store, "validation")
        if len(exam) and (chosen.accuracy is None or len(exam) >= len(self.labeled)):
            store = self.session.store
            rows = rows_to_ask(self.session.workspace, store, exam.numbers, device="cpu")
            shape = rows.source.shape
            logits = logits_of(as_classifier(estimator, shape, class_count), rows)
            return fit_temperature(logits, exam.classes), f"fitted on {len(exam):,} validation rows", True
        if chosen.accuracy is None:
            return 1.0, "neither validation rows nor a comparison, the confidence is uncalibrated", False
        return chosen.temperature, "fitted on labeled rows held out in folds", True
