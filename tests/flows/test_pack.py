"""pack: what goes in as a folder of pictures comes out of ingest as the same pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelsvc import flows
from labelsvc.errors import InputError, UsageError
from labelsvc.flows._inputs import open_inputs
from labelsvc.store import samples
from labelsvc.workspace import Workspace

from .digits import Digits, Heard, ask, store_of


@pytest.fixture
def folder(digits: Digits, tmp_path: Path) -> Path:
    """Give a folder with thirty digits: twenty by class, ten loose."""
    for row in range(30):
        place = tmp_path / "pictures" / ("." if row >= 20 else digits.classes[row]) / f"{row}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(digits.pictures[row])
    (tmp_path / "pictures" / "README.txt").write_text("digits")
    return tmp_path / "pictures"


def test_a_packed_folder_is_ingested_as_it_is(folder: Path, tmp_path: Path) -> None:
    """Ids, labels and pixels of the workspace are those of the files in the folder."""
    flows.pack(folder, tmp_path / "packed.parquet")
    outcome = flows.ingest(tmp_path / "w", [tmp_path / "packed.parquet"])
    assert (outcome.rows.labeled, outcome.rows.abstained) == (20, 10)
    found = dict(ask(tmp_path / "w", "SELECT sample_id, label FROM labels"))
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.png")}
    assert found == {name: path.parent.name if "/" in name else None for name, path in paths.items()}
    store = store_of(tmp_path / "w")
    numbers = samples.numbers(store, list(paths))
    pixels = open_inputs(Workspace(tmp_path / "w"), store, numbers).gather(numbers)
    assert np.array_equal(pixels[..., 0], np.stack([np.asarray(Image.open(path)) for path in paths.values()]))


def test_every_file_is_accounted_for(folder: Path, tmp_path: Path) -> None:
    """Labeled and unlabeled pictures and other files add up, and what is left out is said."""
    heard = Heard()
    outcome = flows.pack(folder, tmp_path / "packed.parquet", listener=heard)
    rows = outcome.rows
    assert (rows.given, rows.labeled, rows.abstained, rows.failed, rows.skipped) == (31, 20, 10, 0, 1)
    assert outcome.next_command == f"labelsvc ingest {tmp_path / 'packed.parquet'}"
    assert "pack" in heard.stages
    assert any("README.txt" in note for note in heard.notes)


def test_labels_may_come_from_a_file(folder: Path, tmp_path: Path) -> None:
    """With a file of labels, the folders are no classes."""
    (tmp_path / "labels.csv").write_text("file,label\n25.png,cat\n26.png,dog\n")
    outcome = flows.pack(folder, tmp_path / "packed.parquet", labels=tmp_path / "labels.csv")
    assert (outcome.classes, outcome.rows.labeled) == (("cat", "dog"), 2)


def test_a_target_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    """What is not called Parquet is not overwritten, and a folder without a picture makes no file."""
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"labels\.csv is no name of a Parquet file"):
        flows.pack(folder, tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        flows.pack(tmp_path / "empty", tmp_path / "packed.parquet")
    assert not (tmp_path / "packed.parquet").exists()
