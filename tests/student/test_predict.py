"""New rows through a student: the same rows in the same order."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from training.bars import bars

from labelsvc.data.columns import ColumnNames
from labelsvc.records import RowCount
from labelsvc.student import predict
from labelsvc.student.infer import Student
from labelsvc.student.predict import predict_file

pytestmark = pytest.mark.seconds

CORRUPT = 4  # the row whose picture is none


def pictures(count: int) -> list[bytes | None]:
    """Return bars as PNGs."""
    files = []
    for pixels in bars(count, seed=5)[0]:
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0]).save(file, "PNG")
        files.append(file.getvalue())
    return files


def written(path: Path, images: list[bytes | None], **columns: object) -> Path:
    """Write a Parquet file with an image column after the others."""
    pq.write_table(pa.table({**columns, "image": pa.array(images, pa.binary())}), path)
    return path


def predicted(
    student: Student, source: Path, *, threshold: float = 0.0, wanted: ColumnNames | None = None
) -> tuple[pa.Table, list[RowCount]]:
    """Return what the student says of a file, and the counts that it gave on the way."""
    target = source.with_name("out.parquet")
    counts = list(predict_file(student, source, target, wanted=wanted or ColumnNames(), threshold=threshold))
    return pq.read_table(target), counts


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Give a file of nine rows, the fifth of which holds no picture."""
    images = pictures(9)
    images[CORRUPT] = b"\x89PNG no more"
    return written(tmp_path / "new.parquet", images, id=[f"row {9 - n}" for n in range(9)])


def test_every_row_comes_back_in_order(student: Student, damaged: Path) -> None:
    """Each row in has one row out, at its place; one that cannot be decoded has an error and nothing else."""
    table, counts = predicted(student, damaged)
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
    assert counts[-1] == RowCount(given=9, labeled=8, abstained=0, failed=1)


def test_below_the_threshold_there_is_no_label(student: Student, damaged: Path) -> None:
    """A label is NULL below the threshold and there at it; confidence is always said."""
    confidences = [c for c in predicted(student, damaged)[0]["confidence"].to_pylist() if c is not None]
    threshold = sorted(confidences)[4]
    table, counts = predicted(student, damaged, threshold=threshold)
    for label, confidence in zip(table["label"].to_pylist(), table["confidence"].to_pylist(), strict=True):
        assert (label is not None) == (confidence is not None and confidence >= threshold)
    assert table["confidence"].null_count == 1
    kept = sum(c >= threshold for c in confidences)
    assert counts[-1] == RowCount(given=9, labeled=kept, abstained=8 - kept, failed=1)


def test_blocks_change_nothing(student: Student, damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read two rows at a time, also where a block's rows all fail, the answers are the same; counts only grow."""
    whole, _ = predicted(student, damaged)
    for rows in (1, 2):
        monkeypatch.setattr(predict, "rows_per_batch", lambda _shape, rows=rows: rows)
        pieces, counts = predicted(student, damaged)
        assert pieces.drop(["confidence"]).equals(whole.drop(["confidence"]))
        close = np.allclose(pieces["confidence"].to_numpy(), whole["confidence"].to_numpy(), atol=1e-6, equal_nan=True)
        assert close
        assert [count.given for count in counts] == [*range(rows, 9, rows), 9]


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
    table, counts = predicted(student, written(tmp_path / "new.parquet", [], id=pa.array([], pa.string())))
    assert (table.num_rows, counts) == (0, [])
    assert table.column_names == ["id", "label", "confidence", "error"]


def test_what_is_not_finished_has_no_name(student: Student, damaged: Path) -> None:
    """Predictions that break off leave no file."""
    target = damaged.with_name("out.parquet")
    half = predict_file(student, damaged, target, wanted=ColumnNames(), threshold=0.0)
    next(half)
    half.close()
    assert list(damaged.parent.iterdir()) == [damaged]


def test_labels_of_the_source_are_not_looked_at(student: Student, tmp_path: Path) -> None:
    """Predicting needs no labels, so a column called target may hold anything."""
    table, _ = predicted(student, written(tmp_path / "new.parquet", pictures(2), target=[0.37, 1.5]))
    assert table.num_rows == 2


def test_pictures_in_files_of_their_own(student: Student, tmp_path: Path) -> None:
    """Paths below a root are answered like the bytes that they lead to; one that leads nowhere fails alone."""
    images = pictures(3)
    for row, data in enumerate(images[:2]):
        (tmp_path / f"{row}.png").write_bytes(data or b"")
    by_path = tmp_path / "paths.parquet"
    pq.write_table(pa.table({"image": [f"{row}.png" for row in range(3)]}), by_path)
    found, counts = predicted(student, by_path, wanted=ColumnNames(root=str(tmp_path)))
    beside, _ = predicted(student, written(tmp_path / "bytes.parquet", images))
    assert found["label"].to_pylist()[:2] == beside["label"].to_pylist()[:2]
    assert "2.png" in found["error"][2].as_py()
    assert counts[-1] == RowCount(given=3, labeled=2, failed=1)
