"""export and predict: one file that says where it is from, and answers on new rows as the model did on test rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.config import PredictConfig
from labelsvc.errors import InputError, LabelsvcError, UsageError
from labelsvc.student import export as export_room
from labelsvc.student.infer import load

from .digits import PICTURE, TEST, Digits, Heard, newest, written

CPU = PredictConfig(threshold=0.0, device="cpu")

pytestmark = pytest.mark.seconds  # making an ONNX file takes torch a few


def beside(exported: Path) -> Path:
    """Return the workspace that a student was exported from."""
    return exported.parent / "workspace"


def test_a_file_knows_where_it_is_from(exported_once: Path) -> None:
    """Classes, shape, model, run, role, method, network, weights and temperature are in the file itself."""
    opened, model = load(exported_once, device="cpu"), newest(beside(exported_once))
    assert (opened.classes, opened.shape) == (model.classes, model.preprocessing.shape)
    said = {name.removeprefix("labelsvc."): value for name, value in opened.origin.items()}
    assert (said["model"], said["run"], said["role"]) == (model.model_id, model.run_id, "student")
    assert (said["method"], said["network"]) == ("supervised", "convnet")
    assert said["weights_sha256"] == model.sha256
    assert (float(said["temperature"]), said["calibrated"]) == (model.temperature, "true")


def test_the_export_is_recorded(exported_once: Path) -> None:
    """The run keeps the path, the model and how far the file's answers are from the network's."""
    run = flows.list_runs(beside(exported_once))[0]
    assert (run.command, run.status) == ("export", "done")
    assert run.outcome["model"] == newest(beside(exported_once)).model_id
    assert run.outcome["path"] == str(exported_once)
    assert run.outcome["parity"]["rows"] > 250
    assert run.outcome["parity"]["largest_difference"] <= 1e-4


def test_the_file_is_as_right_as_the_model(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """On the test rows, the file's labels are right as often as evaluate says of the model."""
    flows.predict(exported_once, digits.test, tmp_path / "out.parquet", CPU)
    said, truth = pq.read_table(tmp_path / "out.parquet"), pq.read_table(digits.test)
    right = sum(a == b for a, b in zip(said["label"].to_pylist(), truth["label"].to_pylist(), strict=True))
    workspace = shutil.copytree(beside(exported_once), tmp_path / "workspace")
    assert right == flows.evaluate(workspace).score.right


def test_predict_keeps_rows_and_their_order(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """Every row of the source is one of the target, in its place; a label is NULL below the threshold."""
    config = PredictConfig(threshold=0.9, device="cpu")
    rows = flows.predict(exported_once, digits.test, tmp_path / "out.parquet", config).rows
    said = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["id"] for row in said] == [f"digit-{row:04d}" for row in TEST]
    assert all((row["label"] is not None) == (row["confidence"] >= 0.9) for row in said)
    assert all(row["error"] is None for row in said)
    labeled = sum(row["label"] is not None for row in said)
    assert 0 < labeled < 200
    assert (rows.given, rows.labeled, rows.abstained, rows.failed) == (200, labeled, 200 - labeled, 0)


def test_a_bad_row_fails_alone(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """A picture that cannot be decoded gets an error in its place, and its neighbours get their labels."""
    table = digits.table(range(400, 405)).drop_columns("label")
    cells = table["image"].to_pylist()
    cells[1], cells[3] = {"bytes": b"no picture", "path": None}, None
    broken = written(tmp_path / "in.parquet", table.set_column(1, "image", pa.array(cells, PICTURE)))
    rows = flows.predict(exported_once, broken, tmp_path / "out.parquet", CPU).rows
    said = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["id"] for row in said] == [f"digit-{row:04d}" for row in range(400, 405)]
    assert [row["error"] is None for row in said] == [True, False, True, False, True]
    assert all((row["label"] is None) == (row["error"] is not None) for row in said)
    assert (rows.given, rows.labeled, rows.failed) == (5, 3, 2)


