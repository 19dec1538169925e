"""Students of tables and vectors at work: what they are handed, how alike to their teachers, and what is refused."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from labelsvc import flows
from labelsvc.errors import InputError, LabelsvcError, PromiseError
from labelsvc.networks import build
from labelsvc.records import Model, PictureShape, Preprocessing
from labelsvc.student.card import GATE
from labelsvc.student.export import export as export_pictures
from labelsvc.student.infer import load

from .tables import POOL, ingested, vectors, wines

pytestmark = pytest.mark.seconds  # making an ONNX file takes torch one or two

STEPS = flows.TrainConfig(method="supervised", network="mlp", steps=50, device="cpu")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of a network's student of a table; its workspace and test rows lie beside it."""
    return exported(tmp_path_factory.mktemp("table"), wines(), STEPS)


@pytest.fixture(scope="module")
def vector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of a student of vectors."""
    linear = flows.TrainConfig(method="supervised", network="logistic-regression")
    return exported(tmp_path_factory.mktemp("vector"), vectors(), linear)


def exported(folder: Path, rows: pa.Table, config: flows.TrainConfig) -> Path:
    """Teach, label, distill and export."""
    place = ingested(folder, rows)
    flows.train(place, config)
    flows.label(place, flows.LabelConfig(threshold=0.6))
    flows.distill(place, flows.TrainConfig(steps=50, device="cpu"))
    flows.export(place, folder / "student.onnx")
    return folder / "student.onnx"


def held_out(student: Path) -> pa.Table:
    """Return the test rows that lie beside a student."""
    return pq.read_table(student.with_name("test.parquet"))


def answers(student: Path, rows: pa.Table, folder: Path) -> pa.Table:
    """Return what predict writes of rows."""
    pq.write_table(rows, folder / "rows.parquet")
    flows.predict(student, folder / "rows.parquet", folder / "out.parquet", flows.PredictConfig(probabilities=True))
    return pq.read_table(folder / "out.parquet")


def replaced(rows: pa.Table, name: str, cells: pa.Array) -> pa.Table:
    """Return rows with other cells in a column."""
    return rows.set_column(rows.column_names.index(name), name, cells)


def test_an_unmet_category_and_a_null_are_answered(table: Path, tmp_path: Path) -> None:
    """Any two texts that were never met are the same to a student, whatever the column's type of text."""
    rows = held_out(table).slice(0, 4)
    said = [
        answers(table, replaced(rows, "colour", pa.array([text] * 4, kind)), tmp_path)["probabilities"]
        for text, kind in (
            ("violet", pa.string()),
            ("green", pa.large_string()),
            ("red", pa.dictionary(pa.int8(), pa.string())),
            (None, pa.null()),
        )
    ]
    assert said[0].equals(said[1])
    assert said[0].equals(said[2])
    assert said[3].null_count == 0


def test_numbers_that_no_float_holds_exactly_are_rounded(table: Path, tmp_path: Path) -> None:
    """Whole numbers and moments beyond 2^53 are no reason to stop."""
    rows = replaced(held_out(table).slice(0, 2), "m1", pa.array([2**53 + 1, -(2**62) - 1]))
    rows = replaced(rows, "bottled", pa.array([2**62 + 1, 0]).cast(pa.timestamp("us")))
    assert answers(table, rows, tmp_path)["error"].null_count == 2


def test_a_row_without_an_id_fails_alone(table: Path, tmp_path: Path) -> None:
    """Its neighbours have their labels."""
    rows = held_out(table).slice(0, 3)
    said = answers(table, replaced(rows, "id", pa.array(["a", None, "c"])), tmp_path)
    assert said["error"].to_pylist() == [None, "the id is null; give each row an id, or none", None]
    assert said["confidence"].is_null().to_pylist() == [False, True, False]


def test_a_vector_that_is_none_fails_alone(vector: Path, tmp_path: Path) -> None:
    """One of another length, a null and one with an infinite value are told by name."""
    good = held_out(vector)["embedding"][0].as_py()
    cells = pa.array([good, good[1:], None, [*good[1:], float("inf")]], pa.list_(pa.float64()))
    said = answers(vector, pa.table({"anything": cells}), tmp_path)
    assert [bool(text) for text in said["error"].to_pylist()] == [False, True, True, True]
    assert "has 12 values" in said["error"][1].as_py()
    assert "is inf" in said["error"][3].as_py()
    whole = answers(vector, held_out(vector).slice(0, 1), tmp_path)
    assert said["probabilities"][0] == whole["probabilities"][0]


def test_folders_are_read_as_one(table: Path, tmp_path: Path) -> None:
    """Files with the columns in another order get what they would alone, and interrupted work is not done twice."""
    rows = held_out(table)
    (tmp_path / "new").mkdir()
    pq.write_table(rows.slice(0, 20), tmp_path / "new" / "a.parquet")
    pq.write_table(rows.slice(20).select(rows.column_names[::-1]), tmp_path / "new" / "b.parquet")
    outcome = flows.predict(table, tmp_path / "new", tmp_path / "all.parquet", flows.PredictConfig(probabilities=True))
    assert outcome.rows.given == len(rows)
    said = pq.read_table(tmp_path / "all.parquet").drop_columns("file")
    assert said.combine_chunks().equals(answers(table, rows, tmp_path).combine_chunks())


