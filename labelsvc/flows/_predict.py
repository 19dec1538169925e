"""predict: new rows through an ONNX student, without torch, without a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelsvc.config import PredictConfig, parse_tolerance
from labelsvc.data.columns import ColumnNames
from labelsvc.data.reading import file_digest
from labelsvc.data.remote import is_remote
from labelsvc.data.sources import Named, PictureTree, find_sources, survey
from labelsvc.errors import UsageError
from labelsvc.labeling.select import check_thresholds
from labelsvc.records import SILENCE, Listener, Progress, RowCount
from labelsvc.student.answers import Question, Tally
from labelsvc.student.drift import Drift, drift, in_words
from labelsvc.student.infer import Student, load
from labelsvc.student.metadata import StudentPolicy, policy_in_force
from labelsvc.student.parts import parts_beside
from labelsvc.student.predict import Prediction, Work, finished, prepare
from labelsvc.student.predict import predict as predicted


@dataclass(frozen=True)
class PredictOutcome:
    """A written file of labels."""

    path: str
    rows: RowCount
    allowed: int  # rows that may fail
    policy: StudentPolicy  # from which confidence on a row got its label
    drift: Drift | None = None  # from the pool; None where the student's file or too few rows do not tell
    resumed: int = 0  # rows that an earlier, interrupted call had labeled
    repeated: bool = False
    next_command: str = ""


def predict(
    student: str | Path,
    source: str | Path | Sequence[str | Path],
    target: str | Path,
    config: PredictConfig | None = None,
    *,
    listener: Listener = SILENCE,
) -> PredictOutcome:
    """Label new rows: the same rows in the same order, with label, confidence and error.

    ``source`` names Parquet files, folders or patterns of them, or folders of pictures, here or as ``s3://`` URIs. A
    label is NULL below the threshold, and for a picture that cannot be decoded, whose ``error`` says why. The file is
    written whole however many fail; whether they are more than ``config.max_failed`` allows is the caller's to judge.

    Interrupted or killed, it leaves the finished parts beside ``target``, and the same call goes on from there to the
    same bytes.

    Raises:
        InputError: the student or a source is not what it must be, or a store refuses.
        UsageError: the threshold is no probability, ``config.max_failed`` neither a count nor a share, or ``target``
            is what is read.
        LabelsvcError: the asked device does not work, or another process writes ``target``.
    """
    config = config or PredictConfig()
    parse_tolerance(config.max_failed, 0)  # before any work
    if config.threshold is not None:
        check_thresholds(config.threshold, {}, ())
    names = [source] if isinstance(source, str | Path) else list(source)
    _check_target(target, [student, *names])
    opened = load(Path(student), device=config.device)
    found = find_sources(names)
    _check_target(target, [one.place for one in found if not isinstance(one, PictureTree)])
    question = Question(_policy(opened, config, listener), config.top_k, config.probabilities)
    target = Path(target)
    with parts_beside(target) as folder:
        prediction = _prediction(opened, Path(student), question, found, _columns(config), folder)
        work = prepare(prediction, folder)
        tally = finished(work, target)
        repeated = tally is not None
        if tally is None:
            tally = _done(work, target, listener)
    moved = drift(opened.pool, tally.words, opened.classes) if opened.pool else None
    _warn(moved, listener)
    return PredictOutcome(
        str(target),
        tally.rows,
        parse_tolerance(config.max_failed, tally.rows.given),
        question.policy,
        drift=moved,
        resumed=work.done.rows.given,
        repeated=repeated,
    )


def _check_target(target: str | Path, read: Sequence[object]) -> None:
    """Refuse to write to a store, and over what is read."""
    if is_remote(target):
        raise UsageError(f"{target} lies in an object store; name a local file, and copy it there when it is whole")
    if not Path(target).exists():
        return
    here = [Path(str(one)) for one in read if not is_remote(str(one))]
    if any(path.exists() and Path(target).samefile(path) for path in here):
        raise UsageError(f"{target} is what is read; name another file to write")


def _policy(student: Student, config: PredictConfig, listener: Listener) -> StudentPolicy:
    """Return the rule by which rows get labels, and say where it is from, unless it was asked for."""
    policy = policy_in_force(student.policy, config.threshold)
    if config.threshold is not None:
        return policy
    if student.policy is None:
        listener.note(
            f"the student's file names no policy: labels count from a confidence of {policy.threshold} on; "
            "say another with --threshold"
        )
        return policy
    own = f" ({len(policy.class_thresholds)} classes have their own)" if policy.class_thresholds else ""
    source = f", by the policy in the student's file: {policy.origin}" if policy.origin else ""
    listener.note(f"labels count from a confidence of {policy.threshold:.4g} on{own}{source}")
    return policy


def _columns(config: PredictConfig) -> ColumnNames:
    return ColumnNames(
        image=config.image_column,
        id=config.id_column,
        root=config.image_root,
        shape=config.shape,
        vector=config.vector_column,
    )


def _prediction(
    student: Student, path: Path, question: Question, found: Sequence[Named], wanted: ColumnNames, folder: Path
) -> Prediction:
    sources = survey(found, wanted, student.shape, folder)
    return Prediction(student, file_digest(path), question, sources)


def _done(work: Work, target: Path, listener: Listener) -> Tally:
    """Do the work, telling how it goes, and return the tally of all rows."""
    if work.discarded:
        anew = "" if work.done.rows.given else "; this begins anew"
        listener.note(
            f"{work.folder} held {work.discarded:,} parts of another student, of other rows or other settings; "
            f"they are removed{anew}"
        )
    if work.done.rows.given:
        listener.note(f"{work.done.rows.given:,} rows were labeled before; going on from there")
    total = sum(source.rows for source in work.prediction.sources)
    tally = work.done
    for tally in predicted(work, target):
        listener.progress(Progress("predict", tally.rows.given, total))
    return tally


def _warn(found: Drift | None, listener: Listener) -> None:
    said = in_words(found) if found else None
    if said:
        listener.note(said)
