"""What users may ask, and what they are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labeling_task import Task

from labelsvc.errors import InputError, UsageError
from labelsvc.records import Certificate
from labelsvc.store import certificates, questions
from labelsvc.store.identifiers import new_id


def answer(task: Task, sql: str, predictions: tuple[Path, ...] = ()) -> list[dict[str, object]]:
    """Return the rows of an answer."""
    with questions.query(task.store, sql, predictions) as reader:
        return reader.read_all().to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("sql", ["SELECT label FROM labels WHERE sample_id = 'a'", "FROM labels SELECT label LIMIT 1;"])
def test_a_question_is_answered(animals: Task, sql: str) -> None:
    """A statement that reads gives its rows."""
    assert answer(animals, sql) == [{"label": "cat"}]


@pytest.mark.parametrize("sql", ["DESCRIBE labels", "SHOW TABLES", "SUMMARIZE labels", "VALUES (1)"])
def test_looking_around_is_allowed(animals: Task, sql: str) -> None:
    """The statements that show the store's shape pass."""
    assert answer(animals, sql)


def test_an_empty_answer_has_columns(animals: Task) -> None:
    """An answer without rows still says its columns."""
    with questions.query(animals.store, "SELECT label FROM labels WHERE false") as reader:
        assert reader.schema.names == ["label"]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO class VALUES (9, 'x')",
        "DELETE FROM sample",
        "CREATE TABLE x (y INTEGER)",
        "COPY labels TO '{file}'",
        "ATTACH '{file}'",
        "EXPORT DATABASE '{file}'",
        "SELECT 1; SELECT 2",
        "EXPLAIN ANALYZE COPY labels TO '{file}'",
        "SET threads = 1",
        "",
    ],
)
def test_a_question_writes_nothing(animals: Task, tmp_path: Path, sql: str) -> None:
    """Whatever is not one SELECT is refused, and no file appears."""
    target = tmp_path / "written"
    before = animals.ask("SELECT count(*) FROM sample"), sorted(tmp_path.iterdir())
    with pytest.raises(UsageError):
        answer(animals, sql.format(file=target))
    assert (animals.ask("SELECT count(*) FROM sample"), sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM lables", "lables does not exist.*label_history"),
        ("SELECT 'x'::INTEGER FROM labels", "Could not convert"),
    ],
)
def test_a_mistake_is_explained_in_one_line(animals: Task, sql: str, said: str) -> None:
    """The message is DuckDB's, on one line, with the views that can be asked."""
    with pytest.raises(UsageError, match=said) as caught:
        answer(animals, sql)
    assert "\n" not in str(caught.value)


def test_predictions_can_be_joined(animals: Task, tmp_path: Path) -> None:
    """The run's Parquet is a view with the users' ids; a quote in its path is no harm."""
    folder = tmp_path / "it's"
    folder.mkdir()
    files = (folder / "1.parquet", folder / "2.parquet")
    for file, number in zip(files, (2, 3), strict=True):
        pq.write_table(pa.table({"sample_no": [number], "label": ["dog"], "confidence": [0.5]}), file)
    rows = answer(animals, "SELECT sample_id, confidence FROM predictions ORDER BY sample_id", files)
    assert rows == [{"sample_id": "p2", "confidence": 0.5}, {"sample_id": "p3", "confidence": 0.5}]


def test_a_sample_tells_its_history(animals: Task) -> None:
    """Every given label, label set and decision is told in the order of time, abstentions too."""
    first, second = animals.label([2, 3], [0, 1]), animals.label([3], [1])
    animals.decide(2, "relabel", 1)
    told = questions.history(animals.store, "p2")
    assert (told.sample_no, told.role, told.content_hash) == (2, "pool", "h2")
    assert [(place.uri, place.row) for place in told.sources] == [("digits.parquet", 2)]
    assert [(said.label_set_id, said.label, said.current) for said in told.verdicts] == [
        (first.label_set_id, "cat", False),
        (second.label_set_id, None, True),
    ]
    assert (told.verdicts[0].threshold, told.verdicts[0].runner_up, told.verdicts[0].method) == (
        0.9,
        "dog",
        "softmatch",
    )
    assert [(decision.decision, decision.label) for decision in told.decisions] == [("relabel", "dog")]
    assert (told.label, told.source) == ("dog", "decision")


def test_a_history_tells_what_is_promised(animals: Task) -> None:
    """Each label set comes with its newest valid certificate of all classes, else a void one, else none."""
    sets = [animals.label([2], [0]).label_set_id for _ in range(3)]
    whole = Certificate(new_id(), "calibration", 100, 1, 0.95, 0.9, 1, "d", valid=True, label_set_id=sets[0])
    certificates.add(
        animals.store,
        [
            whole,
            replace(whole, certificate_id=new_id(), valid=False, promised_precision=0.99),
            replace(whole, certificate_id=new_id(), class_name="dog", promised_precision=0.5),
            replace(whole, certificate_id=new_id(), label_set_id=sets[1], kind="audit", valid=False),
        ],
    )
    told = questions.history(animals.store, "p2").verdicts
    assert [
        (said.certificate, said.promised_precision, said.certificate_confidence, said.certified) for said in told
    ] == [
        ("calibration", 0.95, 0.9, True),
        ("audit", 0.95, 0.9, False),
        (None, None, None, None),
    ]


def test_history_and_labels_agree(animals: Task) -> None:
    """What a history says is in force is what the view shows."""
    animals.label([2, 3, 4], [0, 1, 1])
    animals.decide(3, "reject")
    animals.ingest([("p4", "h4", "cat")])
    for sample_id, label, source in animals.ask("SELECT sample_id, label, source FROM labels"):
        told = questions.history(animals.store, str(sample_id))
        assert (told.label, told.source) == (label, source)


def test_a_set_says_nothing_of_samples_it_was_not_asked_of(animals: Task) -> None:
    """Labeled samples, and samples that came later, have no abstention in their history."""
    animals.label([2], [0])
    animals.ingest([("late", "hl", None)])
    for sample_id in ("a", "late", "t"):
        assert questions.history(animals.store, sample_id).verdicts == ()
    assert [given.label for given in questions.history(animals.store, "a").given] == ["cat"]


def test_an_unknown_sample_names_its_neighbours(animals: Task) -> None:
    """A mistyped id is an error with ids like it."""
    animals.ingest([("train/img_0042.png", "hi", None)])
    with pytest.raises(InputError, match=r"did you mean 'train/img_0042\.png'"):
        questions.history(animals.store, "train/img_0024.png")
    with pytest.raises(InputError, match="no sample with the id 'zzz'"):
        questions.history(animals.store, "zzz")


@pytest.mark.parametrize(
    "sql", ["FROM 'https://example.com/x.parquet'", "FROM store", "FROM predictions", "INSTALL httpfs", "LOAD httpfs"]
)
def test_a_question_reaches_neither_the_network_nor_our_variables(
    animals: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """Nothing is fetched or installed for a question, and the program's own names are no tables."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(UsageError) as told:
        answer(animals, sql)
    assert "Python" not in str(told.value)
    assert not (tmp_path / "home").exists()
