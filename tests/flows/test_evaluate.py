"""evaluate: the only reader of test rows counts as anybody would, and says what it counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.errors import InputError, UsageError
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._models import open_network
from labelsvc.records import Model
from labelsvc.store import held_out
from labelsvc.training.rows import as_floats
from labelsvc.workspace import Workspace

from .digits import NINETY, SHORT, Digits, Heard, ask, newest, store_of, written


def answers_of(workspace: Path, model: Model) -> tuple[int, int]:
    """Count, without the flow's own code for it, how many test rows a model gets right, and of how many."""
    import torch

    truth = held_out.test_labels(store_of(workspace))
    pixels = open_inputs(Workspace(workspace), store_of(workspace), truth.numbers).gather(truth.numbers)
    with torch.inference_mode():
        answers = open_network(Workspace(workspace), model)(as_floats(torch.from_numpy(pixels))).argmax(dim=1).numpy()
    return int((answers == truth.classes).sum()), len(truth)


def test_accuracy_is_an_independent_count(taught: Path) -> None:
    """Right answers over test rows, in all and by class, are those that a plain loop counts."""
    found = flows.evaluate(taught).score
    assert (found.right, found.rows) == answers_of(taught, newest(taught))
    assert found.accuracy == found.right / 200
    assert sum(one.rows for one in found.classes) == sum(one.named for one in found.classes) == 200
    truth = "SELECT name, count(*) FROM given_label JOIN sample USING (sample_no) JOIN class USING (class)"
    assert {one.name: one.rows for one in found.classes} == dict(
        ask(taught, f"{truth} WHERE role = 'test' GROUP BY ALL")
    )


def test_labels_are_scored_by_an_independent_join(labeled: Path, digits: Digits) -> None:
    """Against a file of truth, labeled and right are what SQL finds by joining it to the labels."""
    found = flows.evaluate(labeled, truth=digits.truth)
    joined = ask(
        labeled,
        "SELECT count(*), count(labels.label), count(*) FILTER (labels.label = truth.label) "
        f"FROM read_parquet('{digits.truth}') AS truth JOIN labels ON labels.sample_id = truth.id",
    )
    assert [(found.score.rows, found.score.labeled, found.score.right)] == joined
    assert (found.rows.labeled, found.rows.abstained) == (found.score.labeled, 300 - found.score.labeled)


def test_truth_may_name_a_part_of_the_pool(labeled: Path, digits: Digits, tmp_path: Path) -> None:
    """Only pool rows that the file names are scored: unknown ids, given labels and test rows are left out."""
    some = digits.table([*range(5), *range(150, 160), *range(400, 405), *range(900, 905)]).drop_columns("image")
    assert flows.evaluate(labeled, truth=written(tmp_path / "some.parquet", some)).score.rows == 10
    none = written(tmp_path / "none.parquet", some.slice(15))
    with pytest.raises(InputError, match="none of the 10 ids"):
        flows.evaluate(labeled, truth=none)


def test_a_truth_of_unknown_classes_is_never_right(labeled: Path, digits: Digits, tmp_path: Path) -> None:
    """A class that the workspace does not know counts as a row, and no label of it is right."""
    table = pq.read_table(digits.truth)
    strange = table.set_column(1, "label", [["cat"] * len(table)])
    found = flows.evaluate(labeled, truth=written(tmp_path / "strange.parquet", strange)).score
    assert (found.rows, found.right) == (300, 0)


def test_moments_become_a_curve(ingested: Path) -> None:
    """Every kept moment is scored into the training run's curves, and the last one is the model itself."""
    model = flows.train(ingested, replace(SHORT, steps=4, keep_moments=2)).model
    outcome = flows.evaluate(ingested, moments=True)
    assert [(point.step, point.name) for point in outcome.moments] == [(2, "test accuracy"), (4, "test accuracy")]
    assert outcome.moments[-1].value == outcome.score.accuracy
    curve = ask(ingested, "SELECT run_id, step, value FROM curves WHERE name = 'test accuracy' ORDER BY step")
    assert curve == [(model.run_id, point.step, point.value) for point in outcome.moments]


