"""ingest: groups, sizes, pictures in files of their own, and rows that fail."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.config import IngestConfig
from labelsvc.errors import InputError, TooManyFailedError, UsageError
from labelsvc.records import RowCount
from labelsvc.store import samples

from .digits import PICTURE, SHORT, Digits, Heard, ask, contents, store_of, written

BROKEN = (3, 5, 7, 11)  # rows whose pictures are none


def damaged(digits: Digits, path: Path, rows: range = range(20)) -> Path:
    """Write digits, some of which are cut short."""
    cells = [digits.pictures[row][: 50 if row in BROKEN else None] for row in rows]
    image = pa.array([{"bytes": cell, "path": None} for cell in cells], PICTURE)
    return written(path, digits.table(rows).set_column(1, "image", image))


def picture_files(digits: Digits, folder: Path, rows: range) -> Path:
    """Write digits as files, and a Parquet file of their paths."""
    folder.mkdir(exist_ok=True)
    for row in rows:
        (folder / f"{row}.png").write_bytes(digits.pictures[row])
    columns = {"id": [f"digit-{row:04d}" for row in rows], "path": [f"{row}.png" for row in rows]}
    return written(folder / "pictures.parquet", pa.table(columns))


def test_rows_that_fail_within_what_is_allowed_are_left_out(digits: Digits, tmp_path: Path) -> None:
    """They are counted, the first three named, all of them listed in a file of the run; the others are decoded."""
    heard = Heard()
    file = damaged(digits, tmp_path / "bad.parquet")
    outcome = flows.ingest(tmp_path / "w", [file], config=IngestConfig(max_failed="20%"), listener=heard)
    assert outcome.rows == RowCount(given=20, labeled=16, failed=4)
    note = next(note for note in heard.notes if "cannot be decoded" in note)
    assert note.startswith(f"4 of 20 pictures cannot be decoded: row 3 of {file} ('digit-0003'): ")
    assert "row 7" in note
    assert "row 11" not in note
    assert note.endswith(f"; all of them: {outcome.failed}")
    listed = pq.read_table(str(outcome.failed)).to_pylist()
    assert [(row["file"], row["row"], row["id"]) for row in listed] == [
        (str(file), row, f"digit-{row:04d}") for row in BROKEN
    ]
    assert all(row["reason"] for row in listed)
    assert Path(str(outcome.failed)).parent == tmp_path / "w" / "runs" / str(outcome.run_id)


@pytest.mark.seconds
def test_what_is_left_out_is_not_missed(digits: Digits, tmp_path: Path) -> None:
    """Training finds every picture at its place, the same files again are known, and add up as they did."""
    config = IngestConfig(max_failed="4")
    file = damaged(digits, tmp_path / "bad.parquet", range(60))
    first = flows.ingest(tmp_path / "w", [file], config=config)
    assert flows.train(tmp_path / "w", SHORT).model.classes
    again = flows.ingest(tmp_path / "w", [file], config=config)
    assert (again.repeated, again.rows) == (True, first.rows)


def test_more_than_is_allowed_leaves_nothing(digits: Digits, tmp_path: Path) -> None:
    """Over the limit count, limit and first rows are said with exit code 5; no sample, dataset or cache is left."""
    file = damaged(digits, tmp_path / "bad.parquet")
    fine = digits.write(tmp_path / "fine.parquet", range(100, 110))
    expected = (
        r"4 of 30 pictures .*row 3 of .*bad\.parquet \('digit-0003'\).*--max-failed allows 3.*nothing was ingested"
    )
    with pytest.raises(TooManyFailedError, match=expected) as refused:
        flows.ingest(tmp_path / "w", [fine], test=[file], config=IngestConfig(max_failed="3"))
    assert refused.value.exit_code == 5
    assert not any(contents(tmp_path / "w").values())
    assert not list((tmp_path / "w" / "cache").iterdir())
    (listed,) = (tmp_path / "w" / "runs").glob("*/*")
    assert listed.name == "failed.parquet"
    assert str(listed) in str(refused.value)
    assert pq.read_table(listed).num_rows == 4


def test_a_refusal_by_the_store_leaves_no_cache(digits: Digits, tmp_path: Path) -> None:
    """What was decoded before the store refused its rows is gone, too."""
    overlapping = digits.write(tmp_path / "test.parquet", range(99, 120))
    with pytest.raises(InputError, match="digit-0099"):
        flows.ingest(tmp_path / "w", [digits.labeled], test=[overlapping])
    assert not list((tmp_path / "w" / "cache").iterdir())


def test_a_group_shares_a_role(digits: Digits, tmp_path: Path) -> None:
    """With a column of groups, all labeled rows of a group have one role, and the groups are kept."""
    rows = range(200)
    groups = pa.array([row // 4 for row in rows])
    file = written(tmp_path / "digits.parquet", digits.table(rows).append_column("product", groups))
    config = IngestConfig(group_column="product", validation=0.2, calibration=0.2)
    flows.ingest(tmp_path / "w", [file, digits.write_pool(tmp_path / "pool.parquet", range(200, 210))], config=config)
    by_group = "SELECT group_name, count(DISTINCT role), count(*) FROM sample WHERE role <> 'pool' GROUP BY ALL"
    found = ask(tmp_path / "w", by_group)
    assert (len(found), {(roles, members) for _, roles, members in found}) == (50, {(1, 4)})
    counted = ask(tmp_path / "w", "SELECT role, count(*) FROM sample GROUP BY ALL")
    assert {role: count > 10 for role, count in counted if role != "pool"} == {
        "train": True,
        "validation": True,
        "calibration": True,
    }


def test_a_column_of_groups_must_be_there(digits: Digits, tmp_path: Path) -> None:
    """A column of groups that no file has is an error; so is an id in two groups."""
    with pytest.raises(InputError, match=r"no file has a column 'product'; see --group-column"):
        flows.ingest(tmp_path / "w", [digits.labeled], config=IngestConfig(group_column="product"))
    table = digits.table([0, 0]).append_column("product", pa.array(["a", "b"]))
    file = written(tmp_path / "digits.parquet", table)
    with pytest.raises(InputError, match=r"another group.*'digit-0000'"):
        flows.ingest(tmp_path / "w", [file], config=IngestConfig(group_column="product"))


def test_the_size_is_the_users_and_then_the_workspaces(digits: Digits, tmp_path: Path) -> None:
    """The first ingest may say to which size pictures are decoded; another size later is a wrong call."""
    assert str(flows.ingest(tmp_path / "w", [digits.labeled], config=IngestConfig(size=(6, 10))).shape) == "6×10×1"
    with pytest.raises(UsageError, match=r"decodes all pictures to 6×10×1"):
        flows.ingest(tmp_path / "w", [digits.unlabeled], config=IngestConfig(size=(8, 8)))
    assert flows.ingest(tmp_path / "w", [digits.unlabeled], config=IngestConfig(size=(6, 10))).rows.abstained == 300


def test_pictures_in_files_are_known_by_where_how_large_and_how_old_they_are(digits: Digits, tmp_path: Path) -> None:
    """Untouched files are known; a file written anew with its old content is no news, with another it is an error."""
    file = picture_files(digits, tmp_path / "pictures", range(10))
    config = IngestConfig(image_root=str(tmp_path / "pictures"))
    assert flows.ingest(tmp_path / "w", [file], config=config).rows.abstained == 10
    assert flows.ingest(tmp_path / "w", [file], config=config).repeated
    os.utime(tmp_path / "pictures" / "3.png", ns=(1, 1))
    touched = flows.ingest(tmp_path / "w", [file], config=config)
    assert (touched.repeated, touched.rows.skipped) == (False, 10)
    (tmp_path / "pictures" / "3.png").write_bytes(digits.pictures[11])
    with pytest.raises(InputError, match=r"other content.*'digit-0003'"):
        flows.ingest(tmp_path / "w", [file], config=config)
    assert len(list((tmp_path / "w" / "cache").iterdir())) == 2


def test_pictures_of_a_struct_may_lie_in_files_too(digits: Digits, tmp_path: Path) -> None:
    """Where ``bytes`` are null the path counts: such files are known by their age, those with bytes by their bytes."""
    picture_files(digits, tmp_path, range(4))
    cells = [{"bytes": digits.pictures[row], "path": None} for row in range(2)]
    cells += [{"bytes": None, "path": f"{row}.png"} for row in range(2, 4)]
    table = pa.table({"id": ["a", "b", "c", "d"], "image": pa.array(cells, PICTURE)})
    file = written(tmp_path / "mixed.parquet", table)
    config = IngestConfig(image_root=str(tmp_path))
    assert flows.ingest(tmp_path / "w", [file], config=config).rows.abstained == 4
    assert flows.ingest(tmp_path / "w", [file], config=config).repeated
    os.utime(tmp_path / "1.png", ns=(1, 1))  # nobody reads it
    assert flows.ingest(tmp_path / "w", [file], config=config).repeated
    os.utime(tmp_path / "2.png", ns=(1, 1))
    assert not flows.ingest(tmp_path / "w", [file], config=config).repeated


@pytest.mark.parametrize("role", ["files", "test"])
def test_files_without_rows_are_an_error(digits: Digits, tmp_path: Path, role: str) -> None:
    """All files of a role together must have a row; one of them may be empty."""
    empty = written(tmp_path / "empty.parquet", digits.table(range(2)).slice(0, 0))
    given = {"files": [digits.labeled], "test": [digits.test], role: [empty, empty]}
    with pytest.raises(InputError, match=r"there are no rows in .*empty\.parquet"):
        flows.ingest(tmp_path / "w", given["files"], test=given["test"])
    given[role].append(digits.unlabeled)
    flows.ingest(tmp_path / "w", given["files"], test=given["test"])


def test_a_pool_sample_that_gets_a_label_is_learnt_from(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """After an ingest that labels samples of the pool, training counts them as given labels."""
    before = len(samples.given(store_of(ingested), "train"))
    flows.ingest(ingested, [digits.write(tmp_path / "more.parquet", range(100, 140))])
    assert len(samples.given(store_of(ingested), "train")) == before + 40


@pytest.mark.parametrize("wrong", [{"validation": 1.5}, {"calibration": -1.0}, {"max_failed": "some"}])
def test_a_wrong_setting_is_told_before_any_work(digits: Digits, tmp_path: Path, wrong: dict[str, float]) -> None:
    """What no file could make right is refused before there is a workspace."""
    with pytest.raises(UsageError):
        flows.ingest(tmp_path / "w", [digits.labeled], config=IngestConfig(**wrong))  # type: ignore[arg-type]
    assert not (tmp_path / "w").exists()
