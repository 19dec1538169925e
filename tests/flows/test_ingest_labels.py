"""ingest: labels by id, classes by name, and a newer word on what is known."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from labelsvc import flows
from labelsvc.config import IngestConfig
from labelsvc.errors import InputError, UsageError
from labelsvc.store import samples

from .digits import HELD_OUT, Digits, Heard, ask, contents, store_of, written


def labels_file(path: Path, labels: dict[str, str | None]) -> Path:
    """Write labels by id as CSV."""
    lines = [f"{sample_id},{'' if label is None else label}" for sample_id, label in labels.items()]
    path.write_text("\n".join(["id,label", *lines, ""]), encoding="utf-8")
    return path


def test_labels_join_by_id_before_roles_are_decided(digits: Digits, tmp_path: Path) -> None:
    """Rows without labels and a file of labels are labeled rows: roles are drawn as if the labels stood beside them."""
    rows = range(100)
    pool = digits.write_pool(tmp_path / "pictures.parquet", rows)
    named = labels_file(tmp_path / "labels.csv", {f"digit-{row:04d}": digits.classes[row] for row in rows})
    config = IngestConfig(labels=str(named), validation=20, calibration=20)
    joined = flows.ingest(tmp_path / "joined", [pool], config=config)
    flows.ingest(tmp_path / "beside", [digits.labeled], config=HELD_OUT)
    given = "SELECT sample_id, role, class FROM sample JOIN given_label USING (sample_no) ORDER BY ALL"
    assert ask(tmp_path / "joined", given) == ask(tmp_path / "beside", given)
    assert (joined.rows.given, joined.rows.labeled) == (100, 100)
    assert ask(tmp_path / "joined", "SELECT labels_uri FROM dataset") == [(str(named),)]


def test_the_same_labels_again_change_nothing(digits: Digits, tmp_path: Path) -> None:
    """Files with their labels file are known together; with another labels file they are not."""
    pool = digits.write_pool(tmp_path / "pictures.parquet", range(10))
    named = labels_file(tmp_path / "labels.csv", {"digit-0001": "3", "digit-0002": None, "elsewhere": "4"})
    config = IngestConfig(labels=str(named))
    first = flows.ingest(tmp_path / "w", [pool], config=config)
    assert (first.rows.given, first.rows.labeled, first.rows.abstained, first.rows.skipped) == (11, 1, 9, 1)
    before = contents(tmp_path / "w")
    again = flows.ingest(tmp_path / "w", [pool], config=config)
    assert again.repeated
    assert contents(tmp_path / "w") == before
    labels_file(named, {"digit-0001": "5"})
    newer = flows.ingest(tmp_path / "w", [pool], config=config)
    assert (newer.rows.labeled, newer.rows.skipped) == (1, 9)


def test_labels_alone_need_no_file(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """Labels for the pool make it train by the queries, stand in the sample's trace, and are no news later."""
    labels: dict[str, str | None] = {f"digit-{row:04d}": digits.classes[row] for row in range(100, 110)}
    named = labels_file(tmp_path / "more.csv", {**labels, "nobody": "1", "digit-0111": None})
    heard = Heard()
    store = store_of(ingested)
    trained, pool = len(samples.given(store, "train")), len(samples.pool(store))
    outcome = flows.ingest(ingested, config=IngestConfig(labels=str(named)), listener=heard)
    rows = outcome.rows
    assert (rows.given, rows.labeled, rows.abstained, rows.failed, rows.skipped) == (12, 10, 0, 0, 2)
    assert any("'nobody'" in note for note in heard.notes)
    assert len(samples.given(store, "train")) == trained + 10
    assert len(samples.pool(store)) == pool - 10
    story = flows.trace(ingested, "digit-0100")
    assert (story.role, story.source, [given.dataset for given in story.given]) == ("pool", "given", ["more"])
    runs = flows.list_runs(ingested)
    again = flows.ingest(ingested, config=IngestConfig(labels=str(named)))
    assert (again.repeated, again.rows.skipped, again.classes) == (True, 12, outcome.classes)
    assert flows.list_runs(ingested) == runs