@pytest.mark.seconds
def test_scoring_moments_twice_makes_one_curve(ingested: Path) -> None:
    """Asking again for the moments' scores does not draw the same points twice."""
    flows.train(ingested, replace(SHORT, steps=4, keep_moments=2))
    first, second = (flows.evaluate(ingested, moments=True).moments for _ in range(2))
    assert first == second
    assert ask(ingested, "SELECT count(*) FROM curves WHERE name = 'test accuracy'") == [(2,)]


def test_moments_that_were_not_kept_are_missed(taught: Path) -> None:
    """Without ``--keep-moments`` there are none to score, and the error names the flag."""
    with pytest.raises(InputError, match="--keep-moments"):
        flows.evaluate(taught, moments=True)


def test_without_labels_the_newest_model_is_scored(taught: Path) -> None:
    """Before the first label set there is only the newest model, and the notes name it."""
    heard = Heard()
    assert flows.evaluate(taught, listener=heard).subject.startswith(f"teacher {newest(taught).model_id}")
    assert any(newest(taught).model_id in note for note in heard.notes)


@pytest.mark.seconds
def test_the_model_in_use_is_chosen_aloud(distilled: Path) -> None:
    """The current set's student, else its teacher; a newer model is pointed out, and scored where it is named."""
    heard, student = Heard(), newest(distilled)
    newer = flows.train(distilled, SHORT).model
    assert flows.evaluate(distilled, listener=heard).subject.startswith(f"student {student.model_id}")
    assert f"a newer teacher {newer.model_id} exists; name it with --from" in heard.notes
    assert flows.evaluate(distilled, model=newer.model_id[-8:]).subject.startswith(f"teacher {newer.model_id}")
    flows.label(distilled, replace(NINETY, threshold=0.99, model=student.parent_id))
    assert flows.evaluate(distilled).subject.startswith(f"teacher {student.parent_id}")


@pytest.mark.seconds
def test_what_cannot_be_scored_is_told(labeled: Path, digits: Digits, tmp_path: Path) -> None:
    """No test rows, no label set, no truth column, no such model: each is an error with a way out."""
    flows.ingest(tmp_path / "w", [digits.labeled])
    flows.train(tmp_path / "w", SHORT)
    with pytest.raises(InputError, match="--test FILE"):
        flows.evaluate(tmp_path / "w")
    with pytest.raises(InputError, match="labelsvc label"):
        flows.evaluate(tmp_path / "w", truth=digits.truth)
    with pytest.raises(InputError, match="has no column 'label'"):
        flows.evaluate(labeled, truth=digits.unlabeled)
    with pytest.raises(UsageError, match="no model ends in"):
        flows.evaluate(labeled, model="nobody")


def test_weights_that_changed_are_refused(taught: Path) -> None:
    """A model's weights are the recorded ones or an error: other bytes, or none, are not scored."""
    teacher, other = newest(taught), flows.train(taught, SHORT).model
    (taught / teacher.path).write_bytes((taught / other.path).read_bytes())
    with pytest.raises(InputError, match="not the ones that were recorded"):
        flows.evaluate(taught, model=teacher.model_id)
    (taught / teacher.path).unlink()
    with pytest.raises(InputError, match="gone"):
        flows.evaluate(taught, model=teacher.model_id)


def test_a_truth_of_null_says_nothing(labeled: Path, digits: Digits, tmp_path: Path) -> None:
    """Rows of a file of truth without a label, or that come twice, are not counted as wrong or again."""
    known = pq.read_table(digits.truth)
    told = flows.evaluate(labeled, truth=digits.truth).score
    blank = known.slice(0, 10).set_column(known.schema.get_field_index("label"), "label", [[None] * 10])
    twice = pa.concat_tables([known.slice(10), known.slice(10, 5), blank.cast(known.schema)])
    found = flows.evaluate(labeled, truth=written(tmp_path / "truth.parquet", twice)).score
    assert found.rows == told.rows - 10
    assert found.labeled - found.right <= told.labeled - told.right
