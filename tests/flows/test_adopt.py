"""label --from-predictions: another program's words are labeled, promised, traced and learnt from like our own."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from labelsvc import flows
from labelsvc.config import IngestConfig, LabelConfig, TrainConfig
from labelsvc.errors import InputError, PromiseError, UsageError
from labelsvc.flows._adopt import adopt
from labelsvc.store import label_sets, models

from .digits import Digits, Heard, ask, newest, store_of, written

HELD = IngestConfig(validation=60, calibration=320)
LABELED, POOL = range(620), range(620, 1797)
ROLES = "SELECT sample_id FROM sample WHERE role = 'train'"


@pytest.fixture(scope="session")
def untaught_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep 240 digits to learn from, 60 for validation and 320 for calibration, beside a pool of 1,177; no model."""
    folder = tmp_path_factory.mktemp("untaught")
    files = [digits.write(folder / "labeled.parquet", LABELED), digits.write_pool(folder / "pool.parquet", POOL)]
    flows.ingest(folder / "workspace", files, config=HELD)
    foreign = _foreign(digits, {name for (name,) in ask(folder / "workspace", ROLES)})
    written(folder / "workspace" / "foreign.parquet", foreign)
    return folder / "workspace"


@pytest.fixture
def untaught(untaught_once: Path, tmp_path: Path) -> Path:
    """Give such a workspace of one's own, with what a foreign model says of all digits in foreign.parquet."""
    return shutil.copytree(untaught_once, tmp_path / "workspace")


def _foreign(digits: Digits, train: Collection[str]) -> pa.Table:
    """Return what scikit-learn's regression, which learnt train rows' pixels, says of every digit."""
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(png)), np.float64).ravel() / 255 for png in digits.pictures])
    ids = [f"digit-{row:04d}" for row in range(len(pixels))]
    learnt = np.array([one in train for one in ids])
    model = LogisticRegression(max_iter=1000).fit(pixels[learnt], np.array(digits.classes)[learnt])
    said = model.predict_proba(pixels)
    return pa.table({"id": ids} | {name: said[:, code] for code, name in enumerate(model.classes_)})


def asked(workspace: Path, **rule: object) -> LabelConfig:
    """Return what ``label`` is told of the foreign model's file."""
    return LabelConfig(predictions=str(workspace / "foreign.parquet"), device="cpu", **rule)  # type: ignore[arg-type]


def kept(workspace: Path, keep: Collection[int] | range, name: str = "foreign.parquet") -> None:
    """Leave only the predictions of these digits in the file."""
    from pyarrow import parquet

    table = parquet.read_table(workspace / "foreign.parquet")
    written(workspace / name, table.take(list(keep)))


def runs_of(workspace: Path, command: str) -> int:
    """Return how many runs of a command there are."""
    return int(ask(workspace, f"SELECT count(*) FROM run WHERE command = '{command}'")[0][0])


def test_exactly_its_confident_rows_are_labeled(untaught: Path) -> None:
    """A pool row has the foreign model's likeliest class if its probability reaches the threshold, as the file says."""
    outcome = flows.label(untaught, asked(untaught, threshold=0.9))
    names = ", ".join(f'"{code}"' for code in range(10))
    expected = ask(
        untaught,
        f"SELECT id, list_position(said, list_max(said)) - 1, list_max(said) FROM (SELECT id, [{names}] AS said "
        f"FROM '{untaught / 'foreign.parquet'}') JOIN sample ON sample_id = id WHERE role = 'pool' "
        "AND list_max(said) >= 0.9 ORDER BY id",
    )
    found = ask(untaught, "SELECT sample_id, label, confidence FROM labels WHERE source = 'pseudo' ORDER BY sample_id")
    assert found == [(name, str(code), score) for name, code, score in expected]
    assert 100 < outcome.rows.labeled == len(found) < outcome.rows.given == 1177


def test_the_labels_say_where_they_come_from(untaught: Path) -> None:
    """Model, policy and provenance name the file and its content, of which a copy is kept."""
    outcome = flows.label(untaught, asked(untaught))
    content = hashlib.sha256((untaught / "foreign.parquet").read_bytes()).hexdigest()
    model = outcome.model
    assert (model.role, model.method, model.network, model.sha256) == (
        "teacher",
        "predictions",
        "foreign.parquet",
        content,
    )
    assert (model.temperature, model.calibrated, model.classes[:2]) == (1.0, False, ("0", "1"))
    assert hashlib.sha256((untaught / model.path).read_bytes()).hexdigest() == content
    told = "SELECT DISTINCT score, method, network, weights_sha256, model_id FROM provenance WHERE source = 'pseudo'"
    score = "confidence of foreign.parquet"
    assert ask(untaught, told) == [(score, "predictions", "foreign.parquet", content, model.model_id)]
    ((one,),) = ask(untaught, "SELECT min(sample_id) FROM labels WHERE source = 'pseudo'")
    assert flows.trace(untaught, one).source == "pseudo"


