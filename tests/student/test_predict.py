"""New rows through a student: the same rows in the same order, however they lie and however often it is ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training.bars import bars

from labelsvc.data import sources
from labelsvc.data.columns import ColumnNames
from labelsvc.errors import InputError, LabelsvcError
from labelsvc.records import PictureShape, RowCount
from labelsvc.student import parts
from labelsvc.student.answers import Question
from labelsvc.student.infer import Student
from labelsvc.student.metadata import StudentPolicy
from labelsvc.student.parts import parts_beside
from labelsvc.student.predict import finished

from .bar_files import ALL, pictures, predicted, prepared, raw, steps, written

pytestmark = pytest.mark.seconds

CORRUPT = 4  # the row whose picture is none


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Give a file of nine rows, the fifth of which holds no picture."""
    images = pictures(9)
    images[CORRUPT] = b"\x89PNG no more"
    return written(tmp_path / "new.parquet", images, id=[f"row {9 - n}" for n in range(9)])


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts have at most four rows, and batches two."""
    monkeypatch.setattr(parts, "PART_ROWS", 4)
    monkeypatch.setattr(sources, "rows_per_batch", lambda _shape: 2)


def test_every_row_comes_back_in_order(student: Student, damaged: Path) -> None:
    """Each row in has one row out, at its place; one that cannot be decoded has an error and nothing else."""
    table, tallies = predicted(student, damaged)
    assert table.column_names == ["id", "label", "confidence", "error"]
    assert table["id"].to_pylist() == pq.read_table(damaged)["id"].to_pylist()
    answers = student.probabilities(bars(9, seed=5)[0])
    for row, (label, confidence, error) in enumerate(zip(*table.columns[1:], strict=True)):
        if row == CORRUPT:
            assert (label.as_py(), confidence.as_py()) == (None, None)
            assert "picture" in error.as_py()
        else:
            assert label.as_py() == student.classes[answers[row].argmax()]
            assert confidence.as_py() == pytest.approx(answers[row].max(), abs=1e-6)
            assert error.as_py() is None
    assert tallies[-1].rows == RowCount(given=9, labeled=8, abstained=0, failed=1)
    assert tallies[-1].words.rows == 8


def test_below_the_threshold_there_is_no_label(student: Student, damaged: Path) -> None:
    """A label is NULL below the threshold and there at it; confidence is always said."""
    confidences = [c for c in predicted(student, damaged)[0]["confidence"].to_pylist() if c is not None]
    threshold = sorted(confidences)[4]
    table, tallies = predicted(student, damaged, question=Question(StudentPolicy(threshold)))
    for label, confidence in zip(table["label"].to_pylist(), table["confidence"].to_pylist(), strict=True):
        assert (label is not None) == (confidence is not None and confidence >= threshold)
    assert table["confidence"].null_count == 1
    kept = sum(c >= threshold for c in confidences)
    assert tallies[-1].rows == RowCount(given=9, labeled=kept, abstained=8 - kept, failed=1)


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_batches_and_row_groups_change_nothing(
    student: Student, damaged: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Read a few rows at a time, also where a batch's rows all fail, from any row groups: the answers are the same."""
    whole, _ = predicted(student, damaged)
    table = pq.read_table(damaged)
    monkeypatch.setattr(sources, "rows_per_batch", lambda _shape: rows)
    for group in (1, 3, 9):
        pq.write_table(table, damaged, row_group_size=group)
        pieces, tallies = predicted(student, damaged)
        assert pieces.drop(["confidence"]).equals(whole.drop(["confidence"]))
        close = np.allclose(pieces["confidence"].to_numpy(), whole["confidence"].to_numpy(), atol=1e-6, equal_nan=True)
        assert close
        assert [tally.rows.given for tally in tallies] == [0, *range(rows, 9, rows), 9]


def test_rows_without_ids_are_numbered(student: Student, tmp_path: Path) -> None:
    """Where there is no id column, rows are named by their place, failed ones too."""
    images = pictures(4)
    images[1] = None
    table, _ = predicted(student, written(tmp_path / "new.parquet", images))
    assert table.column_names[0] == "row"
    assert table["row"].to_pylist() == [0, 1, 2, 3]
    assert table["error"][1].as_py() is not None


def test_named_columns_are_taken(student: Student, tmp_path: Path) -> None:
    """Columns that the user names are read, whole-number ids come back as texts under their own name."""
    images = pictures(3)
    source = written(tmp_path / "new.parquet", images, scan=images, key=[7, 8, 9])
    table, _ = predicted(student, source, wanted=ColumnNames(image="scan", id="key"))
    assert table["key"].to_pylist() == ["7", "8", "9"]


def test_no_rows_give_no_rows(student: Student, tmp_path: Path) -> None:
    """An empty file becomes an empty file with the same columns as any other."""
    table, tallies = predicted(student, written(tmp_path / "new.parquet", [], id=np.array([], str)))
    assert (table.num_rows, [tally.rows for tally in tallies]) == (0, [RowCount()])
    assert table.column_names == ["id", "label", "confidence", "error"]


