"""Labels that come in a file of their own, by id."""

from __future__ import annotations

from dataclasses import replace

import pytest
from labeling_task import Row, Task

from labelsvc.errors import InputError
from labelsvc.store import datasets, held_out, samples
from labelsvc.store.datasets import Shares, add_rows, meet_labels


def given(task: Task) -> dict[str, str]:
    """Return the newest given label of each sample."""
    return dict(
        task.ask(
            "SELECT sample_id, arg_max(class.name, dataset_no) FROM sample JOIN given_label USING (sample_no) "
            "JOIN class USING (class) GROUP BY sample_id"
        )
    )


def test_labels_of_the_file_win(task: Task) -> None:
    """The labels file counts more than the row's own label, in every row of the id; its nulls count nothing."""
    rows: list[Row] = [("a", "h0", "cat"), ("b", "h1", "cat"), ("a", "h0", "ape"), ("c", "h2", None), ("d", "h3", None)]
    (arrived,) = task.arrive(rows, {"a": "dog", "b": None, "c": "dog"}).datasets
    assert given(task) == {"a": "dog", "b": "cat", "c": "dog"}
    assert (arrived.rows, arrived.labeled, arrived.pool, arrived.superseded) == (5, 3, 1, 0)
    assert arrived.classes == ("cat", "dog")


def test_labels_decide_roles(task: Task) -> None:
    """Rows that only the labels file labels are drawn for validation and calibration like any others."""
    rows: list[Row] = [(f"s{n}", f"h{n}", None) for n in range(20)]
    labels = {f"s{n}": "cat" for n in range(10)}
    arriving = [(task.spool(rows), task.dataset())]
    (arrived,) = add_rows(task.store, arriving, Shares(2, 3), task.labels_file(labels)).datasets
    assert arrived.roles == {"validation": 2, "calibration": 3, "train": 5, "pool": 10}


def test_labels_alone_are_for_the_samples_there_are(animals: Task) -> None:
    """Known samples get the file's labels as a dataset without rows or pictures, test samples too, and keep roles."""
    roles, places = animals.ask("SELECT sample_id, role FROM sample ORDER BY ALL"), animals.ask("FROM source_row")
    arrived = animals.arrive(None, {"p2": "dog", "a": "dog", "t": "cat", "nobody": "cat", "b": None, "p3": "owl"})
    (alone,) = arrived.datasets
    assert (alone.rows, alone.labeled, alone.test, alone.duplicates_skipped, alone.unknown) == (5, 3, 1, 1, 1)
    assert given(animals) == {"a": "dog", "b": "dog", "p2": "dog", "p3": "owl", "t": "cat"}
    assert samples.given(animals.store, "train").numbers.tolist() == [0, 1, 2, 3]
    assert samples.pool(animals.store).tolist() == [4, 5, 6, 7]
    assert held_out.test_labels(animals.store).classes.tolist() == [0]
    assert animals.ask("SELECT sample_id, role FROM sample ORDER BY ALL") == roles
    assert animals.ask("FROM source_row") == places
    assert any("'nobody'" in finding and "more.csv" in finding for finding in arrived.findings)


def test_a_dataset_of_labels_alone_has_no_pictures(animals: Task) -> None:
    """It is recorded with the labels file, and neither the cache nor the workspace's shape knows of it."""
    before, shape = datasets.datasets(animals.store), datasets.input_shape(animals.store)
    animals.arrive(None, {"p2": "dog"})
    assert datasets.datasets(animals.store) == before
    assert datasets.input_shape(animals.store) == shape
    recorded = animals.ask("SELECT kind, labels_uri, height, rows FROM dataset ORDER BY dataset_no DESC LIMIT 1")
    assert recorded == [("labels", "more.csv", None, 1)]


