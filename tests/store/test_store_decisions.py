"""Decisions: taken whole or not at all, appended, and measured by what the reviewer saw."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa
import pytest
from labeling_task import Row, Task

from labelsvc.errors import InputError
from labelsvc.records import RowCount
from labelsvc.store import decisions, samples
from labelsvc.store.database import now

Word = tuple[str | None, str | None, str | None, str | None]  # id, decision, label, actor


def said(*words: Word, lead_times: Sequence[float | None] | None = None) -> pa.Table:
    """Return words as a table of decisions."""
    columns = dict(zip(("sample_id", "decision", "label", "actor"), zip(*words, strict=True), strict=True))
    columns["lead_time_s"] = tuple(lead_times or [None] * len(words))
    return pa.table({name: list(values) for name, values in columns.items()}, schema=decisions.SCHEMA)


def kept(task: Task) -> list[tuple[object, ...]]:
    """Return all decisions in their order."""
    return task.ask(
        "SELECT sample_id, decision, name, actor FROM decision JOIN sample USING (sample_no) "
        "LEFT JOIN class USING (class) ORDER BY decision_no"
    )


def mistake(task: Task, *words: Word, lead_times: Sequence[float | None] | None = None) -> str:
    """Return how decisions are refused, after checking that nothing was written."""
    table = said(*words, lead_times=lead_times)
    before = kept(task)
    with pytest.raises(InputError) as found:
        decisions.add(task.store, table)
    with pytest.raises(InputError) as checked:
        decisions.check(task.store, table)
    assert str(found.value) == str(checked.value)
    assert kept(task) == before
    return str(found.value)


def test_decisions_are_appended_in_their_order(animals: Task) -> None:
    """Each kind of decision is kept with its class, actor, the set that was shown, lead time and the time now."""
    shown = animals.label([2, 3], [0, 1])
    words = said(
        ("p2", "confirm", None, "ada"),
        ("p3", "relabel", "cat", "bob"),
        ("p4", "reject", None, "ada"),
        ("a", "unsure", None, "ada"),
        lead_times=[1.5, None, None, None],
    )
    before = now()
    assert decisions.add(animals.store, words) == RowCount(given=4, labeled=4)
    assert kept(animals) == [
        ("p2", "confirm", "cat", "ada"),
        ("p3", "relabel", "cat", "bob"),
        ("p4", "reject", None, "ada"),
        ("a", "unsure", None, "ada"),
    ]
    rows = animals.ask("SELECT decision_no, label_set_id, lead_time_s, created_at FROM decision ORDER BY ALL")
    assert [row[:3] for row in rows] == [
        (1, shown.label_set_id, 1.5),
        (2, shown.label_set_id, None),
        (3, None, None),
        (4, None, None),
    ]
    assert all(before <= row[3] <= before + timedelta(seconds=30) for row in rows)
    assert decisions.add(animals.store, said(("p5", "reject", None, "ada"))) == RowCount(given=1, labeled=1)
    assert animals.ask("SELECT max(decision_no) FROM decision") == [(5,)]


def test_a_confirmation_takes_what_is_shown(animals: Task) -> None:
    """Confirmed is the pseudo-label of the current set, the given label, or what another person said before."""
    animals.label([2], [1])
    animals.label([2, 3], [0, 1])
    decisions.add(animals.store, said(("p3", "relabel", "cat", "ada")))
    words = [("p2", "confirm", None, "bob"), ("b", "confirm", "dog", "bob"), ("p3", "confirm", "cat", "bob")]
    decisions.add(animals.store, said(*words))
    assert [row[:3] for row in kept(animals)[1:]] == [
        ("p2", "confirm", "cat"),
        ("b", "confirm", "dog"),
        ("p3", "confirm", "cat"),
    ]


def test_the_same_word_again_is_skipped(animals: Task) -> None:
    """What the newest decision of a sample says, by the same actor, is nothing new; of another actor it is."""
    animals.label([2], [0])
    words = [("p2", "confirm", None, "ada"), ("p4", "reject", None, "ada"), ("p5", "unsure", None, "ada")]
    decisions.add(animals.store, said(*words))
    assert decisions.add(animals.store, said(*words)) == RowCount(given=3, skipped=3)
    other = said(("p2", "confirm", None, "bob"), ("p4", "reject", None, "ada"))
    assert decisions.add(animals.store, other) == RowCount(given=2, labeled=1, skipped=1)
    assert decisions.add(animals.store, said(words[0])) == RowCount(given=1, labeled=1)  # after bob's, it is new


def test_a_word_twice_in_a_file_counts_once(animals: Task) -> None:
    """Within a file, too, only what differs from the row before it of the same sample is new; the last one counts."""
    words = [("p4", "relabel", "cat", "ada")] * 2 + [("p4", "relabel", "dog", "ada")]
    assert decisions.add(animals.store, said(*words)) == RowCount(given=3, labeled=2, skipped=1)
    assert animals.ask("SELECT label, source FROM labels WHERE sample_id = 'p4'") == [("dog", "decision")]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (("p99", "reject", None, "ada"), "row 1, id 'p99': there is no such sample"),
        ((None, "reject", None, "ada"), "row 1, id None: it has no id"),
        (("t", "reject", None, "ada"), "row 1, id 't': it is a test row"),
        (("p2", "reject", None, None), "has no actor"),
        (("p2", None, None, "ada"), "has no decision; write confirm, relabel, reject or unsure"),
        (("p2", "Reject", None, "ada"), "no decision 'Reject'; write confirm, relabel, reject or unsure"),
        (("p2", "reject", "cat", "ada"), "reject takes no label, and it has 'cat'"),
        (("p2", "unsure", "cat", "ada"), "unsure takes no label, and it has 'cat'"),
        (("p7", "confirm", None, "ada"), "shows no label to confirm"),
        (("p2", "confirm", "dog", "ada"), "shows the label 'cat', and 'dog' is confirmed; write relabel"),
        (("p2", "relabel", None, "ada"), "relabel needs a label; write one of cat, dog"),
        (("p2", "relabel", "cow", "ada"), "there is no class 'cow'; the classes are cat, dog"),
    ],
)
def test_a_wrong_row_is_told(animals: Task, word: Word, expected: str) -> None:
    """The row, its id, what is wrong and what to do are said, and the right row beside it is not taken either."""
    animals.label([2], [0])
    told = mistake(animals, ("p3", "reject", None, "ada"), word)
    assert told.startswith("1 row is wrong, so nothing was written: row 1, id ")
    assert expected in told


def test_a_lead_time_is_a_number_of_seconds(animals: Task) -> None:
    """A negative lead time and NaN are wrong."""
    for wrong in (-1.0, float("nan")):
        assert "lead time" in mistake(animals, ("p2", "reject", None, "ada"), lead_times=[wrong])


def test_many_wrong_rows_are_counted(animals: Task) -> None:
    """The first three are told in the order of the file, the others counted."""
    told = mistake(animals, *[(f"x{place}", "reject", None, "ada") for place in range(5)])
    assert told.startswith("5 rows are wrong")
    assert [name in told for name in ("x0", "x1", "x2", "x3")] == [True, True, True, False]
    assert "; and 2 more" in told


def test_what_was_rejected_shows_no_label(animals: Task) -> None:
    """After a reject there is nothing to confirm, whatever the set says; a relabel gives a label again."""
    animals.label([2], [0])
    decisions.add(animals.store, said(("p2", "reject", None, "ada")))
    assert "no label to confirm" in mistake(animals, ("p2", "confirm", None, "bob"))
    decisions.add(animals.store, said(("p2", "relabel", "dog", "bob")))
    assert animals.ask("SELECT label FROM labels WHERE sample_id = 'p2'") == [("dog",)]


def test_a_class_of_test_rows_alone_is_none(task: Task) -> None:
    """Review cannot bring a class that only test rows have: training would get an output for it."""
    task.ingest([("a", "h0", "cat"), ("p", "h1", None)])
    task.ingest([("t", "ht", "dog")], role="test")
    assert "there is no class 'dog'; the classes are cat" in mistake(task, ("p", "relabel", "dog", "ada"))


def test_no_decision_is_no_mistake(animals: Task) -> None:
    """A table without rows is taken, and nothing is written."""
    assert decisions.add(animals.store, decisions.SCHEMA.empty_table()) == RowCount()
    assert kept(animals) == []


def test_training_sees_decisions(animals: Task) -> None:
    """A relabeled pool sample is a labeled one, a rejected given label is none, and both have left the pool."""
    decisions.add(animals.store, said(("p2", "relabel", "dog", "ada"), ("a", "reject", None, "ada")))
    given = samples.given(animals.store, "train")
    assert dict(zip(given.numbers.tolist(), given.classes.tolist(), strict=True)) == {1: 1, 2: 1}
    assert 2 not in samples.pool(animals.store)


@pytest.mark.seconds
def test_many_decisions_take_seconds(task: Task) -> None:
    """Decisions are taken in bulk, and the same ones again are skipped in bulk."""
    rows: list[Row] = [("cat", "c", "cat"), ("dog", "d", "dog")]
    task.ingest(rows)
    count = 200_000
    with task.store.writing() as connection:
        connection.execute(
            f"INSERT INTO sample SELECT range + 2, 's' || range, 'h' || range, NULL, 'pool' FROM range({count})"
        )
    words = said(*[(f"s{place}", "relabel", ("cat", "dog")[place % 2], "ada") for place in range(count)])
    started = time.monotonic()
    assert decisions.add(task.store, words) == RowCount(given=count, labeled=count)
    assert decisions.add(task.store, words) == RowCount(given=count, skipped=count)
    assert time.monotonic() - started < 30
