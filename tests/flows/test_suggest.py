"""suggest: rows to label next, and their way back into the workspace."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from labelsvc import flows
from labelsvc.errors import InputError, UsageError
from labelsvc.flows import _suggest
from labelsvc.records import RowCount

from .digits import NINETY, QUICK, SHORT, Digits, Heard, ask, decide, written

TWENTY = flows.SuggestConfig(n=20, device="cpu")


def ids(outcome: _suggest.SuggestOutcome) -> list[str]:
    """Return the ids of what was suggested."""
    return [one.id for one in outcome.suggestions]


def filled(digits: Digits, file: Path, rows: int | None = None) -> Path:
    """Fill in the true labels of a suggested file's first rows, as a person would."""
    table = pq.read_table(file) if file.suffix == ".parquet" else pa.csv.read_csv(file)
    names = [digits.classes[int(name.removeprefix("digit-"))] for name in table["id"].to_pylist()]
    labels = pa.array([name if rows is None or place < rows else None for place, name in enumerate(names)], pa.string())
    table = table.set_column(table.column_names.index("label"), "label", labels)
    if file.suffix == ".parquet":
        return written(file, table)
    pa.csv.write_csv(table, file)
    return file


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["to_label.csv", "to_label.parquet"])
def test_suggested_labels_come_back_as_train_rows(taught: Path, digits: Digits, tmp_path: Path, name: str) -> None:
    """Filled in and ingested, suggested rows count as train; no calibration or validation row is added or lost."""
    roles = ask(taught, "SELECT sample_id, role FROM sample ORDER BY ALL")
    outcome = flows.suggest(taught, TWENTY, output=tmp_path / name)
    assert outcome.next_command == f"labelsvc ingest --labels {tmp_path / name}"
    came = flows.ingest(taught, config=flows.IngestConfig(labels=str(filled(digits, tmp_path / name))))
    assert came.rows.labeled == 20
    assert ask(taught, "SELECT sample_id, role FROM sample ORDER BY ALL") == roles
    shown = dict(ask(taught, "SELECT sample_id, source FROM labels"))
    assert {shown[one] for one in ids(outcome)} == {"given"}
    assert flows.train(taught, SHORT).rows == RowCount(given=80, labeled=80)
    assert not set(ids(flows.suggest(taught, TWENTY))) & set(ids(outcome))


@pytest.mark.seconds
def test_an_empty_label_means_none(taught: Path, digits: Digits, tmp_path: Path) -> None:
    """Of a file that is half filled in, the rest stays in the pool, as CSV and as Parquet."""
    for name, labeled in (("some.csv", 8), ("some.parquet", 5)):
        outcome = flows.suggest(taught, TWENTY, output=tmp_path / name)
        file = filled(digits, tmp_path / name, rows=labeled)
        flows.ingest(taught, config=flows.IngestConfig(labels=str(file)))
        shown = dict(ask(taught, "SELECT sample_id, source FROM labels"))
        assert [shown[one] for one in ids(outcome)] == ["given"] * labeled + ["none"] * (20 - labeled)


@pytest.mark.seconds
def test_the_same_call_suggests_the_same(taught: Path) -> None:
    """Suggesting twice is suggesting once; each time is a run that says which rows."""
    first, again = flows.suggest(taught, TWENTY), flows.suggest(taught, TWENTY)
    assert first.suggestions == again.suggestions
    assert first.rows == RowCount(given=300, labeled=20, abstained=280)
    ((said,),) = ask(taught, f"SELECT outcome->>'$.suggested[0]' FROM run WHERE run_id = '{first.run_id}'")
    assert said == ids(first)[0]