def test_rows_without_ids_are_numbered(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """A source without an id column gets its rows' numbers, from 0."""
    source = written(tmp_path / "in.parquet", digits.table(range(3)).drop_columns(["id", "label"]))
    flows.predict(exported_once, source, tmp_path / "out.parquet", CPU)
    assert pq.read_table(tmp_path / "out.parquet")["row"].to_pylist() == [0, 1, 2]


def test_predict_refuses_what_it_cannot_use(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """A threshold that is none, a student that is missing or none, a source that is none: no target is written."""
    target = tmp_path / "out.parquet"
    with pytest.raises(UsageError):
        flows.predict(exported_once, digits.test, target, PredictConfig(threshold=float("nan")))
    with pytest.raises(InputError):
        flows.predict(tmp_path / "none.onnx", digits.test, target, CPU)
    with pytest.raises(InputError):
        flows.predict(digits.test, digits.test, target, CPU)
    with pytest.raises(InputError):
        flows.predict(exported_once, exported_once, target, CPU)
    assert not target.exists()


def test_export_says_which_model(exported_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current set's student is taken unless another is named, and the notes tell which."""
    workspace = shutil.copytree(beside(exported_once), tmp_path / "workspace")
    monkeypatch.setattr(export_room, "_save", lambda _graph, _model, path: shutil.copyfile(exported_once, path))
    heard, student = Heard(), newest(workspace)
    outcome = flows.export(workspace, tmp_path / "again.onnx", listener=heard)
    assert outcome.model == student
    assert any(f"student {student.model_id} of the current label set" in note for note in heard.notes)
    assert outcome.bytes == exported_once.stat().st_size


def test_a_file_that_answers_otherwise_is_not_written(
    exported_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file's answers are not the network's, an older file of that name stays as it was, alone."""
    workspace = shutil.copytree(beside(exported_once), tmp_path / "workspace")
    teacher = newest(workspace).parent_id
    target = tmp_path / "out" / "student.onnx"
    target.parent.mkdir()
    target.write_bytes(b"the older one")
    monkeypatch.setattr(export_room, "_save", lambda _graph, _model, path: shutil.copyfile(exported_once, path))
    with pytest.raises(LabelsvcError, match="was not written"):
        flows.export(workspace, target, model=teacher)
    assert target.read_bytes() == b"the older one"
    assert [path.name for path in target.parent.iterdir()] == ["student.onnx"]
    assert flows.list_runs(workspace)[0].status == "failed"


def test_without_a_model_nothing_is_exported(ingested: Path, tmp_path: Path) -> None:
    """An export needs a model, and the error says how to make one."""
    with pytest.raises(InputError, match="labelsvc train"):
        flows.export(ingested, tmp_path / "student.onnx")
    assert not (tmp_path / "student.onnx").exists()


def test_the_same_export_again_writes_nothing(exported_once: Path, tmp_path: Path) -> None:
    """A file that is still there as it was written is left alone; a changed one is written anew."""
    workspace, target = shutil.copytree(beside(exported_once), tmp_path / "workspace"), tmp_path / "again.onnx"
    assert not flows.export(workspace, target).repeated
    written_at = target.stat().st_mtime_ns
    assert flows.export(workspace, target).repeated
    assert target.stat().st_mtime_ns == written_at


def test_an_interrupt_inside_torch_stays_one(
    exported_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Ctrl-C that the exporter wraps in an error of its own is still a Ctrl-C, and leaves no file."""

    def interrupted(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Failed to export the model") from error

    monkeypatch.setattr("torch.onnx.export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        flows.export(shutil.copytree(beside(exported_once), tmp_path / "workspace"), tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


@pytest.mark.parametrize("same", ["source", "student"])
def test_predict_never_writes_over_what_it_reads(
    exported_once: Path, digits: Digits, tmp_path: Path, same: str
) -> None:
    """Neither the pictures nor the student can be the file to write."""
    student, source = shutil.copy(exported_once, tmp_path), shutil.copy(digits.test, tmp_path)
    before = Path(source).read_bytes()
    with pytest.raises(UsageError, match="is what is read"):
        flows.predict(student, source, source if same == "source" else student, CPU)
    assert Path(source).read_bytes() == before
