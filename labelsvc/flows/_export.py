"""export: a model becomes one self-sufficient ONNX file, with its card beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelsvc.config import ExportConfig, digest
from labelsvc.data.reading import file_digest
from labelsvc.errors import LabelsvcError, UsageError
from labelsvc.flows._inputs import rows_to_ask
from labelsvc.flows._model_card import describe
from labelsvc.flows._models import PREDICTIONS, in_use, is_kept, open_network
from labelsvc.flows._rehearsal import Rehearsal
from labelsvc.flows._session import open_store, recorded, versions
from labelsvc.records import SILENCE, Certificate, Listener, Model, PictureShape, RowCount
from labelsvc.report import model_card
from labelsvc.store import certificates, label_sets, models, runs, samples
from labelsvc.store.database import Store
from labelsvc.store.runs import NewRun
from labelsvc.student import card, gate, triton
from labelsvc.student.card import FileFormat
from labelsvc.student.export import Parity
from labelsvc.student.export import export as export_file
from labelsvc.student.gate import Loss, Speed
from labelsvc.student.infer import Student, load
from labelsvc.student.metadata import StudentPolicy, as_metadata
from labelsvc.student.quantise import convert
from labelsvc.student.speed import BATCHES, device_of, speeds
from labelsvc.training.predict import logits_of
from labelsvc.workspace import Workspace, find, written_beside

LEAST_AGREEMENT = 0.98  # of a student of tables or vectors with its teacher


@dataclass(frozen=True)
class ExportOutcome:
    """A written file, what was measured of it, and what lies beside it."""

    run_id: str
    model: Model
    path: str
    bytes: int
    dtype: str
    format: FileFormat
    parity: Parity  # of the fp32 file with the network
    rows: RowCount
    next_command: str
    card: str | None  # the path of the model card; None where another file has its name
    agreement: tuple[int, int] | None = None  # rows of the pool that it names as its teacher does, and of how many
    validation: tuple[int, int] | None = None  # how many validation rows it has right, and of how many
    loss: Loss | None = None  # of a file in fewer bits
    speeds: tuple[Speed, ...] = ()
    device: str = "cpu"  # on which it was timed
    triton: str | None = None  # the folder in a model repository
    policy: StudentPolicy | None = None  # which of its labels count
    repeated: bool = False
    certificate: Certificate | None = None  # what `certify` proved of this model last; the file carries it


def export(
    workspace: str | Path,
    path: str | Path,
    config: ExportConfig | None = None,
    *,
    model: str | None = None,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> ExportOutcome:
    """Write the current set's student (else its teacher, else the newest model) as an ONNX file, and its model card.

    The file carries the policy that its model labels by, what it says of the pool, and, in fp32, the model's
    certificate. A file in fewer bits is compared with the fp32 file on validation rows or, where these are too few to
    show the allowed loss, on inputs of the pool; and it is timed beside it.

    Raises:
        InputError: nothing was trained, the weights are gone, or another model lies in the Triton repository.
        LabelsvcError: the file does not answer as the network does; in fewer bits, it costs more than is allowed, or
            is slower here without ``force``; of tables and vectors, it names under 98% of the pool as its teacher does
            without ``force``. Nothing is written.
        UsageError: the name is that of a card.
    """
    config = config or ExportConfig()
    place, target = find(Path(workspace)), Path(path)
    store = open_store(place)
    chosen = in_use(store, model, listener)
    task = _Task(place, store, chosen, target, config, listener)
    task.check()
    settings = {
        **asdict(config),
        "path": str(target.resolve()),
        "model": chosen.model_id,
        "certificate": task.promised.certificate_id if task.promised else None,
        "policy": asdict(task.policy) if task.policy else None,
    }
    config_hash = digest(settings, samples.state_digest(store))
    done = runs.find_done(store, "export", config_hash)
    if done is not None and target.is_file() and file_digest(target) == done.outcome.get("sha256"):
        listener.note(f"run {done.run_id} wrote this very file; nothing to do")
        return replace(task.concluded(done.run_id, done.outcome), repeated=True)
    run = NewRun("export", settings, config_hash, versions=versions(), parent_id=parent_run)
    with recorded(place, run) as session:
        session.outcome = {**settings, **task.write()}
        session.rows = _rows(session.outcome)
        session.stop_reason = "the file answers as the network does"
        return task.concluded(session.run_id, session.outcome)


@dataclass(frozen=True)
class _Said:
    """A file and its answers [rows, classes] to the rows of the pool and to the validation rows."""

    student: Student
    pool: NDArray[np.float32]
    validation: NDArray[np.float32]


@dataclass(frozen=True)
class _Task:
    """Which model becomes which file."""

    place: Workspace
    store: Store
    model: Model
    target: Path
    config: ExportConfig
    listener: Listener

    @property
    def card(self) -> Path:
        return self.target.with_name(f"{self.target.stem}.md")

    @cached_property
    def earned(self) -> Certificate | None:
        """The newest valid certificate that the model has as a student."""
        valid = [found for found in certificates.of_model(self.store, self.model.model_id) if found.valid]
        return valid[-1] if valid else None

    @property
    def promised(self) -> Certificate | None:
        """The certificate that holds for the file: in fewer bits it answers otherwise, and has none."""
        return self.earned if self.config.dtype == "fp32" else None

    @cached_property
    def policy(self) -> StudentPolicy | None:
        """The rule by which labels of the file count."""
        if self.earned is None or self.earned.threshold is None:
            return taught_policy(self.store, self.model)
        rule = StudentPolicy(self.earned.threshold, origin=f"student certificate {self.earned.certificate_id}")
        if self.promised is None:
            return replace(rule, origin=f"{rule.origin}, which is of the fp32 file and not of this one")
        precision, confidence = self.promised.promised_precision, self.promised.confidence
        return replace(rule, target_precision=precision, confidence_level=confidence)

    @property
    def holds_pictures(self) -> bool:
        """Whether its input is a picture."""
        return isinstance(self.model.preprocessing.shape, PictureShape)

    def check(self) -> None:
        """Refuse what can be told before the work.

        Raises:
            InputError: another model lies in the Triton repository.
            UsageError: the name is that of a card, or fewer bits are asked for than a student of tables may have.
        """
        if self.config.dtype != "fp32" and not self.holds_pictures:
            raise UsageError(
                f"--dtype {self.config.dtype} is for students of pictures; those of tables and vectors are small, and "
                "their numbers need all of their bits: leave it out"
            )
        if self.card == self.target:
            raise UsageError(f"{self.target} is the name of the model card; name the file {self.target.stem}.onnx")
        if self.config.triton is not None:
            triton.refuse_another(Path(self.config.triton) / self.target.stem, self.model.model_id)

    def write(self) -> dict[str, Any]:
        """Write the file, and return what was measured of it."""
        rehearsal = Rehearsal.open(self.place, self.store)
        with written_beside(self.target) as partial:
            network = open_network(self.place, self.model)
            parity = export_file(network, self.model, partial, rows=rehearsal.checked)
            said = self._ask(partial, rehearsal)
            agreement = self._agreement(said, rehearsal)
            facts: dict[str, Any] = {"parity": asdict(parity), "agreement": agreement, "loss": None, "speeds": []}
            if self.config.dtype != "fp32":
                said, cost = self._in_fewer_bits(partial, said, rehearsal)
                facts |= cost
            facts["validation"] = rehearsal.right(said.validation) if len(rehearsal.validation) else None
            found = card.checked_format(partial)
            self._sign(partial, found, facts, said, rehearsal)
        facts |= {"format": asdict(found), "timed_on": device_of(said.student)}
        return {**facts, "sha256": file_digest(self.target)}

    def _agreement(self, said: _Said, rehearsal: Rehearsal) -> tuple[int, int] | None:
        """Return how many rows of the pool the file names as the model's teacher does, and of how many.

        Raises:
            LabelsvcError: they are too few, and ``force`` is not given.
        """
        if self.holds_pictures or self.model.parent_id is None:
            return None
        teacher = models.get(self.store, self.model.parent_id)
        if teacher.method == PREDICTIONS or not is_kept(self.place, teacher):
            return None
        rows = rows_to_ask(self.place, self.store, np.sort(rehearsal.pool), device="cpu")
        words = logits_of(open_network(self.place, teacher), rows).argmax(axis=1)
        agreeing = int((words == said.pool[np.argsort(rehearsal.pool)].argmax(axis=1)).sum())
        if agreeing < LEAST_AGREEMENT * len(words) and not self.config.force:
            raise LabelsvcError(
                f"no file was written: the student names {agreeing / len(words):.1%} of {len(words):,} pool rows as "
                f"its teacher does, less than {LEAST_AGREEMENT:.0%}; --force writes it all the same, `labelsvc export "
                f"--from {teacher.model_id[-8:]}` writes the teacher, and more steps bring a network closer to it"
            )
        return agreeing, len(words)

    def _ask(self, path: Path, rehearsal: Rehearsal) -> _Said:
        student = load(path, device=self.config.device)
        return _Said(student, rehearsal.pool_answers(student), rehearsal.validation_answers(student))

    def _in_fewer_bits(self, path: Path, before: _Said, rehearsal: Rehearsal) -> tuple[_Said, dict[str, Any]]:
        """Put the same in fewer bits at a file's place, and return its answers and what that cost.

        Raises:
            LabelsvcError: it costs too much, or is not faster.
        """
        dtype = self.config.dtype
        with written_beside(path) as smaller:
            convert(path, smaller, dtype, rehearsal.ranges())
            after = self._ask(smaller, rehearsal)
            loss = self._loss(before, after, rehearsal)
            gate.refuse_loss(dtype, loss)
            measured = [_speed(before.student, after.student, rehearsal, batch) for batch in BATCHES]
            if not self.config.force:
                gate.refuse_slow(dtype, measured, device_of(after.student))
        return after, {"loss": asdict(loss), "speeds": [asdict(one) for one in measured]}

    def _loss(self, before: _Said, after: _Said, rehearsal: Rehearsal) -> Loss:
        allowed, rows = self.config.allowed_loss, len(rehearsal.validation)
        if gate.is_telling(rows, allowed):
            return gate.loss_of_accuracy(before.validation, after.validation, rehearsal.validation.classes, allowed)
        if rows:
            self.listener.note(
                f"{rows:,} validation rows are too few to show a loss of {allowed:g} points; agreement with the fp32 "
                "file decides"
            )
        return gate.loss_of_agreement(before.pool, after.pool, allowed)

    def _sign(self, path: Path, found: FileFormat, facts: Mapping[str, Any], said: _Said, rehearsal: Rehearsal) -> None:
        """Write into the file what it says of itself."""
        measured = {name: facts[name] for name in ("parity", "agreement", "loss", "validation")}
        told = {
            card.DTYPE: self.config.dtype,
            card.OPSET: str(found.opset),
            card.IR_VERSION: str(found.ir_version),
            card.GATE: json.dumps(measured),
            **as_metadata(self.policy, rehearsal.words(said.pool)),
        }
        if self.promised is not None:
            told[card.CERTIFICATE] = json.dumps(asdict(self.promised))
        card.add_facts(path, told)

    def concluded(self, run_id: str, facts: Mapping[str, Any]) -> ExportOutcome:
        """Write what lies beside the file, where it is not there yet, and return what came of it all."""
        outcome = ExportOutcome(
            run_id=run_id,
            model=self.model,
            path=str(self.target),
            bytes=self.target.stat().st_size,
            dtype=self.config.dtype,
            format=FileFormat(**facts["format"]),
            parity=Parity(**facts["parity"]),
            rows=_rows(facts),
            next_command=f"labelsvc predict {self.target} NEW.parquet out.parquet",
            card=str(self.card),
            agreement=None if facts.get("agreement") is None else tuple(facts["agreement"]),
            validation=None if facts["validation"] is None else tuple(facts["validation"]),
            loss=None if facts["loss"] is None else Loss(**facts["loss"]),
            speeds=tuple(Speed(**one) for one in facts["speeds"]),
            device=facts["timed_on"],
            policy=self.policy,
            certificate=self.promised,
        )
        return replace(outcome, card=self._write_card(outcome), triton=self._write_repository())

    def _write_card(self, outcome: ExportOutcome) -> str | None:
        """Write the model card, unless it is there as it would be, or another file has its name."""
        text = model_card.tell(describe(self.store, outcome))
        older = self.card.read_text(encoding="utf-8") if self.card.exists() else None
        if older is not None and not older.startswith(model_card.TITLE):
            self.listener.note(f"{self.card} is no model card, and stays as it is; there is none of {self.target}")
            return None
        if text != older:
            with written_beside(self.card) as partial:
                partial.write_text(text, encoding="utf-8")
        return str(self.card)

    def _write_repository(self) -> str | None:
        """Write the file into the Triton repository, unless it is there."""
        if self.config.triton is None:
            return None
        folder = Path(self.config.triton)
        there = folder / self.target.stem / "1" / "model.onnx"
        if there.is_file() and file_digest(there) == file_digest(self.target):
            return str(there.parents[1])
        shape = self.model.preprocessing.shape
        return str(triton.write_repository(folder, self.target, self.model.classes, shape))


def taught_policy(store: Store, model: Model) -> StudentPolicy | None:
    """Return the policy of the label set that taught a student, or of the current one where a teacher made that."""
    taught_by = runs.get(store, model.run_id).config.get("label_set")
    label_set = label_sets.get(store, taught_by) if taught_by else label_sets.current(store)
    if label_set is None or (not taught_by and label_set.model_id != model.model_id):
        return None
    rule = label_sets.policy(store, label_set)
    return StudentPolicy(
        threshold=rule.threshold,
        class_thresholds=rule.class_thresholds,
        origin=f"policy of label set {label_set.label_set_id}",
        target_precision=rule.target_precision,
        confidence_level=rule.confidence_level,
    )


def _speed(before: Student, after: Student, rehearsal: Rehearsal, batch: int) -> Speed:
    whole, smaller = speeds([before, after], rehearsal.timed(batch))
    return Speed(batch, batch / whole, batch / smaller)


def _rows(facts: Mapping[str, Any]) -> RowCount:
    """Return on how many rows the file was compared with the network."""
    rows = facts["parity"]["rows"]
    return RowCount(given=rows, labeled=rows)