def test_only_what_a_model_is_asked_is_taken(untaught: Path) -> None:
    """Pool, calibration and validation rows are taken, train rows are not; unknown ids are counted and said."""
    from pyarrow import parquet

    table = parquet.read_table(untaught / "foreign.parquet")
    stranger = table.slice(0, 3).set_column(0, "id", pa.array(["a", "b", "c"]))
    written(untaught / "foreign.parquet", pa.concat_tables([stranger, table]))
    heard = Heard()
    flows.label(untaught, asked(untaught), listener=heard)
    assert any(
        "1,557 of 1,800 predictions taken, 3 ids are unknown here and 240 are of" in note for note in heard.notes
    )
    assert ask(untaught, "SELECT DISTINCT role FROM predictions JOIN sample USING (sample_no) ORDER BY role") == [
        ("calibration",),
        ("pool",),
        ("validation",),
    ]
    counted = "SELECT rows_given, rows_labeled, rows_skipped FROM run WHERE command = 'adopt'"
    assert ask(untaught, counted) == [(1800, 1557, 243)]


def test_a_precision_is_promised_of_foreign_labels(untaught: Path) -> None:
    """--precision finds the threshold on calibration rows that the foreign model never saw, and is right about it."""
    heard = Heard()
    outcome = flows.label(untaught, asked(untaught, precision=0.9), listener=heard)
    assert any("foreign.parquet holds only if what made it never learnt from" in note for note in heard.notes)
    (found,) = outcome.certificates
    assert (found.valid, found.look, found.model_id) == (True, 1, outcome.model.model_id)
    threshold = label_sets.policy(store_of(untaught), outcome.label_set).threshold
    counted = ask(
        untaught,
        "SELECT count(*), count(*) FILTER (said.label <> class.name) FROM predictions AS said JOIN sample USING "
        "(sample_no) JOIN given_label USING (sample_no) JOIN class ON class.class = given_label.class "
        f"WHERE sample.role = 'calibration' AND said.confidence >= {threshold!r}",
    )
    assert counted == [(found.checked, found.wrong)]


def test_the_same_file_again_is_nothing_to_do(untaught: Path) -> None:
    """The same file on the same rows: the same run, model and label set; under another name, too."""
    first = flows.label(untaught, asked(untaught))
    again = flows.label(untaught, asked(untaught))
    assert again.repeated
    assert (again.label_set, again.model) == (first.label_set, first.model)
    shutil.copy(untaught / "foreign.parquet", untaught / "copy.parquet")
    assert adopt(untaught, untaught / "copy.parquet") == first.model
    assert (runs_of(untaught, "adopt"), runs_of(untaught, "label")) == (1, 1)


def test_lost_predictions_are_taken_again(untaught: Path) -> None:
    """Where the run's file is gone, the same model's words are written anew."""
    model = adopt(untaught, untaught / "foreign.parquet")
    for path in untaught.glob("runs/*/predictions.parquet"):
        path.unlink()
    assert adopt(untaught, untaught / "foreign.parquet") == model
    assert runs_of(untaught, "adopt") == 2
    assert len(models.known(store_of(untaught))) == 1


def test_a_grown_pool_is_another_run_of_the_same_model(untaught: Path, digits: Digits) -> None:
    """After the pool changed, the same file is asked about the new rows; the model stays one."""
    first = flows.label(untaught, asked(untaught))
    twice = digits.table([700]).drop_columns("label").set_column(0, "id", pa.array(["digit-new"]))
    picture = Image.open(io.BytesIO(digits.pictures[700])).transpose(Image.Transpose.ROTATE_90)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    twice = twice.set_column(1, "image", pa.array([{"bytes": buffer.getvalue(), "path": None}], twice["image"].type))
    flows.ingest(untaught, [written(untaught / "more.parquet", twice)])
    with pytest.raises(InputError, match="brings its word on more rows"):
        flows.label(untaught, LabelConfig(device="cpu", model=first.model.model_id))
    heard = Heard()
    second = flows.label(untaught, asked(untaught), listener=heard)
    assert second.model == first.model
    assert not second.repeated
    assert second.rows.given == 1178
    assert "1 of 1,178 pool rows have no prediction and get no label" in heard.notes
    assert runs_of(untaught, "adopt") == 2


