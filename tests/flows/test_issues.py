"""issues: wrong given labels, contradictions and twins are told, and nothing is changed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from labelsvc import flows
from labelsvc.config import IngestConfig
from labelsvc.errors import InputError
from labelsvc.records import RowCount

from .digits import QUICK, SHORT, Digits, Heard, ask, contents, decide, png, store_of, written

ROWS, FLIPPED = range(300), range(0, 300, 15)


def wrong(digits: Digits, row: int) -> str:
    """Return a label that a digit has not."""
    return str((int(digits.classes[row]) + 3) % 10)


@pytest.fixture(scope="module")
def flipped_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a teacher on 300 digits, the label of every fifteenth wrong, 60 of them for calibration."""
    folder = tmp_path_factory.mktemp("flipped")
    labels = [wrong(digits, row) if row in FLIPPED else digits.classes[row] for row in ROWS]
    files = [
        digits.write(folder / "labeled.parquet", ROWS, labels),
        digits.write_pool(folder / "pool.parquet", range(300, 400)),
    ]
    flows.ingest(folder / "workspace", files, config=IngestConfig(validation=30, calibration=60))
    flows.train(folder / "workspace", QUICK)
    return folder / "workspace"


@pytest.mark.seconds
def test_flipped_labels_are_listed(flipped_once: Path, digits: Digits) -> None:
    """Most changed labels are listed, with the right one suggested, and few others; calibration rows never."""
    outcome = flows.issues(flipped_once)
    roles = dict(ask(flipped_once, "SELECT sample_id, role FROM labels"))
    sought = {f"digit-{row:04d}" for row in FLIPPED if roles[f"digit-{row:04d}"] != "calibration"}
    listed = {one.sample_id: one for one in outcome.issues}
    assert len(sought & listed.keys()) >= 0.8 * len(sought) > 10
    assert len(listed.keys() - sought) <= 0.2 * len(listed)
    assert all(one.role == roles[name] != "calibration" for name, one in listed.items())
    right = [listed[name].suggested == digits.classes[int(name[-4:])] for name in sought & listed.keys()]
    assert sum(right) >= 0.8 * len(right)
    assert outcome.rows == RowCount(given=240, labeled=len(listed), abstained=240 - len(listed))
    scores = [one.score for one in outcome.issues]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.4


@pytest.mark.seconds
def test_nothing_is_changed(flipped_once: Path) -> None:
    """Samples, labels, models and decisions stay as they are, and asking again gives the same answer."""
    before = contents(flipped_once)
    first, second = flows.issues(flipped_once), flows.issues(flipped_once)
    assert contents(flipped_once) == before
    assert (first.issues, first.twins, first.rows) == (second.issues, second.twins, second.rows)


@pytest.mark.seconds
def test_calibration_labels_are_not_read(taught: Path) -> None:
    """Whatever the labels of calibration rows are, the answer is the same; the output says that they are not read."""
    heard = Heard()
    before = flows.issues(taught, listener=heard)
    with store_of(taught).writing() as connection:
        connection.execute(
            "UPDATE given_label SET class = (class + 1) % 10 "
            "WHERE sample_no IN (SELECT sample_no FROM sample WHERE role = 'calibration')"
        )
    after = flows.issues(taught)
    assert (before.issues, before.twins) == (after.issues, after.twins)
    told = "labels of 80 train and validation rows are compared; those of 20 calibration rows are not read"
    assert any(told in note for note in heard.notes)


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["words.csv", "words.parquet"])
def test_the_file_is_one_for_decisions(taught: Path, digits: Digits, tmp_path: Path, name: str) -> None:
    """Filled in, the file is taken by ``labels decide``; what somebody decided on is not listed again."""
    _relabel(taught, {row: wrong(digits, row) for row in (3, 7)}, tmp_path)
    outcome = flows.issues(taught, output=tmp_path / name)
    listed = [one.sample_id for one in outcome.issues]
    assert {"digit-0003", "digit-0007"} & set(listed)
    read = pc.read_csv(tmp_path / name) if name.endswith("csv") else pq.read_table(tmp_path / name)
    assert read["id"].to_pylist() == listed
    kept = outcome.issues[0]
    filled = {"id": [one.sample_id for one in outcome.issues], "decision": ["confirm"] * len(listed)}
    filled["decision"][0], labels = "relabel", [kept.suggested, *[None] * (len(listed) - 1)]
    table = pa.table({**filled, "label": pa.array(labels, pa.string()), "actor": ["ada"] * len(listed)})
    pc.write_csv(table, tmp_path / name) if name.endswith("csv") else written(tmp_path / name, table)
    assert flows.decide_labels(taught, tmp_path / name).rows.labeled == len(listed)
    again = flows.issues(taught)
    assert not {one.sample_id for one in again.issues} & set(listed)
    assert again.rows.skipped == len(listed)


