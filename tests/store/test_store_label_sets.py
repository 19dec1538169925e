"""Label sets: whole or not at all, never lost, and shown through the names that point at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from labeling_task import Row, Task

from labelsvc.errors import InputError, LabelsvcError, UsageError
from labelsvc.records import LabelSet, PseudoLabels
from labelsvc.store import label_sets
from labelsvc.store.export import EXPORT_SCHEMA

MakeLabels = Callable[[Sequence[int], Sequence[int]], PseudoLabels]


def shown(task: Task) -> dict[object, tuple[object, ...]]:
    """Return what the view ``labels`` says of each sample."""
    return {row[0]: row[1:] for row in task.ask("SELECT sample_id, label, source FROM labels")}


def exported(task: Task, label_set: LabelSet | None = None) -> list[dict[str, object]]:
    """Return the exported rows."""
    batches = list(label_sets.export_batches(task.store, label_set))
    return pa.Table.from_batches(batches, EXPORT_SCHEMA).to_pylist()  # type: ignore[no-any-return]


def test_each_sample_shows_the_first_source_that_applies(animals: Task) -> None:
    """Decision before given before pseudo before none; a reject is NULL, an unsure changes nothing."""
    animals.label([2, 3, 4, 5, 6], [0, 1, 1, 0, 1])
    animals.decide(0, "relabel", 1)
    animals.decide(2, "confirm", 0)
    animals.decide(3, "relabel", 0)
    animals.decide(4, "reject")
    animals.decide(5, "unsure")
    assert shown(animals) == {
        "a": ("dog", "decision"),
        "b": ("dog", "given"),
        "p2": ("cat", "decision"),
        "p3": ("cat", "decision"),
        "p4": (None, "decision"),
        "p5": ("cat", "pseudo"),
        "p6": ("dog", "pseudo"),
        "p7": (None, "none"),
    }


def test_not_labeled_is_null(animals: Task) -> None:
    """A sample without a label has NULL for all that would describe one, never -1."""
    animals.label([2], [0])
    row = animals.ask("SELECT * EXCLUDE (sample_id, role) FROM labels WHERE sample_id = 'p7'")
    assert row == [(None, "none", None, None, None)]
    assert animals.ask("SELECT confidence, runner_up FROM labels WHERE sample_id = 'a'") == [(None, None)]
    assert animals.ask("SELECT label, runner_up FROM labels WHERE sample_id = 'p2'") == [("cat", "dog")]


def test_no_view_shows_a_test_row(animals: Task) -> None:
    """Test rows are in none of the views that name samples."""
    animals.label([2], [0])
    for view in ("labels", "label_history", "provenance"):
        assert animals.ask(f"SELECT count(*) FROM {view} WHERE sample_id = 't'") == [(0,)]


def test_views_trace_a_label(animals: Task) -> None:
    """Provenance names policy, threshold of the class, model and run; history tells every event."""
    label_set = animals.label([2, 3], [0, 1])
    rows = animals.ask(
        "SELECT sample_id, threshold, model_id, run_id, policy_id, method FROM provenance "
        "WHERE source = 'pseudo' ORDER BY sample_id"
    )
    known = (label_set.model_id, label_set.run_id, label_set.policy_id, "softmatch")
    assert rows == [("p2", 0.9, *known), ("p3", 0.8, *known)]
    animals.decide(2, "relabel", 1)
    events = "SELECT source, event, label FROM label_history WHERE sample_id = 'p2' ORDER BY created_at"
    assert animals.ask(events) == [("pseudo", "accepted", "cat"), ("decision", "relabel", "dog")]
    assert animals.ask("SELECT source, label, dataset FROM label_history WHERE sample_id = 'a'") == [
        ("given", "cat", "digits")
    ]


def test_what_was_written_comes_back(animals: Task, make_labels: MakeLabels) -> None:
    """Accepted labels are read as they were written, with the digest that was stored."""
    written = animals.label([2, 3, 5], [0, 1, 1], chunk_rows=2)
    read = label_sets.accepted(animals.store, written.label_set_id)
    assert (written.rows, written.digest) == (3, label_sets.digest(read))
    assert label_sets.digest(read) == label_sets.digest(make_labels([2, 3, 5], [0, 1, 1]))
    arrays = (read.numbers, read.classes, read.confidence)
    assert [str(array.dtype) for array in arrays] == ["int64", "int32", "float64"]
    assert label_sets.current(animals.store) == label_sets.get(animals.store, "latest") == written


def test_a_label_set_may_be_empty(animals: Task) -> None:
    """A round that accepts nothing is a label set of no rows."""
    written = animals.label([], [])
    assert written.rows == 0
    assert len(label_sets.accepted(animals.store, "current")) == 0


def test_the_digest_depends_on_every_part(make_labels: MakeLabels) -> None:
    """Another number, class or confidence gives another digest."""
    labels = make_labels([1, 2], [0, 1])
    others = [
        replace(labels, numbers=labels.numbers + 1),
        replace(labels, classes=1 - labels.classes),
        replace(labels, confidence=labels.confidence - 1e-9),
    ]
    assert len({label_sets.digest(one) for one in [labels, *others]}) == 4


def test_a_crash_leaves_nothing_visible(
    animals: Task, make_labels: MakeLabels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows without their label set are seen nowhere and are swept by the next write."""
    before = animals.label([2, 3], [0, 1])
    label_set, policy = animals.plan()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(label_sets, "_add_label_set", crash)
        label_sets.write(
            animals.store,
            label_set,
            policy,
            make_labels([2, 3, 4], [1, 1, 1]),
            make_current=True,
            chunk_rows=2,
        )
    assert animals.ask("SELECT count(*) FROM pseudo_label") == [(4,)]  # the first chunk of the new set is there
    assert label_sets.current(animals.store) == before
    assert shown(animals)["p2"] == ("cat", "pseudo")
    assert label_sets.listing(animals.store) == [before]
    assert animals.ask("SELECT count(*) FROM label_history WHERE sample_id = 'p2'") == [(1,)]
    animals.label([5], [0])
    assert animals.ask("SELECT count(*) FROM pseudo_label") == [(3,)]


