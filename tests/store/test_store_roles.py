"""Who becomes validation and calibration: by unit, by class, by hash."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from labeling_task import Row, Task

from labelsvc.errors import InputError, UsageError
from labelsvc.store import Store
from labelsvc.store.datasets import Shares, add_rows
from labelsvc.store.roles import quotas

SHARES = Shares(0.2, 0.3)
labeled = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=6, max_size=40)  # class, group
few = settings(max_examples=25, deadline=None)


def hashed(number: int) -> str:
    """Return a content hash."""
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def roles_of(ingests: Sequence[Sequence[Row]], shares: Shares = SHARES) -> dict[str, str]:
    """Return the role of each id after these ingests into a store of their own."""
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Store(Path(folder) / "labels.duckdb"), Path(folder))
        for rows in ingests:
            try:
                task.ingest(rows, shares=shares)
            except UsageError:  # too few rows of too many classes to spare these shares
                assume(condition=False)
        return dict(task.ask("SELECT sample_id, role FROM sample"))


def expected(classes: Mapping[str, int], hashes: Mapping[str, str]) -> dict[str, str]:
    """Return the roles of rows without groups: by place in the order of hashes within the class."""
    drawn = quotas(Counter(classes.values()), SHARES)
    roles = {}
    for code, quota in drawn.items():
        members = sorted((hashes[name], name) for name in classes if classes[name] == code)
        for place, (_, name) in enumerate(members, 1):
            below = place <= quota.validation, place <= quota.validation + quota.calibration
            roles[name] = "validation" if below[0] else "calibration" if below[1] else "train"
    return roles


@pytest.mark.seconds
@few
@given(st.lists(st.integers(0, 2), min_size=6, max_size=40))
def test_rows_without_groups_take_their_places(codes: list[int]) -> None:
    """Where every unit is one row, exactly the quota of each class is drawn, in the order of hashes."""
    names = [str(code) for code in sorted(set(codes))]  # numbers get their codes in numeric order
    rows: list[Row] = [(f"s{n}", hashed(n), str(code)) for n, code in enumerate(codes)]
    classes = {f"s{n}": names.index(str(code)) for n, code in enumerate(codes)}
    drawn = roles_of([rows])
    assert drawn == expected(classes, {f"s{n}": hashed(n) for n in range(len(codes))})


@pytest.mark.seconds
@few
@given(labeled, st.integers(0, 40))
def test_no_group_is_split(drawn: list[tuple[int, int]], cut: int) -> None:
    """All labeled rows of a group have one role, those that come later too, whatever class they are of."""
    rows: list[Row] = [(f"s{n}", hashed(n), str(code), f"g{group}") for n, (code, group) in enumerate(drawn)]
    roles = roles_of([rows[:cut], rows[cut:]], Shares(0.2, 0.2))
    found = defaultdict(set)
    for n, (_, group) in enumerate(drawn):
        found[group].add(roles[f"s{n}"])
    assert {group: held for group, held in found.items() if len(held) > 1} == {}


@pytest.mark.seconds
@few
@given(labeled, st.randoms())
def test_groups_do_not_depend_on_the_order_of_rows(drawn: list[tuple[int, int]], random: object) -> None:
    """Shuffled rows draw the same roles, with groups and without."""
    rows: list[Row] = [
        (f"s{n}", hashed(n), str(code), f"g{group}" if group else None) for n, (code, group) in enumerate(drawn)
    ]
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert roles_of([rows]) == roles_of([shuffled])


def test_the_last_unit_of_a_class_is_for_training() -> None:
    """A class that is one group gives nothing away, however many rows are asked for."""
    rows: list[Row] = [(f"s{n}", hashed(n), "cat", "g") for n in range(10)]
    assert set(roles_of([rows], Shares(3, 3)).values()) == {"train"}


def test_groups_come_near_the_quota(task: Task) -> None:
    """Of many small groups, about as many rows are set aside as were asked for, of each class."""
    rows: list[Row] = [(f"s{n}", hashed(n), str(n // 3 % 4), f"g{n // 3}") for n in range(1200)]
    task.ingest(rows, shares=Shares(0.1, 0.2))
    counted = task.ask("SELECT label, role, count(*) FROM labels WHERE role <> 'train' GROUP BY ALL")
    for _, role, count in counted:
        assert abs(count - {"validation": 30, "calibration": 60}[role]) <= 3
    assert len(counted) == 8


def test_a_units_class_is_its_most_frequent_one(task: Task) -> None:
    """A group counts for the class of most of its rows, and for the lower code where two are as frequent."""
    tied: list[Row] = [("a", "h1", "1", "g"), ("b", "h2", "0", "g")]
    task.ingest([*tied, *((f"s{n}", hashed(n), "0") for n in range(9))], shares=Shares(5, 5))
    assert set(dict(task.ask("SELECT sample_id, role FROM sample")).values()) == {"train", "validation", "calibration"}
    assert quotas({0: 11}, Shares(5, 5))[0].validation == 5  # one stratum: no row of class 1 is asked for


def test_the_rows_of_a_pool_group_are_for_training(task: Task) -> None:
    """A group one of whose pool rows got a label is a group of train: its new labeled rows are for training."""
    task.ingest([("p", "hp", None, "g"), *((f"s{n}", hashed(n), "cat") for n in range(10))])
    task.ingest([("p", "hp", "cat", "g")])
    drawn = task.ingest([(f"g{n}", hashed(100 + n), "cat", "g") for n in range(10)], shares=Shares(4, 4)).roles
    assert drawn == {"train": 10}


@pytest.mark.parametrize("first", [[], [("a", "h0", "cat", "left")]])
def test_an_id_has_one_group(task: Task, first: list[Row]) -> None:
    """An id in two groups is an error that names it and its row, and nothing is written."""
    task.ingest([*first, ("z", "hz", None)])
    rows: list[Row] = [("n", "hn", None), ("a", "h0", "cat", "right"), *([] if first else [("a", "h0", "cat", "left")])]
    with pytest.raises(InputError, match=r"another group.*'a' \(digits\.parquet row 1.*Nothing was written"):
        task.ingest(rows)
    assert len(task.ask("FROM sample")) == len(first) + 1


def test_pool_rows_ask_for_nothing(task: Task) -> None:
    """A count of validation rows is of newly labeled ones: an ingest without any draws none."""
    assert task.ingest([("p", "hp", None)], shares=Shares(20, 20)).roles == {"pool": 1}


def test_an_ingest_needs_little_memory_or_takes_more(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where DuckDB has too little memory for an ingest it gets more, and each row is written once."""
    rows: list[Row] = [(f"s{n}", hashed(n), str(n % 7)) for n in range(20_000)]
    monkeypatch.setattr("labelsvc.store.datasets._MEMORY", ("1MB", "2MB"))
    arrived = add_rows(task.store, [(task.spool(rows), replace(task.dataset(), digest="d"))], Shares())
    assert arrived.datasets[0].samples == 20_000
    assert task.ask("SELECT count(*), count(DISTINCT sample_no) FROM sample") == [(20_000, 20_000)]