def test_a_file_of_another_kind_is_refused(table: Path, vector: Path, tmp_path: Path) -> None:
    """Each student says what it takes; nothing is written."""
    (tmp_path / "pictures").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "pictures" / "one.png")
    seeing = of_pictures(tmp_path / "pictures.onnx")
    rows, lists = (one.with_name("test.parquet") for one in (table, vector))
    for student, source, message in (
        (table, tmp_path / "pictures", "is a folder of pictures, and the student takes 9 columns"),
        (vector, tmp_path / "pictures", "is a folder of pictures, and the student takes vectors of 13"),
        (table, lists, "has no column 'm0', .* add it"),
        (vector, rows, r"has no column of vectors, which the student takes \(vectors of 13\)"),
        (seeing, rows, r"has no picture column, which the student takes \(8×8×1\)"),
        (seeing, lists, "has no picture column"),
    ):
        with pytest.raises(InputError, match=message):
            flows.predict(student, source, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def of_pictures(path: Path) -> Path:
    """Return the file of a network of pictures that has learnt nothing."""
    told = Preprocessing(PictureShape(8, 8, 1), (0.5,), (0.5,))
    record = Model("m", "r", "student", "supervised", "convnet", "p", "s", ("a", "b"), told)
    network = build("convnet", told, 2, seed=0).eval()
    export_pictures(network, record, path, rows=np.zeros((2, 8, 8, 1), np.uint8))
    return path


def test_the_cards_script_runs_as_it_stands(
    table: Path, vector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a reader fills in is there by name and type; as it stands, it is a row of nulls, or a vector of zeros."""
    monkeypatch.chdir(tmp_path)
    for student in (table, vector):
        script = re.search(r"```python\n(.*?)```", student.with_suffix(".md").read_text(encoding="utf-8"), re.DOTALL)
        assert script is not None
        Path("script.py").write_text(script[1], encoding="utf-8")
        shutil.copy(student, tmp_path)
        runpy.run_path("script.py")
        assert capsys.readouterr().out.split()[0] in load(student).classes


def test_a_student_that_names_otherwise_than_its_teacher_is_not_written(table: Path, tmp_path: Path) -> None:
    """Under 98% of the pool --force is needed; how many it is stands in the file and on its card."""
    place = shutil.copytree(table.with_name("ws"), tmp_path / "ws")
    flows.distill(place, flows.TrainConfig(steps=1, device="cpu"))
    target = tmp_path / "student.onnx"
    with pytest.raises(LabelsvcError, match=r"names \d+\.\d% of 80 pool rows as its teacher does, less than 98%"):
        flows.export(place, target)
    assert not target.exists()
    outcome = flows.export(place, target, flows.ExportConfig(force=True))
    assert outcome.agreement is not None
    agreeing, rows = outcome.agreement
    assert agreeing < 0.98 * rows == 0.98 * POOL
    assert json.loads(load(target).origin[GATE])["agreement"] == [agreeing, rows]
    assert f"({agreeing} of {rows}) of the pool as its teacher does" in target.with_suffix(".md").read_text("utf-8")


def test_another_programs_words_are_no_teacher_to_ask(table: Path, tmp_path: Path) -> None:
    """A student of predictions is written without a word on agreement."""
    place = shutil.copytree(table.with_name("ws"), tmp_path / "ws")
    said = {"class_0": [0.9, 0.05], "class_1": [0.05, 0.9], "class_2": [0.05, 0.05]}
    ids = pq.read_table(table.with_name("unlabeled.parquet"))["id"]
    words = {name: pa.array(shares * (POOL // 2)) for name, shares in said.items()}
    pq.write_table(pa.table({"id": ids, **words}), tmp_path / "foreign.parquet")
    flows.label(place, flows.LabelConfig(threshold=0.5, predictions=str(tmp_path / "foreign.parquet"), device="cpu"))
    flows.distill(place, flows.TrainConfig(steps=5, device="cpu", network="mlp"))
    assert flows.export(place, tmp_path / "student.onnx").agreement is None


def test_students_of_tables_are_compared_and_certified(table: Path, vector: Path, tmp_path: Path) -> None:
    """As those of pictures are; what scikit-learn learnt has no count of parameters."""
    for student, counted in ((table, True), (vector, False)):
        place = shutil.copytree(student.with_name("ws"), tmp_path / student.parent.name)
        found = flows.compare(place, device="cpu").models
        assert len(found) == 2
        assert all((one.parameters is not None) == counted for one in found)
        assert all(one.agreeing == POOL for one in found)
        file = shutil.copy(student, tmp_path)
        fresh = student.with_name("test.parquet")
        outcome = flows.certify(place, file, fresh, flows.CertifyConfig(precision=0.5))
        assert outcome.certificate.checked == len(held_out(student))
        with pytest.raises(PromiseError):
            flows.certify(place, file, fresh, flows.CertifyConfig(precision=0.999))
