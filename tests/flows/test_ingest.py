"""ingest: all of it or nothing, roles once and for all, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from labelsvc import flows
from labelsvc.config import IngestConfig
from labelsvc.errors import InputError, LabelsvcError, TooManyFailedError

from .digits import HELD_OUT, PICTURE, SHORT, Digits, ask, contents, png, written


def roles(workspace: Path) -> dict[str, int]:
    """Return how many samples have each role."""
    return dict(ask(workspace, "SELECT role, count(*) FROM sample GROUP BY role"))


def with_picture(table: pa.Table, row: int, data: bytes) -> pa.Table:
    """Return a table with other bytes for one picture."""
    cells = table["image"].to_pylist()
    cells[row] = {"bytes": data, "path": None}
    return table.set_column(1, "image", pa.array(cells, PICTURE))


def test_rows_without_a_label_are_the_pool(digits: Digits, tmp_path: Path) -> None:
    """A row without a label joins the pool, wherever it lies; the others are given labels."""
    labels = [None if row % 2 else digits.classes[row] for row in range(20)]
    mixed = digits.write(tmp_path / "mixed.parquet", range(20), labels)
    outcome = flows.ingest(tmp_path / "w", [mixed, digits.unlabeled])
    assert roles(tmp_path / "w") == {"train": 10, "pool": 310} == outcome.roles
    assert (outcome.rows.given, outcome.rows.labeled, outcome.rows.abstained) == (320, 10, 310)


def test_roles_are_recorded(ingested: Path) -> None:
    """Each labeled row has one role, validation and calibration are stratified, and test is what --test names."""
    assert roles(ingested) == {"train": 60, "validation": 20, "calibration": 20, "pool": 300, "test": 200}
    by_class = ask(
        ingested,
        "SELECT role, count(DISTINCT class) FROM sample JOIN given_label USING (sample_no) "
        "WHERE role IN ('validation', 'calibration') GROUP BY role",
    )
    assert dict(by_class) == {"validation": 10, "calibration": 10}


def test_the_same_files_again_change_nothing(ingested: Path, digits: Digits) -> None:
    """Files that were ingested are known by their bytes: no run, no row, and the answer says that it is repeated."""
    before, runs = contents(ingested), flows.list_runs(ingested)
    again = flows.ingest(ingested, [digits.labeled, digits.unlabeled], test=[digits.test], config=HELD_OUT)
    assert again.repeated
    assert again.run_id is None
    assert (contents(ingested), flows.list_runs(ingested)) == (before, runs)
    assert again.roles == roles(ingested)


def test_one_corrupt_picture_refuses_the_whole_ingest(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """A picture that cannot be decoded is named, the exit code is 5, and the store holds what it held."""
    broken = digits.pictures[703][:60]
    bad = written(tmp_path / "bad.parquet", with_picture(digits.table(range(700, 710)), 3, broken))
    good = digits.write(tmp_path / "good.parquet", range(710, 720))
    before = contents(ingested)
    with pytest.raises(TooManyFailedError, match=r"row 3 of .*bad\.parquet") as refused:
        flows.ingest(ingested, [good, bad])
    assert refused.value.exit_code == 5
    assert contents(ingested) == before
    assert flows.list_runs(ingested)[0].status == "failed"


def test_a_row_is_not_both_training_and_test(digits: Digits, tmp_path: Path) -> None:
    """A test id that is also a training id is refused, and not even the training part is written."""
    overlapping = digits.write(tmp_path / "test.parquet", range(99, 120))
    with pytest.raises(InputError, match=r"digit-0099.*test rows must be rows of their own"):
        flows.ingest(tmp_path / "w", [digits.labeled], test=[overlapping])
    assert not any(contents(tmp_path / "w").values())


def test_a_test_row_cannot_become_a_training_row(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """What came in as test stays test: another ingest that names it for training is refused."""
    before = contents(ingested)
    with pytest.raises(InputError, match="digit-0400"):
        flows.ingest(ingested, [digits.write(tmp_path / "more.parquet", range(395, 401))])
    assert contents(ingested) == before


def test_the_first_ingest_decides_the_shape(digits: Digits, tmp_path: Path) -> None:
    """Test rows may come first; pictures of another size that come later are resized to the first ones' shape."""
    first = flows.ingest(tmp_path / "w", [], test=[digits.test])
    assert (str(first.shape), dict(first.roles)) == ("8×8×1", {"test": 200})
    large = png(np.asarray(Image.new("L", (20, 20), 128)))
    table = with_picture(digits.table(range(10)), 0, large)
    second = flows.ingest(tmp_path / "w", [written(tmp_path / "large.parquet", table)])
    assert second.shape == first.shape
    assert flows.train(tmp_path / "w", SHORT).model.preprocessing.shape == first.shape


