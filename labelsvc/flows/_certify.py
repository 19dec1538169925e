"""certify: fresh labeled rows say how often a student is right on rows that no model has seen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from labelsvc.config import CertifyConfig, digest
from labelsvc.data.columns import ColumnNames
from labelsvc.data.reading import file_digest
from labelsvc.errors import InputError, PromiseError
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.labeling import certify as sequence
from labelsvc.labeling.bounds import look_level, lower_bound
from labelsvc.records import SILENCE, Certificate, Listener, RowCount
from labelsvc.store import certificates, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.identifiers import new_id
from labelsvc.store.runs import NewRun
from labelsvc.student.card import DTYPE, add_certificate
from labelsvc.student.examine import Examined, examine
from labelsvc.student.infer import Student, load
from labelsvc.workspace import find

CERTIFIED, NO_PROMISE = "certified", "the promise cannot be made"


@dataclass(frozen=True)
class CertifyOutcome:
    """What fresh rows prove of a student, from the certificate's threshold on."""

    run_id: str
    certificate: Certificate
    rows: RowCount
    next_command: str
    repeated: bool = False


def certify(
    workspace: str | Path,
    student: str | Path,
    fresh: str | Path,
    config: CertifyConfig,
    *,
    listener: Listener = SILENCE,
) -> CertifyOutcome:
    """Prove how often a student is right, on labeled rows that were drawn from where its future rows are from.

    The lowest threshold is taken for which the precision is proven, or ``config.threshold`` alone is tested. The
    certificate is stored, and written into the student's file. The first question about a student spends nine tenths
    of δ, later ones what is left, whichever rows they bring; the same question again is answered from the store.
    A row is known again by its content, byte for byte, so a picture that was saved anew passes for a fresh one.

    Raises:
        InputError: the student is another workspace's or not in fp32, or a row is one that a model may have seen.
        PromiseError: the rows do not prove it; they are spent all the same.
    """
    place = find(Path(workspace))
    store = open_store(place)
    path, source = Path(student), Path(fresh)
    opened = load(path, device=config.device)
    question = _Question(store, _model_of(store, opened, path), source, file_digest(source), config)
    done = runs.find_done(store, "certify", question.digest)
    if done is not None:
        listener.note(f"run {done.run_id} was asked this of these very rows, which spends nothing")
        found = next(one for one in certificates.of_model(store, question.model) if one.look == done.outcome["look"])
        return _told(CertifyOutcome(done.run_id, found, done.rows, _next(path, found), repeated=True), path)
    settings = {**asdict(config), "student": str(path), "fresh": str(source), "model": question.model}
    with recorded(place, NewRun("certify", settings, question.digest, None, versions())) as session:
        found = question.answered(session, opened)
        listener.note(f"look {found.look} at fresh rows for this student")
    return _told(CertifyOutcome(session.run_id, found, session.rows, _next(path, found)), path)