def test_labels_of_the_source_are_not_looked_at(student: Student, tmp_path: Path) -> None:
    """Predicting needs no labels, so a column called target may hold anything."""
    table, _ = predicted(student, written(tmp_path / "new.parquet", pictures(2), target=[0.37, 1.5]))
    assert table.num_rows == 2


def test_a_column_of_ids_called_as_an_answer(student: Student, tmp_path: Path) -> None:
    """Ids in a column whose name the output needs for itself are refused."""
    source = written(tmp_path / "new.parquet", pictures(2), confidence=["a", "b"])
    with pytest.raises(InputError, match="is called 'confidence', as one of the answers"):
        predicted(student, source, wanted=ColumnNames(id="confidence"))


def test_raw_pixels_are_not_copied(student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw pixels of the student's shape reach it as they lie in Arrow's memory, and get the answers of their PNGs."""
    seen = []
    ask = Student.probabilities
    monkeypatch.setattr(Student, "probabilities", lambda self, pixels: seen.append(pixels) or ask(self, pixels))
    wanted = ColumnNames(shape=(8, 8))
    found, _ = predicted(student, raw(tmp_path / "raw.parquet", 9, row_group_size=9), wanted=wanted)
    owner = seen[0]
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert owner is not None, "NumPy owns a copy"
    decoded, _ = predicted(student, written(tmp_path / "png.parquet", pictures(9)))
    assert found.equals(decoded)


def test_raw_pixels_with_a_null_fail_alone(student: Student, tmp_path: Path) -> None:
    """A row without pixels among raw ones gets an error in its place."""
    table = pq.read_table(raw(tmp_path / "raw.parquet", 5))
    cells = [None if row == 3 else cell for row, cell in enumerate(table["image"].to_pylist())]
    pq.write_table(pa.table({"image": pa.array(cells, pa.binary(64))}), tmp_path / "raw.parquet")
    found, _ = predicted(student, tmp_path / "raw.parquet", wanted=ColumnNames(shape=(8, 8)))
    assert [error is not None for error in found["error"].to_pylist()] == [False, False, False, True, False]


def test_pictures_in_files_of_their_own(student: Student, tmp_path: Path) -> None:
    """Paths below a root are answered like the bytes that they lead to; one that leads nowhere fails alone."""
    images = pictures(3)
    for row, data in enumerate(images[:2]):
        (tmp_path / f"{row}.png").write_bytes(data or b"")
    by_path = tmp_path / "paths.parquet"
    pq.write_table(pa.table({"image": [f"{row}.png" for row in range(3)]}), by_path)
    found, tallies = predicted(student, by_path, wanted=ColumnNames(root=str(tmp_path)))
    beside, _ = predicted(student, written(tmp_path / "bytes.parquet", images))
    assert found["label"].to_pylist()[:2] == beside["label"].to_pylist()[:2]
    assert "2.png" in found["error"][2].as_py()
    assert tallies[-1].rows == RowCount(given=3, labeled=2, failed=1)


def test_a_row_that_may_not_be_read_fails_alone(student: Student, tmp_path: Path) -> None:
    """A path that leads outside its root and a row without an id are errors of their rows, in files of any form."""
    images = pictures(3)
    (tmp_path / "root").mkdir()
    for place, data in zip(("outside", "root/1", "root/2"), images, strict=True):
        (tmp_path / f"{place}.png").write_bytes(data or b"")
    table = {"image": ["../outside.png", "1.png", "2.png"], "id": ["a", "b", None]}
    pq.write_table(pa.table(table), tmp_path / "paths.parquet")
    found, tallies = predicted(student, tmp_path / "paths.parquet", wanted=ColumnNames(root=str(tmp_path / "root")))
    assert found["id"].to_pylist() == ["a", "b", None]
    outside, sound, unnamed = found["error"].to_pylist()
    assert sound is None
    assert "leads outside" in outside
    assert "the id is null" in unnamed
    assert tallies[-1].rows == RowCount(given=3, labeled=1, failed=2)

    pixels = pq.read_table(raw(tmp_path / "raw.parquet", 3)).append_column("id", pa.array(["a", None, "c"]))
    pq.write_table(pixels, tmp_path / "raw.parquet")
    found, _ = predicted(student, tmp_path / "raw.parquet", wanted=ColumnNames(shape=(8, 8)))
    assert found["id"].to_pylist() == ["a", None, "c"]
    assert found["error"].is_null().to_pylist() == [True, False, True]


def test_a_folder_of_pictures(student: Student, tmp_path: Path) -> None:
    """All pictures below a folder come in the order of their paths, by which they are known; a bad one fails alone."""
    for place, data in zip(("b/2.png", "a.png", "b/1.PNG"), pictures(3), strict=True):
        (tmp_path / "photos" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / place).write_bytes(data or b"")
    for place in ("c.jpg", "notes.txt", ".hidden.png"):
        (tmp_path / "photos" / place).write_bytes(b"nothing to see")
    found, _ = predicted(student, tmp_path / "photos")
    assert found["path"].to_pylist() == ["a.png", "b/1.PNG", "b/2.png", "c.jpg"]
    answers = student.probabilities(bars(3, seed=5)[0]).max(axis=1)[[1, 2, 0]]
    assert np.allclose(found["confidence"].to_numpy()[:3], answers, atol=1e-6)
    assert [error is None for error in found["error"].to_pylist()] == [True, True, True, False]


def test_several_files_are_told_apart(student: Student, tmp_path: Path) -> None:
    """Of several files each row says which it is from, in the order named."""
    one, other = (written(tmp_path / f"{name}.parquet", pictures(3)) for name in "ba")
    found, _ = predicted(student, one, other)
    assert found.column_names == ["file", "row", "label", "confidence", "error"]
    assert found["file"].to_pylist() == [str(one)] * 3 + [str(other)] * 3
    assert found["row"].to_pylist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.usefixtures("small_parts")
def test_what_was_done_is_not_done_again(
    student: Student, damaged: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ended between any two batches, the same work goes on after the last whole part, to the same bytes."""
    more = written(tmp_path / "more.parquet", pictures(7), id=[f"more {n}" for n in range(7)], row_group_size=3)
    target = tmp_path / "whole.parquet"
    assert [tally.rows.given for tally in steps(student, [damaged, more], target)][-1] == 16
    asked = []
    ask = Student.probabilities
    monkeypatch.setattr(Student, "probabilities", lambda self, pixels: asked.append(len(pixels)) or ask(self, pixels))
    for ends in range(1, 9):
        again = tmp_path / f"again-{ends}.parquet"
        half = steps(student, [damaged, more], again)
        for _ in range(ends):
            next(half)
        half.close()
        left = list((tmp_path / f"again-{ends}.parquet.parts").glob("*")) if ends > 2 else []
        assert all(path.name.startswith("_part-") for path in left)
        asked.clear()
        list(steps(student, [damaged, more], again))
        assert sum(asked) <= 16 - 4 * min(len(left), 2)
        assert again.read_bytes() == target.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith(".parts")) == []


