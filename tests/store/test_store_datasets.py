"""Ingest: which sample, which role, which label."""

from __future__ import annotations

import pytest
from labeling_task import Row, Task

from labelsvc.errors import InputError, UsageError
from labelsvc.records import PictureShape
from labelsvc.store import Store, datasets, held_out, samples
from labelsvc.store.datasets import Shares
from labelsvc.store.roles import Quota, quotas


def labeled_rows(count: int, classes: int = 10) -> list[Row]:
    """Make labeled rows with scattered hashes."""
    return [(f"s{n}", f"{n * 2654435761 % 2**32:08x}", str(n % classes)) for n in range(count)]


def roles(task: Task) -> dict[object, object]:
    """Return the role of each sample id."""
    return dict(task.ask("SELECT sample_id, role FROM sample"))


def test_every_row_is_accounted_for(task: Task) -> None:
    """Rows = labeled + pool + test + duplicates_skipped, whatever comes."""
    rows: list[Row] = [
        ("a", "h0", "cat"),
        ("a", "h0", "cat"),
        ("b", "h1", None),
        ("c", "h1", "dog"),
        (None, "h2", None),
    ]
    first = task.ingest(rows)
    assert (first.rows, first.labeled, first.pool, first.test, first.duplicates_skipped) == (5, 2, 2, 0, 1)
    assert (first.samples, first.same_content_other_id, first.classes) == (4, 1, ("cat", "dog"))
    second = task.ingest([*rows, ("b", "h1", "dog"), ("d", "h4", "cat")])
    assert (second.rows, second.labeled, second.pool, second.duplicates_skipped) == (7, 2, 0, 5)
    assert second.samples == 1


def test_a_missing_id_is_the_content_hash(task: Task) -> None:
    """Rows without an id are told apart by their content."""
    ingested = task.ingest([(None, "h0", None), (None, "h0", None), (None, "h1", None)])
    assert ingested.samples == 2
    assert roles(task) == {"h0": "pool", "h1": "pool"}


def test_the_same_rows_again_change_nothing(animals: Task) -> None:
    """Ingesting rows that are known adds no sample, no label and no role."""
    before = animals.ask("SELECT * FROM sample ORDER BY sample_no"), animals.ask("SELECT * FROM given_label")
    again = animals.ingest([("a", "h0", "cat"), ("p2", "h2", None)])
    assert (again.samples, again.labeled, again.duplicates_skipped) == (0, 0, 2)
    after = animals.ask("SELECT * FROM sample ORDER BY sample_no"), animals.ask("SELECT * FROM given_label")
    assert after == before


def test_numbers_are_contiguous(task: Task) -> None:
    """Sample numbers go on from the last one, in the order of the rows."""
    task.ingest([("x", "1", None), ("y", "2", None)])
    task.ingest([("y", "2", None), ("w", "3", None), ("v", "4", None)])
    found = task.ask("SELECT sample_id, sample_no FROM sample ORDER BY sample_no")
    assert found == [("x", 0), ("y", 1), ("w", 2), ("v", 3)]


@pytest.mark.parametrize("first", [[], [("a", "h0", None)]])
def test_an_id_is_one_input(task: Task, first: list[Row]) -> None:
    """An id with other content is an error that names it and its row, and nothing is written."""
    task.ingest([*first, ("z", "hz", None)])
    rows: list[Row] = [("n", "hn", None), ("a", "h1", None), *([] if first else [("a", "h0", None)])]
    with pytest.raises(InputError, match=r"'a' \(digits\.parquet row 1.*Nothing was written"):
        task.ingest(rows)
    assert len(task.ask("FROM sample")) == len(first) + 1
    assert len(task.ask("FROM dataset")) == 1


def test_a_newer_given_label_supersedes(animals: Task) -> None:
    """The newest given label counts, and the older one is kept."""
    ingested = animals.ingest([("a", "h0", "dog")])
    assert (ingested.labeled, ingested.superseded) == (1, 1)
    assert samples.given(animals.store, "train").classes.tolist() == [1, 1]
    assert len(animals.ask("FROM given_label WHERE sample_no = 0")) == 2


def test_the_last_label_of_a_file_counts(task: Task) -> None:
    """Of two labels for an id in one dataset the later row's counts."""
    ingested = task.ingest([("a", "h0", "cat"), ("a", "h0", "dog"), ("a", "h0", None)])
    assert (ingested.labeled, ingested.superseded, ingested.duplicates_skipped) == (1, 1, 2)
    assert task.ask("SELECT label FROM labels") == [("dog",)]


def test_classes_are_only_ever_added(task: Task) -> None:
    """Declared classes come first as given, then new names, numbers in numeric order; codes never change."""
    assert task.ingest([("a", "1", "zebra")], classes=("zebra", "ape")).classes == ("zebra", "ape")
    more = task.ingest([("b", "2", "10"), ("c", "3", "9"), ("d", "4", "ape")], classes=("yak",))
    assert more.classes == ("zebra", "ape", "yak", "9", "10")
    assert samples.class_names(task.store) == more.classes


@pytest.mark.parametrize(("first", "second"), [("train", "test"), ("test", "train")])
def test_test_rows_are_rows_of_their_own(task: Task, first: datasets.DatasetRole, second: datasets.DatasetRole) -> None:
    """An id is test in every dataset or in none."""
    task.ingest([("a", "h0", "cat"), ("b", "h1", "dog")], role=first)
    with pytest.raises(InputError, match=r"ids of this dataset.*\(1\): 'a'"):
        task.ingest([("a", "h0", "cat"), ("c", "h2", "dog")], role=second)
    assert len(task.ask("FROM sample")) == 2


