"""labels decide: a file of people's words is taken whole, counts at once, and is what the next student learns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.errors import InputError
from labelsvc.records import RowCount
from labelsvc.report.story import tell
from labelsvc.store import label_sets

from .digits import QUICK, SHORT, ask, store_of, written
from .test_distill import lessons


def words(path: Path, rows: list[tuple[Any, ...]], *names: str) -> Path:
    """Write rows of decisions as Parquet, by default with the columns id, decision, label and actor."""
    columns = zip(*rows, strict=True)
    return written(path, pa.table(dict(zip(names or ("id", "decision", "label", "actor"), columns, strict=True))))


@pytest.fixture
def accepted(labeled: Path) -> list[tuple[str, str]]:
    """Give ids and labels of some samples that the current set labels."""
    return ask(labeled, "SELECT sample_id, label FROM labels WHERE source = 'pseudo' ORDER BY sample_id LIMIT 4")


def other(label: str) -> str:
    """Return another class."""
    return str((int(label) + 1) % 10)


def test_decisions_count_at_once(labeled: Path, accepted: list[tuple[str, str]], tmp_path: Path) -> None:
    """What people said is the label that is shown, with the source decision, and a sample's story tells it."""
    (first, right), (second, wrong), (third, _), (fourth, said) = accepted
    rows = [
        (first, "confirm", None, "ada"),
        (second, "relabel", other(wrong), "ada"),
        (third, "reject", None, "bob"),
        (fourth, "unsure", None, "bob"),
    ]
    outcome = flows.decide_labels(labeled, words(tmp_path / "words.parquet", rows))
    assert outcome.rows == RowCount(given=4, labeled=4)
    assert outcome.decisions == {"confirm": 1, "relabel": 1, "reject": 1, "unsure": 1}
    shown = {row[0]: row[1:] for row in ask(labeled, "SELECT sample_id, label, source FROM labels")}
    assert shown[first] == (right, "decision")
    assert shown[second] == (other(wrong), "decision")
    assert shown[third] == (None, "decision")
    assert shown[fourth] == (said, "pseudo")
    story = " ".join(tell(flows.trace(labeled, second)))
    assert f"ada relabeled it {other(wrong)}, shown label set" in story
    current = label_sets.current(store_of(labeled))
    assert current is not None
    assert ask(labeled, "SELECT DISTINCT label_set_id FROM decision") == [(current.label_set_id,)]


def test_deciding_is_a_run(labeled: Path, accepted: list[tuple[str, str]], tmp_path: Path) -> None:
    """A run with the command ``decide`` accounts for the rows; the same file again is skipped, row by row."""
    file = words(tmp_path / "words.parquet", [(accepted[0][0], "reject", None, "ada")])
    outcome = flows.decide_labels(labeled, file)
    again = flows.decide_labels(labeled, file)
    assert again.rows == RowCount(given=1, skipped=1)
    recorded = "SELECT run_id, rows_given, rows_labeled, rows_skipped FROM run WHERE command = 'decide' ORDER BY run_id"
    assert ask(labeled, recorded) == [(outcome.run_id, 1, 1, 0), (again.run_id, 1, 0, 1)]
    assert ask(labeled, "SELECT count(*) FROM decision") == [(1,)]


@pytest.mark.seconds
def test_the_next_student_learns_from_them(labeled: Path, accepted: list[tuple[str, str]], tmp_path: Path) -> None:
    """A relabeled pool row is learnt with its new class, a rejected one is not learnt, and distilling is no repeat."""
    flows.distill(labeled, SHORT)
    before = lessons(labeled)
    (relabeled, wrong), (rejected, _), (confirmed, right), _ = accepted
    rows = [
        (relabeled, "relabel", other(wrong), "ada"),
        (rejected, "reject", None, "ada"),
        (confirmed, "confirm", None, "ada"),
    ]
    flows.decide_labels(labeled, words(tmp_path / "words.parquet", rows))
    numbers = dict(ask(labeled, "SELECT sample_id, sample_no FROM sample"))
    after = lessons(labeled)
    assert after[numbers[relabeled]] == int(other(wrong))
    assert before.keys() - after.keys() == {numbers[rejected]}
    assert after[numbers[confirmed]] == int(right)
    again = flows.distill(labeled, SHORT)
    assert (again.repeated, again.rows.given) == (False, len(before) - 1)
    assert not flows.train(labeled, SHORT).repeated