def test_what_no_row_meets_comes_alone(animals: Task) -> None:
    """Beside files, the labels of other samples are a dataset of their own; those that rows met are not in it."""
    joined, alone = animals.arrive(
        [("n", "hn", None), ("p2", "h2", None)], {"n": "cat", "p2": "dog", "p3": "dog"}
    ).datasets
    assert (joined.rows, joined.labeled, alone.rows, alone.labeled) == (2, 2, 1, 1)
    assert animals.ask("SELECT rows, kind FROM dataset ORDER BY dataset_no DESC LIMIT 2") == [
        (1, "labels"),
        (2, "image"),
    ]


def test_labels_for_nobody_are_refused(animals: Task) -> None:
    """If none of the ids is a sample, the first ones are named and nothing is written."""
    before = animals.ask("FROM sample"), animals.ask("FROM class")
    with pytest.raises(InputError, match=r"none of the 4 ids of more\.csv.*'x', 'y', 'z'\)"):
        animals.arrive([("n", "hn", None)], {"x": "cat", "y": "cat", "z": "cat", "last": "owl"})
    assert (animals.ask("FROM sample"), animals.ask("FROM class")) == before


def test_it_is_known_before_whether_labels_are_news(animals: Task) -> None:
    """How many labels no known dataset has met, and how many of these are news, can be asked without writing."""
    file = animals.labels_file({"a": "cat", "p2": "dog", "t": "dog", "nobody": "cat", "b": None})
    assert meet_labels(animals.store, file.brought, ()) == (5, 1)
    assert meet_labels(animals.store, file.brought, (1,)) == (2, 0)  # the first dataset has all but t and nobody
    animals.arrive(None, {"p2": "dog"})
    assert meet_labels(animals.store, file.brought, ()) == (5, 0)


def test_an_older_label_is_kept(animals: Task) -> None:
    """A label of the file supersedes the given one, whose row stays."""
    (alone,) = animals.arrive(None, {"a": "dog"}).datasets
    assert alone.superseded == 1
    said = animals.ask("SELECT label, dataset FROM label_history WHERE sample_id = 'a' ORDER BY created_at")
    assert said == [("cat", "digits"), ("dog", "more")]


def test_named_classes_are_the_only_ones(task: Task) -> None:
    """Classes that the user names come first, in that order, and another label is an error with label, id and row."""
    rows: list[Row] = [("a", "h0", "cat"), ("b", "h1", "newt"), ("c", "h2", None)]
    with pytest.raises(InputError, match=r"\(1\): 'newt' of 'b' \(digits\.parquet row 1\)"):
        task.arrive(rows, classes=("dog", "cat"))
    with pytest.raises(InputError, match=r"\(2\): 'frog' of 'a' \(more\.csv\); 'newt' of 'b'"):
        task.arrive(rows, {"a": "frog"}, classes=("dog", "cat"))
    assert not task.ask("FROM sample")
    (arrived,) = task.arrive([rows[0]], classes=("dog", "cat")).datasets
    assert arrived.classes == ("dog", "cat")
    assert given(task) == {"a": "cat"}


@pytest.mark.parametrize("classes", [("dog", "cat"), ("cat",), ("cat", "owl", "dog")])
def test_named_classes_keep_the_order_there_is(animals: Task, classes: tuple[str, ...]) -> None:
    """Names that do not begin with the workspace's classes are refused; new ones may follow."""
    with pytest.raises(InputError, match=r"must begin with .*\(cat, dog\)"):
        animals.arrive([("n", "hn", None)], classes=classes)
    (arrived,) = animals.arrive([("n", "hn", None)], classes=("cat", "dog", "owl")).datasets
    assert arrived.classes == ("cat", "dog", "owl")


def test_an_ingest_with_rows_that_failed_is_found_again(task: Task) -> None:
    """What was left out is part of what an ingest did."""
    dataset = replace(task.dataset(), digest="d1", failed=3)
    arrived = add_rows(task.store, [(task.spool([("a", "h0", "cat")]), dataset)], Shares())
    assert arrived.datasets[0].failed == 3
    assert datasets.find_dataset(task.store, "d1", "train") == arrived.datasets[0]