@pytest.mark.seconds
def test_what_somebody_spoke_of_is_never_suggested(labeled: Path) -> None:
    """Decided, given, calibration, validation and test rows are not; asked for all, exactly the pool is suggested."""
    one, two, three = (
        sample_id for (sample_id,) in ask(labeled, "FROM sample SELECT sample_id WHERE role = 'pool' LIMIT 3")
    )
    decide(labeled, one, "relabel", "3")
    decide(labeled, two, "reject")
    decide(labeled, three, "unsure")
    found = ids(flows.suggest(labeled, flows.SuggestConfig(n=1_000, device="cpu")))
    pool = {sample_id for (sample_id,) in ask(labeled, "FROM sample SELECT sample_id WHERE role = 'pool'")}
    assert sorted(found) == sorted(pool - {one, two})


@pytest.mark.seconds
def test_what_label_wrote_of_the_pool_is_taken_from_there(taught: Path) -> None:
    """With the stored predictions of a labeling and without, the same rows are suggested for the same reasons."""
    before = flows.suggest(taught, TWENTY)
    flows.label(taught, NINETY)
    assert flows.suggest(taught, TWENTY).suggestions == before.suggestions


@pytest.mark.seconds
def test_of_a_large_pool_a_sample_is_looked_at(taught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pool is larger than what is looked at, that is said, and suggestions are among what was."""
    monkeypatch.setattr(_suggest, "LARGEST", 50)
    heard = Heard()
    outcome = flows.suggest(taught, TWENTY, listener=heard)
    assert outcome.looked_at == 50
    assert any("50 rows of the pool, drawn at random from 300" in note for note in heard.notes)


@pytest.mark.seconds
def test_parquet_carries_the_pictures(taught: Path, digits: Digits, tmp_path: Path) -> None:
    """Beside each suggested id lies its picture, so that whoever labels it sees it; the label is empty."""
    flows.suggest(taught, TWENTY, output=tmp_path / "to_label.parquet")
    table = pq.read_table(tmp_path / "to_label.parquet")
    assert table["label"].null_count == 20
    for row in table.to_pylist():
        own = digits.pictures[int(row["id"].removeprefix("digit-"))]
        shown = [np.asarray(Image.open(io.BytesIO(one))) for one in (row["image"]["bytes"], own)]
        np.testing.assert_array_equal(*shown)


@pytest.mark.seconds
def test_a_class_without_labels_is_found(digits: Digits, tmp_path: Path) -> None:
    """Of digits with no 3 among the labels, a few suggestions hold one."""
    labeled = [row for row in range(100) if digits.classes[row] != "3"]
    workspace = tmp_path / "workspace"
    files = [digits.write(tmp_path / "a.parquet", labeled), digits.write_pool(tmp_path / "b.parquet", range(100, 800))]
    flows.ingest(workspace, files)
    flows.train(workspace, QUICK)
    found = [digits.classes[int(one.removeprefix("digit-"))] for one in ids(flows.suggest(workspace, TWENTY))]
    assert "3" in found[:10]


def test_what_cannot_be_suggested_is_told(ingested: Path, tmp_path: Path) -> None:
    """Without a model, and with a file of another kind, the message says what to do, and no run is recorded."""
    with pytest.raises(InputError, match="labelsvc train"):
        flows.suggest(ingested, TWENTY)
    with pytest.raises(UsageError, match=r"ends in \.parquet or \.csv"):
        flows.suggest(ingested, TWENTY, output=tmp_path / "rows.txt")
    with pytest.raises(UsageError, match="--n 0"):
        flows.SuggestConfig(n=0)
    assert ask(ingested, "SELECT count(*) FROM run WHERE command = 'suggest'") == [(0,)]


@pytest.mark.seconds
def test_an_empty_pool_has_nothing_to_suggest(digits: Digits, tmp_path: Path) -> None:
    """Where every row has a label, the message says so."""
    flows.ingest(tmp_path / "full", [digits.labeled])
    flows.train(tmp_path / "full", SHORT)
    with pytest.raises(InputError, match="the pool is empty"):
        flows.suggest(tmp_path / "full", TWENTY)
