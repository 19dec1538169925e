"""What training may see, and what it may not."""

from __future__ import annotations

import numpy as np
import pytest
from labeling_task import Row, Task

from labelsvc.store import held_out, samples
from labelsvc.store.datasets import Shares


@pytest.fixture
def split(task: Task) -> Task:
    """Give a task with all roles: 4 train, 3 validation, 3 calibration, 2 pool, 2 test rows."""
    labeled: list[Row] = [(f"s{n}", f"h{n}", "cat" if n % 2 else "dog") for n in range(10)]
    task.ingest([*labeled, ("p0", "q0", None), ("p1", "q1", None)], shares=Shares(3, 3))
    task.ingest([("t0", "z0", "cat"), ("t1", "z1", "dog")], role="test")
    return task


def seen_by_training(task: Task) -> set[int]:
    """Return every sample that a query for training gives."""
    train, validation = samples.given(task.store, "train"), samples.given(task.store, "validation")
    parts = (
        train.numbers,
        validation.numbers,
        samples.pool(task.store),
        samples.calibration_inputs(task.store),
    )
    return set(np.concatenate(parts).tolist())


def test_roles_part_the_samples(split: Task) -> None:
    """Each sample that is not test reaches training in exactly one way; test rows never do."""
    parts = (
        samples.given(split.store, "train").numbers,
        samples.given(split.store, "validation").numbers,
        samples.pool(split.store),
        samples.calibration_inputs(split.store),
    )
    assert [len(part) for part in parts] == [4, 3, 2, 3]
    assert seen_by_training(split) == set(range(12))
    assert held_out.test_labels(split.store).numbers.tolist() == [12, 13]


def test_arrays_have_the_records_types(split: Task) -> None:
    """Numbers are int64, classes int32, sorted by number."""
    given = samples.given(split.store, "train")
    assert [str(array.dtype) for array in (given.numbers, given.classes)] == ["int64", "int32"]
    assert (np.diff(given.numbers) > 0).all()


def test_decisions_override_given_labels(animals: Task) -> None:
    """Relabel changes the class, reject takes the sample away, unsure changes nothing, the newest counts."""
    animals.decide(0, "relabel", 1)
    animals.decide(0, "unsure")
    assert samples.given(animals.store, "train").classes.tolist() == [1, 1]
    animals.decide(0, "reject")
    assert samples.given(animals.store, "train").numbers.tolist() == [1]
    animals.decide(0, "confirm", 0)
    assert samples.given(animals.store, "train").classes.tolist() == [0, 1]


def test_a_decided_pool_sample_leaves_the_pool(animals: Task) -> None:
    """A confirmed pool sample is learnt from, a rejected one is neither pool nor train."""
    animals.decide(2, "confirm", 1)
    animals.decide(3, "reject")
    animals.decide(4, "unsure")
    assert samples.pool(animals.store).tolist() == [4, 5, 6, 7]
    assert samples.given(animals.store, "train").numbers.tolist() == [0, 1, 2]


def test_the_digest_sees_what_training_sees(animals: Task) -> None:
    """A new given label or pool sample changes the state's digest."""
    digests = [samples.state_digest(animals.store)]
    animals.ingest([("p2", "h2", "cat")])
    digests.append(samples.state_digest(animals.store))
    animals.ingest([("n", "hn", None)])
    digests.append(samples.state_digest(animals.store))
    assert len(set(digests)) == 3


def test_the_digest_sees_nothing_else(split: Task) -> None:
    """Neither test rows nor calibration labels change the state's digest."""
    before = samples.state_digest(split.store), held_out.test_digest(split.store)
    split.ingest([("t2", "z2", "cat")], role="test")
    hidden = int(samples.calibration_inputs(split.store)[0])
    with split.store.writing() as connection:
        connection.execute("UPDATE given_label SET class = 1 - class WHERE sample_no = ?", [hidden])
    assert samples.state_digest(split.store) == before[0]
    assert held_out.test_digest(split.store) != before[1]


def test_ids_come_in_the_order_of_the_question(animals: Task) -> None:
    """The ids of numbers are in their order, repeats included."""
    numbers = np.array([3, 0, 3, 8], np.int64)
    assert samples.ids(animals.store, numbers).to_pylist() == ["p3", "a", "p3", "t"]
    assert len(samples.ids(animals.store, numbers[:0])) == 0


def test_each_sample_lies_in_one_place(animals: Task) -> None:
    """A sample of two datasets is gathered from the older one, at its first position."""
    animals.ingest([("new", "hn", None), ("p2", "h2", None), ("new", "hn", None)])
    found = samples.locations(animals.store, np.array([9, 2, 0], np.int64))
    assert [place.dataset_no for place in found] == [1, 3]
    assert [place.numbers.tolist() for place in found] == [[0, 2], [9]]
    assert [place.positions.tolist() for place in found] == [[0, 2], [0]]
    assert samples.locations(animals.store, np.array([], np.int64)) == ()
