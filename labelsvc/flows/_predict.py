"""predict: new rows through an ONNX student, without torch, without a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labelsvc.config import PredictConfig, parse_tolerance
from labelsvc.data.columns import ColumnNames
from labelsvc.data.reading import row_count
from labelsvc.errors import UsageError
from labelsvc.labeling.select import check_thresholds
from labelsvc.records import SILENCE, Listener, Progress, RowCount
from labelsvc.student.infer import load
from labelsvc.student.predict import predict_file


@dataclass(frozen=True)
class PredictOutcome:
    """A written file of labels."""

    path: str
    rows: RowCount
    allowed: int  # rows that may fail
    next_command: str = ""


def predict(
    student: str | Path,
    source: str | Path,
    target: str | Path,
    config: PredictConfig | None = None,
    *,
    listener: Listener = SILENCE,
) -> PredictOutcome:
    """Label the rows of a Parquet file: the same rows in the same order, with label, confidence and error.

    A label is NULL below the threshold, and for a picture that cannot be decoded, whose ``error`` says why. The file is
    written whole however many fail; whether they are more than ``config.max_failed`` allows is the caller's to judge.

    Raises:
        InputError: the student or the source is not what it must be.
        UsageError: the threshold is no probability, or ``config.max_failed`` neither a count nor a share.
        LabelsvcError: the asked device does not work.
    """
    config = config or PredictConfig()
    check_thresholds(config.threshold, {}, ())
    if Path(target).exists() and any(Path(target).samefile(path) for path in (student, source) if Path(path).exists()):
        raise UsageError(f"{target} is what is read; name another file to write")
    parse_tolerance(config.max_failed, 0)  # before any work
    opened = load(Path(student), device=config.device)
    wanted = ColumnNames(image=config.image_column, id=config.id_column, root=config.image_root, shape=config.shape)
    total = row_count([Path(source)])
    rows = RowCount()
    for rows in predict_file(opened, Path(source), Path(target), wanted=wanted, threshold=config.threshold):
        listener.progress(Progress("predict", rows.given, total))
    return PredictOutcome(str(target), rows, parse_tolerance(config.max_failed, total))