@dataclass(frozen=True)
class _Question:
    """What is asked of a student: whether these rows prove that precision."""

    store: Store
    model: str
    source: Path
    content: str  # the digest of ``source``
    config: CertifyConfig

    @property
    def digest(self) -> str:
        """What the answer depends on, which the device is not."""
        return digest(replace(self.config, device=""), self.model, self.content)

    def answered(self, session: Session, student: Student) -> Certificate:
        """Ask the student, and keep the certificate, be it void."""
        config = self.config
        wanted = ColumnNames(
            image=config.image_column,
            label=config.label_column,
            group=config.group_column,
            root=config.image_root,
            shape=config.shape,
            vector=config.vector_column,
        )
        examined = examine(student, self.source, wanted)
        self.refuse_seen(examined)
        found = certificates.look(self.store, self.model, lambda look: self.judged(examined, look))
        assert found.threshold is not None
        accepted = int((examined.confidence >= found.threshold).sum())
        session.rows = RowCount(len(examined.confidence), accepted, len(examined.confidence) - accepted)
        session.outcome = {"look": found.look, "certificate": found.certificate_id}
        session.stop_reason = CERTIFIED if found.valid else NO_PROMISE
        return found

    def refuse_seen(self, examined: Examined) -> None:
        """Refuse rows that are in the workspace, but for test rows: a model may have learnt from them.

        Raises:
            InputError: one is.
        """
        seen = samples.seen_contents(self.store, examined.hashes)
        rows = [row for row, content in enumerate(examined.hashes) if content in seen]
        if rows:
            raise InputError(
                f"{self.source}: {len(rows):,} of {len(examined.hashes):,} rows are in this workspace, row {rows[0]:,} "
                "(from 0) is the first; models may have learnt from them, so they prove nothing. "
                "Bring rows that were never ingested but with --test"
            )

    def judged(self, examined: Examined, look: int) -> Certificate:
        """Return what the rows prove at a look."""
        level = look_level(look, 1 - self.config.confidence)
        test = self.tested(examined, level)
        reason = None if test.p_value <= level else self.shortfall(test, look)
        return Certificate(
            certificate_id=new_id(),
            kind="student",
            checked=test.checked,
            wrong=test.wrong,
            promised_precision=self.config.precision,
            confidence=self.config.confidence,
            look=look,
            rows_digest=self.content,
            valid=reason is None,
            reason=reason,
            model_id=self.model,
            threshold=test.threshold,
        )

    def tested(self, examined: Examined, level: float) -> sequence.Tested:
        """Return the test of the lowest threshold that is proven, else the first that is not."""
        precision = self.config.precision
        units = sequence.units(examined.confidence, examined.wrong, examined.groups)
        candidates = sequence.thresholds(units.accepted)
        if self.config.threshold is not None:
            candidates = np.array([self.config.threshold])
        ordered = sequence.descending(candidates, None, units.accepted, precision=precision, level=level)
        found = sequence.fixed_sequence(ordered, None, units, precision=precision, level=level)
        if found.chosen is not None:
            return found.chosen
        lowest = float(candidates[-1])  # where too few rows are accepted for any test, this accepts most
        checked, wrong = units.count(lowest)
        return found.tests[0] if found.tests else sequence.Tested(lowest, checked, wrong, checked, 1.0)

    def shortfall(self, test: sequence.Tested, look: int) -> str:
        """Say how far the rows reach, and what it would take."""
        config, delta = self.config, 1 - self.config.confidence
        bound = lower_bound(test.checked, test.wrong, look_level(look, delta))
        share = test.wrong / max(test.checked, 1)
        needed = sequence.checks_needed(share, config.precision, look_level(look + 1, delta))
        help_ = (
            f"with {share:.1%} wrong no number of rows proves it, a better student or a lower --precision does"
            if needed is None
            else f"it takes about {needed:,} accepted rows (as often wrong as these) in a file of others"
        )
        return (
            f"of the fresh rows {test.checked:,} are accepted at a confidence of {test.threshold:.4g} or more and "
            f"{test.wrong:,} of these are wrong; the best promise available now is {bound:.3f} at "
            f"{config.confidence:.0%} confidence, not {config.precision:g}: {help_}"
        )


def _told(outcome: CertifyOutcome, student: Path) -> CertifyOutcome:
    """Write the certificate into the student's file, unless it is there.

    Raises:
        PromiseError: it is void.
    """
    found = outcome.certificate
    if not found.valid:
        raise PromiseError(f"{found.reason}. {student} is as it was, and the rows are spent")
    add_certificate(student, json.dumps(asdict(found)))
    return outcome


def _next(student: Path, found: Certificate) -> str:
    """Return the command that labels by the very threshold that the promise is for."""
    return f"labelsvc predict {student} NEW.parquet out.parquet --threshold {found.threshold!r}"


def _model_of(store: Store, student: Student, path: Path) -> str:
    model_id = student.origin.get("labelsvc.model")
    if model_id is None or model_id not in models.known(store):
        raise InputError(f"{path} was not exported from this workspace; name the right one with --workspace")
    dtype = student.origin.get(DTYPE, "fp32")
    if dtype != "fp32":  # the model's certificate would be in the fp32 file, which answers otherwise
        raise InputError(f"{path} is in {dtype}, and certificates are of fp32 files; certify the one in fp32")
    return model_id