def test_labels_for_samples_that_are_yet_to_come(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """A labels file with ids that nobody knew yet is news once their rows are there."""
    named = labels_file(tmp_path / "more.csv", {"digit-0100": digits.classes[100], "digit-1000": digits.classes[1000]})
    config = IngestConfig(labels=str(named))
    flows.ingest(ingested, config=config)
    flows.ingest(ingested, [digits.write_pool(tmp_path / "later.parquet", range(1000, 1001))])
    assert flows.ingest(ingested, config=config).rows.labeled == 1


def test_labels_for_nobody_are_an_error(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """None of the ids known: said as an error, with files and without, and before there is a workspace."""
    config = IngestConfig(labels=str(labels_file(tmp_path / "more.csv", {"x": "1"})))
    before = contents(ingested)
    for files in ([], [digits.write_pool(tmp_path / "later.parquet", range(1000, 1010))]):
        with pytest.raises(InputError, match=r"none of the 1 ids of .*more\.csv.*'x'"):
            flows.ingest(ingested, files, config=config)
        assert contents(ingested) == before
    with pytest.raises(InputError, match="no samples yet"):
        flows.ingest(tmp_path / "new", config=config)


def test_a_newer_label_supersedes_and_the_older_one_stays(ingested: Path, digits: Digits, tmp_path: Path) -> None:
    """The sample's trace tells both labels in order; the newest one is in force and counted as superseding."""
    other = "1" if digits.classes[0] != "1" else "2"
    heard = Heard()
    flows.ingest(ingested, [digits.write(tmp_path / "newer.parquet", range(1), [other])], listener=heard)
    story = flows.trace(ingested, "digit-0000")
    assert [(given.label, given.dataset) for given in story.given] == [
        (digits.classes[0], "labeled + unlabeled"),
        (other, "newer"),
    ]
    assert (story.label, story.source) == (other, "given")
    assert "samples with a newer label, which supersedes the one before: 1 ('digit-0000')" in heard.notes


def test_named_classes_fix_names_and_order(digits: Digits, tmp_path: Path) -> None:
    """The classes are those that were named, in that order; the workspace keeps it."""
    names = tuple("9876543210")
    outcome = flows.ingest(tmp_path / "w", [digits.labeled], config=IngestConfig(classes=names))
    assert outcome.classes == names
    with pytest.raises(InputError, match="--classes must begin with"):
        flows.ingest(tmp_path / "w", [digits.unlabeled], config=IngestConfig(classes=names[::-1]))
    assert flows.ingest(tmp_path / "w", [digits.unlabeled]).classes == names


def test_a_label_outside_the_named_classes_is_an_error(digits: Digits, tmp_path: Path) -> None:
    """The label, its id, its file and its row are named, and nothing is written."""
    labels = ["0", "1", "zero"]
    file = digits.write(tmp_path / "digits.parquet", range(3), labels)
    with pytest.raises(InputError, match=r"'zero' of 'digit-0002' \(.*digits\.parquet row 2\)"):
        flows.ingest(tmp_path / "w", [file], config=IngestConfig(classes=("0", "1")))
    assert not any(contents(tmp_path / "w").values())
    with pytest.raises(UsageError, match="--classes names '1' twice"):
        flows.ingest(tmp_path / "w", [file], config=IngestConfig(classes=("0", "1", "1")))


def test_a_label_that_means_none(digits: Digits, tmp_path: Path) -> None:
    """Rows with the missing label are the pool, and the labels file's missing ones say nothing, either."""
    labels = ["?", "1", "?", "?"]
    file = digits.write(tmp_path / "digits.parquet", range(4), labels)
    named = labels_file(tmp_path / "labels.csv", {"digit-0000": "7", "digit-0001": "?"})
    outcome = flows.ingest(tmp_path / "w", [file], config=IngestConfig(missing_label="?", labels=str(named)))
    assert (outcome.rows.labeled, outcome.rows.abstained, outcome.classes) == (2, 2, ("1", "7"))


def test_a_sample_without_ids_is_named_by_its_content(digits: Digits, tmp_path: Path) -> None:
    """Where rows have no ids, a labels file names them by their content's hash."""
    table = pa.table({"image": digits.table(range(3))["image"]})
    pool = written(tmp_path / "pool.parquet", table)
    flows.ingest(tmp_path / "w", [pool])
    ((first, *_), *_) = ask(tmp_path / "w", "SELECT sample_id FROM sample ORDER BY sample_no")
    named = labels_file(tmp_path / "labels.csv", {first: "7"})
    assert flows.ingest(tmp_path / "w", config=IngestConfig(labels=str(named))).rows.labeled == 1
