"""What deserves a look of rows that came in: a line each, with a count and up to three examples."""

from __future__ import annotations

import pytest
from labeling_task import Row, Task

from labelsvc.store.datasets import DatasetRole

TRAIN: list[Row] = [
    ("a", "h0", "cat", "g1"),
    ("b", "h1", "cat", "g2"),
    ("c", "h2", "dog"),
    ("d", "h3", "dog"),
    ("p", "hp", None, "g3"),
]


def found(task: Task, rows: list[Row], about: str, role: DatasetRole = "train") -> list[str]:
    """Return the findings of an ingest that speak of something, as counts and examples."""
    said = [finding for finding in task.arrive(rows, role=role).findings if about in finding]
    return [finding.rpartition(": ")[2] for finding in said]


@pytest.fixture
def task(task: Task) -> Task:
    """Give a task with two cats, two dogs and one row of the pool, some of them in groups."""
    assert task.arrive(TRAIN).findings == ()
    return task


def test_sound_rows_say_nothing(task: Task) -> None:
    """Rows that add what nobody has seen before, test rows too, are no finding."""
    assert task.arrive([("t", "ht", "cat", "g9"), ("u", "hu", "dog")], role="test").findings == ()


def test_rows_that_came_before_or_twice(task: Task) -> None:
    """Ids that say nothing new or lie in several rows are counted, and three are shown."""
    rows: list[Row] = [*TRAIN[:4], ("n", "hn", None), ("n", "hn", None)]
    assert found(task, rows, "known already") == ["5 ('a', 'b', 'c')"]


def test_content_under_another_id(task: Task) -> None:
    """A new id of known content is shown with the id that had it first."""
    assert found(task, [("n", "h0", None), ("m", "hm", None), ("l", "hm", None)], "same content") == [
        "2 ('n' as 'a', 'l' as 'm')"
    ]


def test_test_rows_that_are_trained_upon(task: Task) -> None:
    """A test row whose content is in training, labeled or not, is counted once, whichever of the two came first."""
    assert found(task, [("t", "h0", "cat"), ("u", "hp", "dog"), ("v", "hv", "dog")], "in training, too", "test") == [
        "2 ('t' as 'a', 'u' as 'p')"
    ]
    assert found(task, [("n", "hv", None)], "in training, too") == ["1 ('v' as 'n')"]
    assert found(task, [("m", "hm", None)], "in training, too") == []


def test_newer_labels(task: Task) -> None:
    """Samples whose label gave way to a newer one are counted."""
    assert found(task, [("a", "h0", "dog"), ("b", "h1", "cat")], "newer label") == ["1 ('a')"]


def test_two_labels_in_one_file(task: Task) -> None:
    """Ids to which the rows of one dataset give several labels are counted."""
    assert found(task, [("n", "hn", "dog"), ("n", "hn", "cat")], "several labels") == ["1 ('n')"]


def test_a_class_of_one_row(task: Task) -> None:
    """A class with a single labeled row is named when it comes, and not again later."""
    assert found(task, [("n", "hn", "owl")], "single labeled row") == ["1 ('owl')"]
    assert found(task, [("m", "hm", "dog")], "single labeled row") == []
    assert dict(task.ask("SELECT sample_id, role FROM sample"))["n"] == "train"


def test_classes_of_test_rows_only(task: Task) -> None:
    """A class that no labeled row but test rows has is named, until training has it, too."""
    assert found(task, [("t", "ht", "yak"), ("u", "hu", "elk")], "only test rows", "test") == ["2 ('elk', 'yak')"]
    assert found(task, [("n", "hn", "elk")], "only test rows") == ["1 ('yak')"]


def test_nothing_is_missed_before_there_is_training(tmp_path_factory: pytest.TempPathFactory, task: Task) -> None:
    """Test rows that come first are no finding: training rows are yet to come."""
    folder = tmp_path_factory.mktemp("other")
    other = Task(type(task.store)(folder / "labels.duckdb"), folder)
    assert other.arrive([("t", "ht", "yak")], role="test").findings == ()


def test_groups_of_test_and_training(task: Task) -> None:
    """Groups with rows in test and elsewhere are counted."""
    rows: list[Row] = [("t", "ht", "cat", "g1"), ("u", "hu", "cat", "g3"), ("v", "hv", "cat", "g4")]
    assert found(task, rows, "groups that are in test", "test") == ["2 ('g1', 'g3')"]


def test_a_group_that_a_later_label_splits(task: Task) -> None:
    """A pool row that gets a label trains, even if its group validates: that is said."""
    with task.store.writing() as connection:
        connection.execute("UPDATE sample SET role = 'validation' WHERE sample_id = 'a'")
    task.arrive([("q", "hq", None, "g1")])
    assert found(task, [("q", "hq", "cat", "g1"), ("p", "hp", "cat", "g3")], "held out") == ["1 ('q')"]


def test_groups_that_come_too_late(task: Task) -> None:
    """A sample that came without a group stays without one, and that is said."""
    assert found(task, [("c", "h2", "dog", "g7")], "without a group") == ["1 ('c')"]
    assert task.ask("SELECT group_name FROM sample WHERE sample_id = 'c'") == [(None,)]