@pytest.mark.seconds
def test_copies_with_other_labels_come_first(digits: Digits, tmp_path: Path) -> None:
    """The same picture under two ids with two labels is listed twice, first of all, each naming the other."""
    again = digits.table([5]).set_column(0, "id", pa.array(["copy"]))
    again = again.set_column(2, "label", pa.array([wrong(digits, 5)]))
    files = [digits.labeled, written(tmp_path / "again.parquet", again), digits.unlabeled]
    flows.ingest(tmp_path / "workspace", files, config=IngestConfig(validation=0, calibration=0))
    flows.train(tmp_path / "workspace", SHORT)
    first, second, *others = flows.issues(tmp_path / "workspace").issues
    assert {first.sample_id, second.sample_id} == {"digit-0005", "copy"}
    whys = {first.sample_id: first.why, second.sample_id: second.why}
    assert whys["copy"] == f"same content as digit-0005, which is labeled {digits.classes[5]}"
    assert whys["digit-0005"] == f"same content as copy, which is labeled {wrong(digits, 5)}"
    assert not [one for one in others if "same content" in one.why]
    decide(tmp_path / "workspace", "copy", "confirm", wrong(digits, 5))
    assert "copy" not in {one.sample_id for one in flows.issues(tmp_path / "workspace").issues}


@pytest.mark.seconds
def test_twins_across_roles_are_told(digits: Digits, tmp_path: Path) -> None:
    """Pictures that come twice, all but the same, are told where the two have different roles, and only there."""
    rows = range(80)
    table = digits.table(rows)
    cells = [{"bytes": _touched(cell["bytes"]), "path": None} for cell in table["image"].to_pylist()]
    touched = table.set_column(0, "id", pa.array([f"touched-{row:04d}" for row in rows]))
    touched = touched.set_column(1, "image", pa.array(cells, table["image"].type))
    files = [digits.write(tmp_path / "some.parquet", rows), written(tmp_path / "touched.parquet", touched)]
    place = tmp_path / "workspace"
    flows.ingest(place, [*files, digits.unlabeled], config=IngestConfig(validation=20, calibration=40))
    flows.train(place, SHORT)
    roles = dict(ask(place, "SELECT sample_id, role FROM labels WHERE role <> 'pool'"))
    across = {number for number in map("{:04d}".format, rows) if roles[f"digit-{number}"] != roles[f"touched-{number}"]}
    found = flows.issues(place).twins
    pairs = {one.sample_id[-4:] for one in found if one.sample_id[-4:] == one.other_id[-4:]}
    assert pairs == across
    assert len(pairs) > 20
    assert len(found) <= 1.1 * len(pairs)
    assert all((one.role, one.other_role) == (roles[one.sample_id], roles[one.other_id]) for one in found)


def test_without_a_model_it_says_what_to_do(ingested: Path) -> None:
    """Before anything was trained, the error names the command."""
    with pytest.raises(InputError, match="labelsvc train"):
        flows.issues(ingested)


@pytest.mark.seconds
def test_without_labels_it_says_so(taught: Path) -> None:
    """Where people rejected all labels, there is none to look at."""
    with store_of(taught).writing() as connection:
        connection.execute(
            "INSERT INTO decision SELECT row_number() OVER (), sample_no, 'reject', NULL, 'ada', NULL, NULL, now() "
            "FROM sample WHERE role IN ('train', 'validation')"
        )
    with pytest.raises(InputError, match="no train or validation row has a label"):
        flows.issues(taught)


@pytest.mark.seconds
def test_few_labels_say_nothing(taught: Path) -> None:
    """With less than eleven labels the output says that neighbours prove nothing, and none is listed."""
    with store_of(taught).writing() as connection:
        connection.execute(
            "DELETE FROM given_label WHERE sample_no NOT IN "
            "(SELECT sample_no FROM sample WHERE role = 'train' ORDER BY sample_no LIMIT 10)"
        )
    heard = Heard()
    assert flows.issues(taught, listener=heard).issues == ()
    assert any("fewer than 11 labels" in note for note in heard.notes)


def _relabel(workspace: Path, labels: dict[int, str], folder: Path) -> None:
    """Bring newer given labels."""
    table = pa.table({"id": [f"digit-{row:04d}" for row in labels], "label": list(labels.values())})
    flows.ingest(workspace, [], config=IngestConfig(labels=str(written(folder / "newer.parquet", table))))


def _touched(picture: bytes) -> bytes:
    """Return a picture with one pixel a little lighter."""
    pixels = np.asarray(Image.open(io.BytesIO(picture))).copy()
    pixels[4, 4] ^= 6
    return png(pixels)