def test_duplicates_are_counted(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """A known row is skipped, the same picture under another id is told apart, and the rows add up."""
    renamed = digits.table(range(100, 103)).set_column(0, "id", pa.array(["x", "y", "z"])).drop_columns("label")
    known = digits.table(range(100, 105)).drop_columns("label")
    more = written(tmp_path / "more.parquet", pa.concat_tables([known, renamed]))
    outcome = flows.ingest(ingested, [more])
    assert (outcome.duplicates, outcome.same_content_other_id) == (5, 3)
    assert (outcome.rows.given, outcome.rows.skipped, outcome.rows.abstained) == (8, 5, 3)
    assert roles(ingested)["pool"] == 303


@pytest.mark.parametrize(
    ("rows", "config", "expected"),
    [
        (499, IngestConfig(), {"train": 499}),
        (500, IngestConfig(), {"train": 350, "validation": 50, "calibration": 100}),
        (500, IngestConfig(validation=0, calibration=0), {"train": 500}),
        (100, IngestConfig(validation=0.2, calibration=0), {"train": 80, "validation": 20}),
        (100, IngestConfig(validation=0, calibration=30), {"train": 70, "calibration": 30}),
    ],
)
def test_roles_have_defaults_and_can_be_chosen(
    digits: Digits, tmp_path: Path, rows: int, config: IngestConfig, expected: dict[str, int]
) -> None:
    """From 500 labels on a tenth validates and a fifth calibrates, below that none; shares and counts override."""
    file = digits.write(tmp_path / "digits.parquet", range(rows))
    assert flows.ingest(tmp_path / "w", [file], config=config).roles == expected


def test_class_codes_and_class_names_are_the_same_classes(digits: Digits, tmp_path: Path) -> None:
    """Hugging Face's codes with names and plain strings give the same classes in the same order."""
    names = [str(number) for number in range(10)]
    table = digits.table(range(50))
    codes = pa.array([names.index(label) for label in table["label"].to_pylist()])
    features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    coded = table.set_column(2, "label", codes).replace_schema_metadata({"huggingface": json.dumps(features)})
    by_code = flows.ingest(tmp_path / "codes", [written(tmp_path / "codes.parquet", coded)])
    by_name = flows.ingest(tmp_path / "names", [written(tmp_path / "names.parquet", table)])
    assert by_code.classes == by_name.classes == tuple(names)
    given = "SELECT sample_id, class FROM sample JOIN given_label USING (sample_no) ORDER BY ALL"
    assert ask(tmp_path / "codes", given) == ask(tmp_path / "names", given)


def test_a_pattern_names_files(digits: Digits, tmp_path: Path) -> None:
    """``*`` stands for every matching file, in the order of names; a pattern without a match is an error."""
    for part in range(3):
        digits.write(tmp_path / f"part-{part}.parquet", range(part * 10, part * 10 + 10))
    outcome = flows.ingest(tmp_path / "w", [tmp_path / "part-*.parquet"])
    assert outcome.rows.labeled == 30
    assert ask(tmp_path / "w", "SELECT sample_id FROM sample WHERE sample_no = 10") == [("digit-0010",)]
    with pytest.raises(InputError, match="no file matches"):
        flows.ingest(tmp_path / "w", [tmp_path / "none-*.parquet"])


def test_the_named_label_column_is_the_only_one(digits: Digits, tmp_path: Path) -> None:
    """Where the user names the label column, a column called ``label`` in a file without it is not read as labels."""
    table = digits.table(range(20))
    named = written(tmp_path / "named.parquet", table.rename_columns(["id", "image", "digit"]))
    pool = digits.write(tmp_path / "pool.parquet", range(20, 40))
    flows.ingest(tmp_path / "w", [named, pool], config=IngestConfig(label_column="digit"))
    assert roles(tmp_path / "w") == {"train": 20, "pool": 20}


def test_nothing_to_ingest_is_told(ingested: Path) -> None:
    """A call without files is the user's mistake, said as one."""
    with pytest.raises(LabelsvcError):
        flows.ingest(ingested, [])


def test_a_refused_ingest_does_not_stand_in_the_way(digits: Digits, tmp_path: Path) -> None:
    """After a refusal, the same files beside sound ones come in as if nothing had been."""
    overlapping = digits.write(tmp_path / "test.parquet", range(99, 120))
    with pytest.raises(InputError):
        flows.ingest(tmp_path / "w", [digits.labeled], test=[overlapping])
    flows.ingest(tmp_path / "w", [digits.labeled], test=[digits.test])
    assert roles(tmp_path / "w") == {"train": 100, "test": 200}