@pytest.mark.usefixtures("small_parts")
def test_parts_of_other_work_are_not_taken(student: Student, damaged: Path) -> None:
    """Another question, another student or other rows begin anew; a mended file leaves the other's parts."""
    target = damaged.with_name("out.parquet")
    half = steps(student, [damaged], target)
    while len(list(damaged.parent.glob("out.parquet.parts/_part*"))) < 2:
        next(half)
    half.close()
    with parts_beside(target) as folder:
        done = prepared(student, [damaged], folder)
        assert done.discarded == 0
        assert done.done.rows.given >= 8
        more = prepared(student, [damaged], folder, question=replace(ALL, top_k=2))
        assert (more.discarded, more.done.rows.given) == (len(done.parts) - len(done.left), 0)
    assert not target.with_name("out.parquet.parts").exists()


def test_what_is_not_finished_has_no_name(student: Student, damaged: Path) -> None:
    """Predictions that break off before a part is whole leave nothing."""
    target = damaged.with_name("out.parquet")
    half = steps(student, [damaged], target)
    next(half)
    half.close()
    assert list(damaged.parent.iterdir()) == [damaged]


def test_one_process_at_a_time(student: Student, damaged: Path) -> None:
    """While one is at a target, another one is told so, and changes nothing."""
    target = damaged.with_name("out.parquet")
    half = steps(student, [damaged], target)
    next(half)
    with pytest.raises(LabelsvcError, match=r"another process is writing .*out\.parquet"):
        list(steps(student, [damaged], target))
    list(half)
    assert pq.read_metadata(target).num_rows == 9
    assert sorted(path.name for path in damaged.parent.iterdir()) == ["new.parquet", "out.parquet"]


def test_what_was_written_is_known_again(student: Student, damaged: Path) -> None:
    """A target that holds just this is finished, with its tally; for another question it is not."""
    _, tallies = predicted(student, damaged)
    target = damaged.with_name("out.parquet")
    with parts_beside(target) as folder:
        assert finished(prepared(student, [damaged], folder), target) == tallies[-1]
        assert finished(prepared(student, [damaged], folder, question=replace(ALL, top_k=1)), target) is None
        assert finished(prepared(student, [damaged], folder), damaged) is None


def test_an_error_in_any_thread_ends_the_work(student: Student, damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reading, decoding, inference or writing raises is raised, and no thread is left waiting."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("here")

    for place in (
        "labelsvc.student.predict.read_span",
        "labelsvc.data.decoding.decode",
        "labelsvc.student.infer.Student.probabilities",
        "labelsvc.student.parts.write_part",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, fail)
            with pytest.raises(RuntimeError, match="here"):
                predicted(student, damaged)


def test_large_pictures_make_small_parts() -> None:
    """A part of photos is finished in bounded time and memory, whatever is asked of each."""
    photo = PictureShape(224, 224, 3)
    assert parts.rows_of_a_part(photo.bytes, 64) * photo.bytes <= parts.PART_PIXELS
    assert parts.rows_of_a_part(64, 4_000) * 4_000 <= parts.PART_BYTES
