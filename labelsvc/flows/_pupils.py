"""distill, for tables and vectors: the teacher's own kind fitted anew, or a network that keeps what the teacher said.

Where the teacher is scikit-learn's and has an ONNX graph, its student is the same way of learning on the labels as they
are now, people's decisions among them; accepted labels are not learnt from, as self-training lowered the accuracy in 12
of 14 cases that were measured, and has been tried by ``train`` already. Otherwise a small network learns the teacher's
words on the whole pool, what it was unsure of included, which accepted labels would not tell.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from labelsvc.classical.teachers import is_classical
from labelsvc.config import TrainConfig, digest
from labelsvc.flows._candidates import Candidate
from labelsvc.flows._classical import Studies
from labelsvc.flows._methods import NETWORK
from labelsvc.flows._models import is_estimator, is_kept, open_network
from labelsvc.flows._room import Assignment
from labelsvc.flows._session import Session, recorded, versions
from labelsvc.flows._taught import taught
from labelsvc.flows._teach import teach
from labelsvc.methods import make
from labelsvc.networks.features import width
from labelsvc.records import LabeledSamples, LabelSet, Listener, Model, RowCount, SampleNumbers
from labelsvc.store import models, runs, samples
from labelsvc.store.database import Store
from labelsvc.student.estimators import is_convertible
from labelsvc.training.device import describe, find_device
from labelsvc.workspace import Workspace

METHOD = "distillation"
STEPS = 4_000  # of a network, where nothing is said: by then it says what its teacher says, however busy the machine is


@dataclass(frozen=True)
class Pupil:
    """A student of tables or vectors that is to be made."""

    place: Workspace
    store: Store
    label_set: LabelSet
    config: TrainConfig
    listener: Listener

    def learn(self, parent_run: str | None) -> tuple[str, Model, RowCount, bool]:
        """Make the student, or find it; return its run, itself, the rows it learnt from, and whether it was there."""
        teacher = models.get(self.store, self.label_set.model_id)
        told = self._settled(teacher)
        config_hash = digest(told, self.label_set.label_set_id, samples.state_digest(self.store))
        done = runs.find_done(self.store, "distill", config_hash)
        if done is not None and is_kept(self.place, model := models.get(self.store, done.outcome["model"])):
            self.listener.note(f"this very student was distilled by run {done.run_id}; nothing to do")
            return done.run_id, model, done.rows, True
        labeled = samples.given(self.store, "train")
        pool = np.union1d(samples.pool(self.store), samples.calibration_inputs(self.store))
        settings = {**asdict(told), "label_set": self.label_set.label_set_id}
        device = describe(find_device(told.device))
        run = runs.NewRun("distill", settings, config_hash, told.seed, versions(), device, parent_run)
        with recorded(self.place, run, resumable=True) as session:
            session.rows = RowCount(given=len(labeled), labeled=len(labeled))
            if told.network == NETWORK:
                model = teach(session, self._lesson(session, teacher, told, labeled, pool), self.listener)
            else:
                model = self._fitted(session, teacher, told, labeled, pool)
        return session.run_id, model, session.rows, False

    def _settled(self, teacher: Model) -> TrainConfig:
        """Return the config with the kind of student, and how long a network learns."""
        config = replace(self.config, baseline=False, teacher=None, spread=False)
        network = config.network
        if network == "auto":
            network = teacher.network if self._has_graph(teacher) else NETWORK
            self.listener.note(f"network {network}: {WHY[network == NETWORK]}")
        if is_classical(network):
            return replace(config, network=network, method=teacher.method)
        views = "none" if config.views == "auto" else config.views  # what it is taught is of rows as they are
        told = replace(config, network=network, method=METHOD, teacher=teacher.model_id, views=views)
        return told if told.steps is not None or told.budget is not None else replace(told, steps=STEPS)

    def _has_graph(self, teacher: Model) -> bool:
        if not is_estimator(teacher):
            return False
        estimator = open_network(self.place, teacher).body.estimator
        return is_convertible(estimator, width(teacher.preprocessing.shape))

    def _lesson(
        self, session: Session, teacher: Model, config: TrainConfig, labeled: LabeledSamples, pool: SampleNumbers
    ) -> Assignment:
        unseen = pool if len(pool) else labeled.numbers
        assignment = Assignment(
            role="student",
            method_name=METHOD,
            method=make(METHOD, config.settings),
            labeled=labeled,
            pool=unseen,
            config=config,
            parent_id=teacher.model_id,
            round=self.label_set.round,
        )
        return taught(session, assignment, self.listener)

    def _fitted(
        self, session: Session, teacher: Model, config: TrainConfig, labeled: LabeledSamples, pool: SampleNumbers
    ) -> Model:
        """Fit the teacher's way of learning anew, with the settings that it had."""
        learnt = runs.get(self.store, teacher.run_id).config
        same = teacher.network == config.network
        told = replace(config, settings=learnt.get("settings") or {}, seed=learnt.get("seed", config.seed))
        studies = Studies(
            session,
            told,
            labeled,
            pool,
            self.listener,
            role="student",
            parent_id=teacher.model_id,
            round=self.label_set.round,
        )
        known = 1.0 if same and teacher.calibrated else None  # whether the temperature rests on labels
        chosen = Candidate(
            teacher.method, config.network, accuracy=known, temperature=teacher.temperature if same else 1.0
        )
        return studies.fit(chosen, studies.lesson())


WHY = {
    True: "a network learns what the teacher says of the whole pool, what it was unsure of included",
    False: "the teacher's own kind has an ONNX graph, so it is fitted anew to the labels as they are now",
}