@pytest.mark.parametrize(("count", "validation", "calibration"), [(499, 0, 0), (500, 50, 100)])
def test_defaults_begin_at_five_hundred(task: Task, count: int, validation: int, calibration: int) -> None:
    """From 500 newly labeled rows on 10% validation and 20% calibration, below that none."""
    drawn = task.ingest([*labeled_rows(count), ("p", "x", None)]).roles
    assert drawn.get("validation", 0) == validation
    assert drawn.get("calibration", 0) == calibration
    assert drawn["train"] == count - validation - calibration
    assert drawn["pool"] == 1


def test_counts_are_met_exactly(task: Task) -> None:
    """A count of validation rows is that many over all classes, a share rounds once, 0 is none."""
    drawn = task.ingest(labeled_rows(97, classes=7), shares=Shares(validation=13, calibration=0.25)).roles
    assert (drawn["validation"], drawn["calibration"]) == (13, 24)
    assert "validation" not in task.ingest([("n", "n", "1")], shares=Shares(0, 0)).roles


def test_every_class_keeps_a_row_to_train_on() -> None:
    """A class of one row gives none away, and what it cannot give the others give."""
    drawn = quotas({0: 1, 1: 1, 2: 8}, Shares(validation=4, calibration=3))
    assert drawn == {0: Quota(0, 0), 1: Quota(0, 0), 2: Quota(4, 3)}


@pytest.mark.parametrize("shares", [Shares(8, 0), Shares(0.5, 0.5), Shares(4, 4)])
def test_more_than_there_is_is_refused(task: Task, shares: Shares) -> None:
    """Asking for more validation and calibration rows than can be spared is a wrong call."""
    with pytest.raises(UsageError, match="more than the 10 newly labeled rows of 3 classes"):
        task.ingest(labeled_rows(10, classes=3), shares=shares)


@pytest.mark.parametrize("value", [-1, 1.5, float("nan"), float("inf")])
def test_a_share_is_a_share_or_a_count(value: float) -> None:
    """Neither negative nor fractional counts pass."""
    with pytest.raises(UsageError):
        Shares(validation=value)


def test_roles_do_not_depend_on_the_order_of_rows(task: Task, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Shuffled rows draw the same roles."""
    rows = labeled_rows(600)
    task.ingest(rows)
    folder = tmp_path_factory.mktemp("other")
    other = Task(Store(folder / "labels.duckdb"), folder)
    other.ingest(sorted(rows, key=lambda row: row[1]))
    assert roles(task) == roles(other)


def test_roles_are_stratified(task: Task) -> None:
    """Every class gives its share."""
    task.ingest(labeled_rows(1000))
    counted = task.ask("SELECT role, label, count(*) FROM labels WHERE role <> 'train' GROUP BY ALL ORDER BY ALL")
    assert [count for _, _, count in counted] == [20] * 10 + [10] * 10


def test_roles_are_never_rewritten(task: Task) -> None:
    """Later datasets draw only from their own new rows, and a pool sample with a label stays pool."""
    task.ingest([*labeled_rows(500), ("p", "x", None)])
    before = roles(task)
    task.ingest([*labeled_rows(900), ("p", "x", "3")])
    after = roles(task)
    assert {sample: after[sample] for sample in before} == before
    assert after["p"] == "pool"
    assert len(after) >= 501


def test_an_ingest_is_found_again(animals: Task) -> None:
    """What an ingest did is found by the content's digest and the role, and is what was returned."""
    ingested = animals.ingest([("n", "hn", "cat")], digest="d1")
    assert datasets.find_dataset(animals.store, "d1", "train") == ingested
    assert datasets.find_dataset(animals.store, "d1", "test") is None


def test_nothing_is_found_before_the_first(task: Task) -> None:
    """Asking before the first ingest makes no store."""
    assert datasets.find_dataset(task.store, "d1", "train") is None
    assert datasets.input_shape(task.store) is None
    assert not task.store.path.exists()


def test_the_cache_can_be_made_again(animals: Task) -> None:
    """Dataset versions say where they came from and how they were decoded."""
    first, second = datasets.datasets(animals.store)
    assert (first.dataset_no, first.role, first.rows) == (1, "train", 8)
    assert [file.uri for file in first.files] == ["digits.parquet"]
    assert second.role == "test"
    assert datasets.input_shape(animals.store) == PictureShape(28, 28, 1)


def test_labels_for_the_pool_count_as_train(animals: Task) -> None:
    """A pool sample that was given a label leaves the pool and is learnt from."""
    animals.ingest([("p2", "h2", "dog")])
    assert samples.given(animals.store, "train").numbers.tolist() == [0, 1, 2]
    assert samples.pool(animals.store).tolist() == [3, 4, 5, 6, 7]
    assert held_out.test_labels(animals.store).numbers.tolist() == [8]


@pytest.mark.seconds
def test_a_million_rows_are_ingested_in_seconds(task: Task) -> None:
    """Rows are written in bulk."""
    rows: list[Row] = [(f"s{n}", f"{n:016x}", None if n % 10 else str(n % 7)) for n in range(1_000_000)]
    ingested = task.ingest(rows)
    assert (ingested.rows, ingested.samples) == (1_000_000, 1_000_000)
    assert ingested.roles["calibration"] == 20_000
