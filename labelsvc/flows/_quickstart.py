"""quickstart: scikit-learn's real handwritten digits through the whole flow, in about a minute on a CPU."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from labelsvc.config import LabelConfig, TrainConfig
from labelsvc.flows._distill import distill
from labelsvc.flows._evaluate import evaluate
from labelsvc.flows._export import export
from labelsvc.flows._ingest import ingest
from labelsvc.flows._label import label
from labelsvc.flows._train import train
from labelsvc.records import SILENCE, Listener, RowCount
from labelsvc.report.quickstart import Figures, tell
from labelsvc.workspace import create, written_beside

LABELED, TEST = 100, 500  # of the 1,797 digits; the others are the pool
SEED = 0
STEPS = 800
THRESHOLD = 0.95


@dataclass(frozen=True)
class QuickstartOutcome:
    """What the quickstart measured, in figures and in words."""

    folder: str
    figures: Figures
    summary: tuple[str, ...]
    rows: RowCount


def quickstart(folder: str | Path = "labelsvc-quickstart", *, listener: Listener = SILENCE) -> QuickstartOutcome:
    """Write 1,797 real digits as Parquet, 100 of them labeled, and take them through every verb.

    The truth about the unlabeled digits is known here and scores what comes out; nothing that trains reads it.
    """
    place = create(Path(folder)).root
    example = _write_digits(place)
    workspace, student = place / "workspace", place / "student.onnx"
    listener.note("1/6 ingest: the digits into a workspace")
    ingest(
        workspace,
        [place / "labeled.parquet", place / "unlabeled.parquet"],
        test=[place / "test.parquet"],
        listener=listener,
    )
    listener.note("2/6 train --method supervised: the baseline, from the labels alone")
    baseline = train(workspace, TrainConfig(method="supervised", steps=STEPS, seed=SEED), listener=listener)
    listener.note("3/6 train: the teacher, from labels and pool")
    teacher = train(workspace, TrainConfig(steps=STEPS, seed=SEED, baseline=False), listener=listener)
    listener.note("4/6 label: the teacher's word on the pool")
    labels = label(workspace, LabelConfig(threshold=THRESHOLD, model=teacher.model.model_id), listener=listener)
    listener.note("5/6 distill: the student, from given and accepted labels")
    pupil = distill(workspace, TrainConfig(steps=STEPS, seed=SEED), listener=listener)
    listener.note("6/6 export: the student as an ONNX file")
    export(workspace, student, model=pupil.model.model_id, listener=listener)
    accuracy = {
        name: evaluate(workspace, model=model.model_id).score.accuracy
        for name, model in (
            ("baseline", baseline.model),
            ("teacher", teacher.model),
            ("student", pupil.model),
        )
    }
    right = evaluate(workspace, truth=place / "truth.parquet").score.right
    figures = Figures(
        given=LABELED,
        pool=labels.rows.given,
        test_rows=TEST,
        threshold=THRESHOLD,
        labels=labels.rows.labeled,
        right=right,
        **accuracy,
    )
    summary = tell(figures, student=str(student), workspace=str(workspace), example=example)
    return QuickstartOutcome(str(place), figures, tuple(summary), labels.rows)


def _write_digits(folder: Path) -> str:
    """Write labeled, unlabeled, truth and test files, split by class with a fixed seed; return an id of the pool."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pictures, classes = load_digits(return_X_y=True)
    order = np.arange(len(classes))
    rest, test = train_test_split(order, test_size=TEST, stratify=classes, random_state=SEED)
    pool, labeled = train_test_split(rest, test_size=LABELED, stratify=classes[rest], random_state=SEED)
    ids = np.array([f"digit-{number:04d}" for number in order])
    cells = pa.array(
        [_cell(picture) for picture in pictures], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    labels = pa.array(classes.astype(str))
    table = pa.table({"id": ids, "image": cells, "label": labels})
    parts = {
        "labeled": table.take(labeled),
        "unlabeled": table.take(pool).drop_columns("label"),
        "truth": table.take(pool).drop_columns("image"),
        "test": table.take(test),
    }
    for name, part in parts.items():
        with written_beside(folder / f"{name}.parquet") as partial:
            pq.write_table(part, partial, compression="zstd")
    return str(min(ids[pool]))


def _cell(picture: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, bytes | None]:
    """Return 64 grey values from 0 to 16 as a PNG in Hugging Face's form."""
    buffer = io.BytesIO()
    Image.fromarray((picture.reshape(8, 8) * (255 / 16)).astype(np.uint8)).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}