def test_an_unsure_repeats_what_was_done(labeled: Path, accepted: list[tuple[str, str]], tmp_path: Path) -> None:
    """An unsure changes nothing, so that a training that was done is still done."""
    flows.decide_labels(labeled, words(tmp_path / "words.parquet", [(accepted[0][0], "unsure", None, "ada")]))
    assert flows.train(labeled, QUICK).repeated


def test_a_csv_file_does_as_well(labeled: Path, accepted: list[tuple[str, str]], tmp_path: Path) -> None:
    """In CSV an empty field is none, ids and labels are texts, and a lead time is a number."""
    (first, label), (second, _), *_ = accepted
    file = tmp_path / "words.csv"
    file.write_text(
        f"id,decision,label,actor,lead_time_s,remark\n{first},confirm,{label},ada,2.5,clear\n{second},reject,,ada,,\n"
    )
    assert flows.decide_labels(labeled, file).rows.labeled == 2
    assert ask(labeled, "SELECT decision, lead_time_s FROM decision ORDER BY decision_no") == [
        ("confirm", 2.5),
        ("reject", None),
    ]


def test_an_actor_is_told_where_the_file_names_none(
    labeled: Path, accepted: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Without the column ``actor`` the caller names who decided; where the file says it, the file counts."""
    file = words(tmp_path / "words.parquet", [(accepted[0][0], "reject", "")], "id", "decision", "label")
    with pytest.raises(InputError, match="--actor NAME"):
        flows.decide_labels(labeled, file)
    flows.decide_labels(labeled, file, actor="ada")
    named = words(tmp_path / "named.parquet", [(accepted[1][0], "reject", None, "bob")])
    flows.decide_labels(labeled, named, actor="ada")
    assert ask(labeled, "SELECT actor FROM decision ORDER BY decision_no") == [("ada",), ("bob",)]


@pytest.mark.parametrize(
    ("rows", "names", "expected"),
    [
        ([("digit-0100", "reject")], ("id", "decision"), r"words.parquet has no column 'label'"),
        ([("reject", None, "ada")], ("decision", "label", "actor"), r"words.parquet has no column 'id'"),
        ([("nobody", "reject", None, "ada")], (), r"words.parquet: 1 row is wrong.*row 0, id 'nobody'"),
        ([("digit-0400", "reject", None, "ada")], (), "it is a test row"),
        ([("digit-0100", "relabel", "cat", "ada")], (), "no class 'cat'; the classes are 0, 1, 2"),
        (
            [("digit-0100", "reject", None, "ada", "soon")],
            ("id", "decision", "label", "actor", "lead_time_s"),
            "column 'lead_time_s' holds string, not double",
        ),
    ],
)
def test_a_wrong_file_leaves_no_trace(
    labeled: Path, tmp_path: Path, rows: list[tuple[Any, ...]], names: tuple[str, ...], expected: str
) -> None:
    """What is wrong with a file is told with its name, and neither a decision nor a run is written."""
    before = len(flows.list_runs(labeled))
    with pytest.raises(InputError) as found:
        flows.decide_labels(labeled, words(tmp_path / "words.parquet", rows, *names))
    assert re.search(expected, str(found.value))
    assert len(flows.list_runs(labeled)) == before
    assert ask(labeled, "SELECT count(*) FROM decision") == [(0,)]


@pytest.mark.parametrize("name", ["words.parquet", "words.csv", "missing.parquet", "missing.csv"])
def test_what_is_no_table_is_told(labeled: Path, tmp_path: Path, name: str) -> None:
    """A file that is missing, no Parquet or no CSV is an input error that names it."""
    if name.startswith("words"):
        (tmp_path / name).write_bytes(b"\x00\xff\n1,2\n,,,\n")
    with pytest.raises(InputError, match=name):
        flows.decide_labels(labeled, tmp_path / name)


def test_numbers_and_categories_are_texts(labeled: Path, accepted: list[tuple[str, str]], tmp_path: Path) -> None:
    """Labels that are integers and texts that a data frame keeps as categories are read as what they show."""
    sample, label = accepted[0]
    table = pa.table(
        {
            "id": pa.array([sample]).dictionary_encode(),
            "decision": pa.array(["relabel"]).dictionary_encode(),
            "label": pa.array([int(other(label))]),
            "actor": ["ada"],
        }
    )
    pq.write_table(table, tmp_path / "words.parquet")
    flows.decide_labels(labeled, tmp_path / "words.parquet")
    assert ask(labeled, f"SELECT label FROM labels WHERE sample_id = '{sample}'") == [(other(label),)]