def test_rows_swept_meanwhile_are_noticed(
    animals: Task, make_labels: MakeLabels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set of which another writer swept rows away does not become visible."""
    label_set, policy = animals.plan()
    check = label_sets._check_rows

    def swept(connection: duckdb.DuckDBPyConnection, written: LabelSet) -> None:
        connection.execute("DELETE FROM pseudo_label WHERE sample_no = 2")
        check(connection, written)

    monkeypatch.setattr(label_sets, "_check_rows", swept)
    with pytest.raises(LabelsvcError, match="lost rows"):
        label_sets.write(animals.store, label_set, policy, make_labels([2, 3], [0, 1]), make_current=True)
    assert label_sets.listing(animals.store) == []


@pytest.mark.parametrize(("number", "code"), [(0, 1), (8, 1), (99, 1), (2, 7), (3, 1)])
def test_only_pool_samples_are_pseudo_labeled(animals: Task, make_labels: MakeLabels, number: int, code: int) -> None:
    """Train, test, unknown and repeated samples and unknown classes are our own mistake."""
    label_set, policy = animals.plan()
    labels = make_labels([3, number], [1, code])
    with pytest.raises(ValueError, match="pool samples"):
        label_sets.write(animals.store, label_set, policy, labels, make_current=True)
    assert animals.ask("SELECT count(*) FROM pseudo_label") == [(0,)]


def test_records_that_do_not_belong_together_are_refused(animals: Task, make_labels: MakeLabels) -> None:
    """A wrong digest, count, policy or a second writing of a set is our own mistake."""
    label_set, policy = animals.plan()
    labels = make_labels([2], [0])
    wrong = [replace(label_set, rows=2), replace(label_set, digest="x"), replace(label_set, policy_id="x")]
    for one in wrong:
        with pytest.raises(ValueError, match="label set"):
            label_sets.write(animals.store, one, policy, labels, make_current=False)
    written = label_sets.write(animals.store, label_set, policy, labels, make_current=False)
    with pytest.raises(ValueError, match="already written"):
        label_sets.write(animals.store, written, policy, labels, make_current=False)


def test_a_threshold_is_for_a_class_that_exists(animals: Task, make_labels: MakeLabels) -> None:
    """A class threshold of an unknown class is a wrong call, and nothing becomes visible."""
    label_set, policy = animals.plan()
    unknown = replace(policy, class_thresholds={"cow": 0.5})
    with pytest.raises(UsageError, match="no class 'cow'"):
        label_sets.write(animals.store, label_set, unknown, make_labels([2], [0]), make_current=True)
    assert label_sets.current(animals.store) is None


def test_rollback_loses_nothing(animals: Task) -> None:
    """Rolling back points current at the older set; every set and row stays, and it can go forward again."""
    first, second = animals.label([2, 3], [0, 1]), animals.label([2], [1])
    assert label_sets.rollback(animals.store) == first
    assert shown(animals)["p2"] == ("cat", "pseudo")
    assert label_sets.listing(animals.store) == [first, second]
    assert animals.ask("SELECT count(*) FROM pseudo_label") == [(3,)]
    with pytest.raises(UsageError, match="before the current one"):
        label_sets.rollback(animals.store)
    assert label_sets.rollback(animals.store, second.label_set_id[-8:]) == second
    assert shown(animals)["p2"] == ("dog", "pseudo")


def test_a_set_that_is_not_made_current_moves_nothing(animals: Task) -> None:
    """Uncertified results can be kept without being shown."""
    first = animals.label([2], [0])
    second = animals.label([2], [1], make_current=False)
    assert label_sets.current(animals.store) == first
    assert label_sets.get(animals.store, "latest") == second


def test_without_a_set_nothing_is_current(animals: Task) -> None:
    """Before the first set there is no current one, and asking for it says what to do."""
    assert label_sets.current(animals.store) is None
    with pytest.raises(InputError, match="labelsvc label"):
        label_sets.get(animals.store, "current")
    for name in ("latest", "abc"):
        with pytest.raises(UsageError):
            label_sets.get(animals.store, name)


def test_tags_move_only_by_force(animals: Task) -> None:
    """A tag names one set until it is moved on purpose; reserved names are refused."""
    first, second = animals.label([2], [0]), animals.label([3], [0])
    label_sets.tag(animals.store, "good", first.label_set_id)
    label_sets.tag(animals.store, "good", first.label_set_id)
    with pytest.raises(UsageError, match="--force"):
        label_sets.tag(animals.store, "good", "latest")
    assert label_sets.get(animals.store, "good") == first
    label_sets.tag(animals.store, "good", "latest", force=True)
    assert label_sets.get(animals.store, "good") == second
    assert animals.ask("SELECT current, tags FROM label_sets") == [(False, []), (True, ["good"])]
    for reserved in ("current", "latest", " "):
        with pytest.raises(UsageError, match="cannot be a tag"):
            label_sets.tag(animals.store, reserved, "latest", force=True)


def test_a_difference_is_complete(animals: Task) -> None:
    """Gained, withdrawn, changed and unchanged labels account for both sets, in all and by class."""
    before, after = animals.label([2, 3, 4], [0, 0, 1]), animals.label([3, 4, 5, 6], [1, 1, 0, 1])
    found = label_sets.diff(animals.store, before.label_set_id, "current")
    assert (found.gained, found.withdrawn, found.changed, found.unchanged) == (2, 1, 1, 1)
    assert found.after == after
    assert found.classes.to_pylist() == [
        {
            "label": "cat",
            "before": 2,
            "after": 1,
            "gained": 1,
            "withdrawn": 1,
            "changed_to": 0,
            "changed_from": 1,
        },
        {
            "label": "dog",
            "before": 1,
            "after": 3,
            "gained": 1,
            "withdrawn": 0,
            "changed_to": 1,
            "changed_from": 0,
        },
    ]
    pair = f"'{before.label_set_id}', '{after.label_set_id}'"
    assert animals.ask(f"SELECT before, after FROM label_changes({pair}) WHERE sample_id = 'p3'") == [("cat", "dog")]


def test_an_export_has_every_label_and_no_test_row(animals: Task) -> None:
    """Exported are the labels of the view, each with what gave it; no test row and no row without a label."""
    label_set = animals.label([2, 3, 4], [0, 1, 1])
    animals.decide(3, "reject")
    rows = exported(animals)
    assert {row["id"]: (row["label"], row["source"]) for row in rows} == {
        sample: seen for sample, seen in shown(animals).items() if seen[0] is not None
    }
    assert [row["id"] for row in rows] == ["a", "b", "p2", "p4"]
    assert rows[2] == {
        "id": "p2",
        "label": "cat",
        "source": "pseudo",
        "confidence": 0.95,
        "label_set": label_set.label_set_id,
        "run": label_set.run_id,
        "model": label_set.model_id,
        "policy": label_set.policy_id,
    }
    assert rows[0]["label_set"] is None


def test_an_older_set_can_be_exported(animals: Task) -> None:
    """The export under a set is what the view would show if it were current."""
    first = animals.label([2], [0])
    animals.label([3], [1])
    assert [row["id"] for row in exported(animals, first)] == ["a", "b", "p2"]
    assert [row["id"] for row in exported(animals)] == ["a", "b", "p3"]


@pytest.mark.seconds
def test_a_million_labels_take_seconds(task: Task) -> None:
    """Labels are written, shown and exported in bulk."""
    rows: list[Row] = [("cat", "c", "cat"), ("dog", "d", "dog")]
    task.ingest(rows)
    with task.store.writing() as connection:
        connection.execute(
            "INSERT INTO sample SELECT range + 2, 's' || range, 'h' || range, NULL, 'pool' FROM range(1000000)"
        )
    numbers = np.arange(2, 1_000_002)
    started = time.monotonic()
    written = task.label(numbers, numbers % 2, chunk_rows=400_000)  # type: ignore[arg-type]
    assert written.rows == 1_000_000
    assert task.ask("SELECT count(*) FROM labels WHERE source = 'pseudo'") == [(1_000_000,)]
    assert sum(len(batch) for batch in label_sets.export_batches(task.store)) == 1_000_002
    assert time.monotonic() - started < 60
