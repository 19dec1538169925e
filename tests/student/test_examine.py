"""A student before fresh labeled rows: each row counts, and a file that could flatter is refused."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from training.bars import bars

from labelsvc.data.columns import ColumnNames
from labelsvc.data.decoding import content_hash
from labelsvc.errors import InputError
from labelsvc.student.examine import examine
from labelsvc.student.infer import Student

from .exported import NAMES

ANY = ColumnNames()


def fresh(path: Path, labels: Sequence[str | None], **columns: object) -> Path:
    """Write bars as PNGs with these labels and other columns."""
    told = {"image": pictures(len(labels)), "label": pa.array(labels, pa.string())}
    pq.write_table(pa.table(told | columns), path)
    return path


def pictures(count: int) -> list[bytes]:
    """Return bars as PNGs."""
    files = []
    for pixels in bars(count, seed=5)[0]:
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0]).save(file, "PNG")
        files.append(file.getvalue())
    return files


def truth(count: int) -> list[str]:
    """Return the names of the bars' classes."""
    return [NAMES[code] for code in bars(count, seed=5)[1]]


def test_each_row_has_its_confidence_and_is_right_or_wrong(student: Student, tmp_path: Path) -> None:
    """Confidence is the largest probability; wrong is what is not the label, and so is a class nobody taught."""
    labels = truth(700)  # more than a batch
    labels[3], labels[650] = "elsewhere", labels[651]
    found = examine(student, fresh(tmp_path / "fresh.parquet", labels), ANY)
    scores = student.probabilities(bars(700, seed=5)[0])
    said = [NAMES[code] for code in scores.argmax(axis=1)]
    np.testing.assert_allclose(found.confidence, scores.max(axis=1), atol=1e-6)
    assert found.wrong.tolist() == [one != label for one, label in zip(said, labels, strict=True)]
    assert found.wrong[[3, 650]].all()
    assert found.hashes == tuple(content_hash(picture) for picture in pictures(700))
    assert len(np.unique(found.groups)) == 700


def test_groups_are_numbered_over_all_batches(student: Student, tmp_path: Path) -> None:
    """Rows of one name are one group wherever they lie; a row without a name is alone with its copies."""
    names = [f"g{row % 300}" for row in range(700)]
    rows = fresh(tmp_path / "fresh.parquet", truth(700), product=pa.array([None, None, *names[2:]], pa.string()))
    groups = examine(student, rows, ColumnNames(group="product")).groups
    assert groups[5] == groups[305] == groups[605]
    assert len(np.unique(groups)) == 302
    twice = pa.concat_tables([pq.read_table(rows)] * 2).drop_columns("product")
    pq.write_table(twice, tmp_path / "twice.parquet")
    assert len(np.unique(examine(student, tmp_path / "twice.parquet", ANY).groups)) == 700


def test_nothing_is_left_out_in_silence(student: Student, tmp_path: Path) -> None:
    """A row without a label or a picture, a file without labels or rows: each is an error that says where."""
    path = tmp_path / "fresh.parquet"
    with pytest.raises(InputError, match=r"row 1 \(from 0\): it has no label"):
        examine(student, fresh(path, ["left", None, "left"]), ANY)
    with pytest.raises(InputError, match=r"row 2 \(from 0\): .*; mend the row, or take it out"):
        examine(student, fresh(path, truth(3), image=[*pictures(2), b"none"]), ANY)
    with pytest.raises(InputError, match="has no rows"):
        examine(student, fresh(path, [], image=pa.array([], pa.binary())), ANY)
    pq.write_table(pa.table({"image": pictures(2)}), path)
    with pytest.raises(InputError, match="has no column of labels; name it with --label-column"):
        examine(student, path, ANY)