def test_rows_without_a_prediction_abstain(untaught: Path) -> None:
    """A file of half of the pool labels rows of that half only, and says how many have no prediction."""
    kept(untaught, range(1200))
    heard = Heard()
    outcome = flows.label(untaught, asked(untaught, threshold=0.0), listener=heard)
    assert (outcome.rows.given, outcome.rows.labeled, outcome.rows.abstained) == (1177, 580, 597)
    assert "597 of 1,177 pool rows have no prediction and get no label" in heard.notes


def test_calibration_rows_without_a_prediction_are_not_accepted(untaught: Path) -> None:
    """They count as rows that the rule leaves out: a promise holds for a file that misses as many of the pool."""
    odd = [row for row in range(1797) if row % 4]
    kept(untaught, odd)
    heard = Heard()
    outcome = flows.label(untaught, asked(untaught, precision=0.85), listener=heard)
    (found,) = outcome.certificates
    assert found.valid
    hidden = ask(
        untaught, "SELECT count(*) FROM sample WHERE role = 'calibration' AND right(sample_id, 4)::INTEGER % 4 = 0"
    )[0][0]
    assert f"{hidden} of 320 calibration rows have no prediction and count as not accepted" in heard.notes
    assert found.checked <= 320 - hidden


def test_predictions_of_chosen_calibration_rows_void_the_promise(untaught: Path) -> None:
    """A file that says nothing of half of the calibration rows, and all of the pool, proves nothing of the pool."""
    few = {name for (name,) in ask(untaught, "SELECT sample_id FROM sample WHERE role = 'calibration'")}
    left = sorted(few)[: len(few) // 2]
    kept(untaught, [row for row in range(1797) if f"digit-{row:04d}" not in left])
    with pytest.raises(PromiseError, match="the certificate is void: the rule accepts"):
        flows.label(untaught, asked(untaught, precision=0.8))


def test_without_any_calibration_row_nothing_is_promised(untaught: Path) -> None:
    """Predictions of pool rows alone: a refusal that counts none accepted, and no crash."""
    kept(untaught, POOL)
    with pytest.raises(PromiseError, match="of 320 calibration labels, 0 are accepted"):
        flows.label(untaught, asked(untaught, precision=0.85))


def test_a_file_of_nobodys_ids_is_refused(untaught: Path) -> None:
    """Where no id is known, or all are of train rows, nothing is recorded and the error says so."""
    names = {str(code): [0.1] for code in range(10)}
    written(untaught / "foreign.parquet", pa.table({"id": ["who"], **names}))
    with pytest.raises(InputError, match="of its 1 ids none is known here"):
        flows.label(untaught, asked(untaught))
    ((train,),) = ask(untaught, f"SELECT min(sample_id) FROM ({ROLES})")
    written(untaught / "foreign.parquet", pa.table({"id": [train], **names}))
    with pytest.raises(InputError, match="the known ones are of train or test rows"):
        flows.label(untaught, asked(untaught))
    assert runs_of(untaught, "adopt") == 0


def test_there_is_no_network_to_ask_or_export(untaught: Path, tmp_path: Path) -> None:
    """Export says that it is another program's predictions, and what to do."""
    flows.label(untaught, asked(untaught))
    with pytest.raises(InputError, match=r"another program's predictions \(foreign.parquet\)") as refusal:
        flows.export(untaught, tmp_path / "student.onnx")
    assert "distill --steps N" in str(refusal.value)
    assert not (tmp_path / "student.onnx").exists()


@pytest.mark.seconds
def test_a_student_learns_from_foreign_labels(untaught: Path, tmp_path: Path) -> None:
    """With --steps a student is distilled, which is exported like any other; without, the error asks for them."""
    labeled = flows.label(untaught, asked(untaught, threshold=0.8))
    quick = TrainConfig(steps=30, device="cpu", settings={"labeled_batch": "32"}, views="none")
    with pytest.raises(InputError, match="give --steps or --budget"):
        flows.distill(untaught, replace(quick, steps=None))
    student = flows.distill(untaught, quick)
    assert (student.model.parent_id, student.rows.given > 240 + labeled.rows.labeled) == (labeled.model.model_id, True)
    assert newest(untaught) == student.model
    assert flows.export(untaught, tmp_path / "student.onnx").model == student.model


def test_it_goes_with_neither_rounds_nor_a_model(untaught: Path) -> None:
    """A foreign model learns nothing, so there are no rounds; and one model labels."""
    with pytest.raises(UsageError, match="labelsvc distill --steps N"):
        asked(untaught, rounds=2)
    with pytest.raises(UsageError, match="give one of them"):
        flows.label(untaught, asked(untaught, model="latest"))
    whole = flows.RunConfig(label=asked(untaught))
    with pytest.raises(UsageError, match="a run labels with the teacher that it trains"):
        flows.run(untaught, [untaught / "more.parquet"], config=whole)
