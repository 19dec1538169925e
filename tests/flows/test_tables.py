"""Tables and vectors through the whole flow, and what is refused on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.errors import InputError, LabelsvcError, TooManyFailedError, UsageError
from labelsvc.student.infer import load

from .digits import Digits, Heard
from .tables import LABELED, POOL, ingested, vectors, wines, write


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of wines in which extra trees have labeled the pool and taught a student, which was exported."""
    folder = tmp_path_factory.mktemp("wine")
    place = ingested(folder, wines())
    flows.train(place, flows.TrainConfig(method="supervised", network="extra-trees"))
    flows.label(place, flows.LabelConfig(threshold=0.8))
    flows.distill(place)
    flows.export(place, folder / "student.onnx")
    return place


@pytest.mark.seconds
def test_a_table_goes_through_the_whole_flow(wine: Path) -> None:
    """What comes out is right, traced, and the same from the file as from the workspace."""
    folder = wine.parent
    score = flows.evaluate(wine).score
    assert score.accuracy > 0.8
    outcome = flows.predict(folder / "student.onnx", folder / "test.parquet", folder / "out.parquet")
    said = pq.read_table(folder / "out.parquet")
    truth = pq.read_table(folder / "test.parquet")
    assert said["id"].equals(truth["id"])
    assert outcome.rows.failed == 0
    named = pc.equal(said["label"], truth["label"]).drop_null()
    assert pc.mean(named.cast(pa.float64())).as_py() > 0.8
    with flows.query(
        wine, "SELECT count(*) FROM provenance WHERE source = 'pseudo' AND network = 'extra-trees'"
    ) as rows:
        assert rows.read_all()[0][0].as_py() > POOL / 2


@pytest.mark.seconds
def test_the_same_calls_again_do_nothing(wine: Path) -> None:
    """Training, labeling and distilling are found, not repeated."""
    taught = flows.train(wine, flows.TrainConfig(method="supervised", network="extra-trees"))
    assert taught.repeated
    assert flows.label(wine, flows.LabelConfig(threshold=0.8, model=taught.model.model_id)).repeated
    assert flows.distill(wine).repeated
    labeled, unlabeled, test = (wine.parent / f"{name}.parquet" for name in ("labeled", "unlabeled", "test"))
    assert flows.ingest(wine, [labeled, unlabeled], test=[test]).repeated


@pytest.mark.seconds
def test_a_student_of_the_teachers_kind_agrees_with_it(wine: Path) -> None:
    """Where no label changed, fitting anew gives the same model."""
    outcome = flows.export(wine, wine.parent / "again.onnx")
    assert outcome.agreement == (POOL, POOL)
    assert "`colour` | string" in (wine.parent / "again.md").read_text(encoding="utf-8")


@pytest.mark.seconds
def test_predict_takes_columns_in_any_order_and_beside_others(wine: Path, tmp_path: Path) -> None:
    """The same rows get the same words, to the bit."""
    table = pq.read_table(wine.parent / "test.parquet")
    pq.write_table(
        table.select(table.column_names[::-1]).append_column("more", table["id"]), tmp_path / "turned.parquet"
    )
    answers = []
    for name, source in (("a", wine.parent / "test.parquet"), ("b", tmp_path / "turned.parquet")):
        config = flows.PredictConfig(probabilities=True)
        flows.predict(wine.parent / "student.onnx", source, tmp_path / f"{name}.parquet", config)
        answers.append(pq.read_table(tmp_path / f"{name}.parquet")["probabilities"])
    assert answers[0].equals(answers[1])


@pytest.mark.seconds
def test_predict_refuses_a_file_without_its_columns(wine: Path, tmp_path: Path) -> None:
    """All missing columns are named; a column of another type is, too."""
    table = pq.read_table(wine.parent / "test.parquet")
    pq.write_table(table.drop_columns(["m1", "colour"]), tmp_path / "short.parquet")
    with pytest.raises(InputError, match=r"short\.parquet has no column 'm1', 'colour'"):
        flows.predict(wine.parent / "student.onnx", tmp_path / "short.parquet", tmp_path / "o.parquet")
    other = table.set_column(table.column_names.index("m1"), "m1", pa.array(["high"] * len(table)))
    pq.write_table(other, tmp_path / "text.parquet")
    with pytest.raises(InputError, match=r"column 'm1' of .*text\.parquet is string"):
        flows.predict(wine.parent / "student.onnx", tmp_path / "text.parquet", tmp_path / "o.parquet")
    assert not (tmp_path / "o.parquet").exists()


@pytest.mark.seconds
def test_a_row_with_an_infinite_number_fails_alone(wine: Path, tmp_path: Path) -> None:
    """Its error names column and value; a category that was never met is no failure."""
    table = pq.read_table(wine.parent / "test.parquet").slice(0, 3)
    table = table.set_column(table.column_names.index("m1"), "m1", pa.array([np.inf, 2.0, 2.0], pa.float32()))
    table = table.set_column(table.column_names.index("colour"), "colour", pa.array(["dark", "violet", None]))
    pq.write_table(table, tmp_path / "rows.parquet")
    flows.predict(wine.parent / "student.onnx", tmp_path / "rows.parquet", tmp_path / "o.parquet")
    said = pq.read_table(tmp_path / "o.parquet")
    assert "column 'm1' is inf" in said["error"][0].as_py()
    assert said["error"][1].as_py() is said["error"][2].as_py() is None
    assert said["confidence"].null_count == 1


@pytest.mark.seconds
def test_vectors_go_through_the_whole_flow(tmp_path: Path) -> None:
    """With a network that learns from the pool, and a student that keeps what its teacher said."""
    place = ingested(tmp_path, vectors())
    flows.train(place, flows.TrainConfig(method="softmatch", steps=150, device="cpu"))
    flows.label(place, flows.LabelConfig(threshold=0.8))
    flows.distill(place, flows.TrainConfig(steps=150, device="cpu"))
    flows.export(place, tmp_path / "student.onnx", flows.ExportConfig(force=True))
    assert load(tmp_path / "student.onnx").shape.sides == (13,)
    assert flows.evaluate(place).score.accuracy > 0.8
    flows.predict(tmp_path / "student.onnx", tmp_path / "test.parquet", tmp_path / "out.parquet")


@pytest.mark.seconds
def test_auto_compares_and_takes_one(tmp_path: Path) -> None:
    """Every candidate has a figure or a reason; the one that is taken labels; a word on calibration rests on labels."""
    place = ingested(tmp_path, wines())
    told = Heard()
    outcome = flows.train(place, flows.TrainConfig(steps=60, device="cpu"), listener=told)
    names = {one.name for one in outcome.candidates}
    assert {"logistic-regression", "svm", "extra-trees", "gradient-boosting", "sklearn-mlp", "mlp"} <= names
    assert {"softmatch of mlp", "spreading over rows", "spreading over mlp, supervised"} <= names
    assert outcome.taken in names
    assert all((one.accuracy is None) == bool(one.reason) for one in outcome.candidates)
    assert outcome.model.calibrated
    (chosen,) = [one for one in outcome.candidates if one.sure]
    assert chosen.name == outcome.taken
    assert 0.8 * chosen.sure <= chosen.sure_right <= chosen.sure <= LABELED
    assert f"{chosen.sure} are sure (a confidence of 0.95 or more), {chosen.sure_right} of them" in "".join(told.notes)
    assert flows.evaluate(place).score.accuracy > 0.75
    assert flows.train(place, flows.TrainConfig(steps=60, device="cpu")).repeated


@pytest.mark.seconds
def test_self_training_is_done_where_it_is_asked_for(tmp_path: Path) -> None:
    """Win or lose, with what the user set; its rounds are kept with the run."""
    place = ingested(tmp_path, wines())
    config = flows.TrainConfig(method="self-training", network="logistic-regression", settings={"rounds": "2"})
    outcome = flows.train(place, config)
    assert (outcome.model.method, outcome.model.network) == ("self-training", "logistic-regression")
    assert flows.evaluate(place).score.accuracy > 0.75
    with pytest.raises(UsageError, match="has no setting 'colour'"):
        flows.train(place, flows.TrainConfig(method="self-training", settings={"colour": "red"}))


@pytest.mark.seconds
@pytest.mark.parametrize(("over", "rounds"), [("rows", "1"), ("supervised", "2")])
def test_spreading_is_done_where_it_is_asked_for(tmp_path: Path, over: str, rounds: str) -> None:
    """Over the rows, or a network's features; the model names that network as its parent, and its scale is labels'."""
    place = ingested(tmp_path, wines())
    settings = {"over": over, "rounds": rounds}
    config = flows.TrainConfig(method="spreading", steps=300, settings=settings, device="cpu")
    outcome = flows.train(place, config)
    assert (outcome.model.method, outcome.model.network) == ("spreading", "mlp")
    assert (outcome.model.parent_id is None) == (over == "rows")
    assert outcome.model.calibrated
    names = [one.name for one in outcome.candidates if one.method == "spreading"]
    once = "spreading over rows" if over == "rows" else "spreading over mlp, supervised"
    assert names == ([once] if rounds == "1" else [once, f"{once}, 2 rounds"])
    assert outcome.taken in names
    assert flows.evaluate(place).score.accuracy > 0.85
    assert flows.train(place, config).repeated


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"network": "svm"}, "svm is none: leave out --network"),
        ({"settings": {"over": "mars"}}, "rows or supervised or softmatch"),
        ({"settings": {"alpha": "1"}}, "neither included"),
    ],
)
def test_what_spreading_cannot_be_told_is_refused(tmp_path: Path, config: dict[str, object], message: str) -> None:
    """Before any work."""
    with pytest.raises(UsageError, match=message):
        flows.train(tmp_path, flows.TrainConfig(method="spreading", **config))  # type: ignore[arg-type]


@pytest.mark.seconds
def test_spreading_needs_a_pool(tmp_path: Path) -> None:
    """Where every row is labeled there is nothing that labels could reach."""
    pq.write_table(wines(), tmp_path / "labeled.parquet")
    flows.ingest(
        tmp_path / "ws", [tmp_path / "labeled.parquet"], config=flows.IngestConfig(calibration=0, validation=0)
    )
    with pytest.raises(UsageError, match="ingest unlabeled rows"):
        flows.train(tmp_path / "ws", flows.TrainConfig(method="spreading"))


@pytest.mark.seconds
def test_too_few_labels_are_not_compared(tmp_path: Path) -> None:
    """One label a class: a teacher is taken, and it is said that its confidence is uncalibrated."""
    table = wines()
    kinds = table["label"].to_pylist()
    first = [kinds.index(name) for name in sorted(set(kinds))]
    pq.write_table(table.take(first), tmp_path / "labeled.parquet")
    pq.write_table(table.drop_columns("label").slice(20), tmp_path / "unlabeled.parquet")
    flows.ingest(tmp_path / "ws", [tmp_path / "labeled.parquet", tmp_path / "unlabeled.parquet"])
    outcome = flows.train(tmp_path / "ws")
    assert outcome.candidates == ()
    assert not outcome.model.calibrated


def test_what_was_inferred_is_told_and_kept(tmp_path: Path) -> None:
    """Each column with its kind; one that is in some files alone is left out, and it is said where it is missing."""
    labeled, unlabeled, _ = write(tmp_path, wines())
    table = pq.read_table(labeled)
    pq.write_table(table.append_column("only here", pa.array(np.random.default_rng(0).random(len(table)))), labeled)
    outcome = flows.ingest(tmp_path / "ws", [labeled, unlabeled])
    told = {one.name: one.kind for one in outcome.columns}
    assert told == {f"m{place}": "number" for place in range(6)} | {
        "colour": "category",
        "sweet": "boolean",
        "bottled": "time",
        "only here": None,
    }
    assert str(outcome.shape) == "9 columns"


def test_features_and_exclude_choose(tmp_path: Path) -> None:
    """Named columns alone are learnt from; a later ingest cannot change that."""
    labeled, unlabeled, test = write(tmp_path, wines())
    config = flows.IngestConfig(features=("m1", "m2", "colour"))
    outcome = flows.ingest(tmp_path / "ws", [labeled, unlabeled], config=config)
    assert [one.name for one in outcome.columns] == ["m1", "m2", "colour"]
    with pytest.raises(UsageError, match="settled at its first ingest: colour, m1, m2"):
        flows.ingest(tmp_path / "ws", test=[test], config=flows.IngestConfig(exclude=("m1",)))


def test_the_latest_labels_are_kept_from_training(tmp_path: Path) -> None:
    """--split-by: calibration rows are later than validation rows, and these than those of train, in each class."""
    config = flows.IngestConfig(split_by="bottled", validation=12, calibration=12)
    place = ingested(tmp_path, wines(), config)
    table = pq.read_table(tmp_path / "labeled.parquet")
    with flows.query(place, "SELECT sample_id, role FROM labels WHERE source = 'given'") as found:
        roles = dict(zip(*(column.to_pylist() for column in found.read_all().columns), strict=True))
    rows = zip(table["id"].to_pylist(), table["label"].to_pylist(), table["bottled"].to_pylist(), strict=True)
    latest: dict[tuple[str, str], list[object]] = {}
    for name, kind, moment in rows:
        latest.setdefault((kind, roles[name]), []).append(moment)
    for kind in set(table["label"].to_pylist()):
        assert max(latest[kind, "train"]) <= min(latest[kind, "validation"])  # type: ignore[type-var]
        assert max(latest[kind, "validation"]) <= min(latest[kind, "calibration"])  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1.0, float("inf")] * 20, "y": list(np.random.default_rng(0).random(40))}, "column 'x' is inf"),
        ({"v": [[1.0, 2.0], [1.0]] * 20}, "has 1 values, and those of this workspace have 2"),
    ],
    ids=["infinite", "lengths"],
)
def test_rows_that_are_no_numbers_fail_by_name(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    """More than --max-failed allows are an error that names the first ones; allowed, they are left out."""
    columns = {
        name: pa.array(cells, pa.list_(pa.float32())) if name == "v" else cells for name, cells in columns.items()
    }
    pq.write_table(pa.table({"label": ["a", "b", "b", "a"] * 10, **columns}), tmp_path / "f.parquet")
    with pytest.raises(TooManyFailedError, match=message) as refused:
        flows.ingest(tmp_path / "ws", [tmp_path / "f.parquet"])
    assert str(refused.value).startswith("20 of 40 rows cannot be read: ")
    outcome = flows.ingest(tmp_path / "ws", [tmp_path / "f.parquet"], config=flows.IngestConfig(max_failed="50%"))
    assert outcome.rows.failed == 20


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": ["a", "b"] * 20, "x": [3] * 40}, "no column that a model could learn from: 'x' is always 3"),
        ({"label": ["a", "b"] * 20, "x": [None] * 40}, "'x' is all null"),
        ({"label": list(np.linspace(0, 1, 40)), "x": list(np.random.default_rng(0).random(40))}, "not quantities"),
    ],
    ids=["constant", "null", "regression"],
)
def test_a_table_that_teaches_nothing_is_refused(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    """The message says why, of each column, and nothing is written."""
    table = {name: pa.array(cells, pa.float64()) if cells[0] is None else cells for name, cells in columns.items()}
    pq.write_table(pa.table(table), tmp_path / "f.parquet")
    with pytest.raises(InputError, match=message):
        flows.ingest(tmp_path / "ws", [tmp_path / "f.parquet"])


def test_types_that_differ_between_files_are_refused(tmp_path: Path) -> None:
    """Both files and both types are named."""
    for name, cells in (("a", [1, 2, 3]), ("b", ["x", "y", "z"])):
        pq.write_table(pa.table({"n": cells, "m": [0.5, 1.5, 2.5]}), tmp_path / f"{name}.parquet")
    with pytest.raises(InputError, match=r"column 'n' is int64 in .*a\.parquet and string in .*b\.parquet"):
        flows.ingest(tmp_path / "ws", [tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_a_workspace_is_for_one_kind_of_input(tmp_path: Path, digits: Digits) -> None:
    """A table does not go where pictures are, and pictures not where a table is."""
    labeled, unlabeled, _ = write(tmp_path, wines())
    flows.ingest(tmp_path / "digits ws", [digits.labeled])
    with pytest.raises(InputError, match=r"this workspace holds pictures, and .* a table"):
        flows.ingest(tmp_path / "digits ws", [labeled])
    flows.ingest(tmp_path / "ws", [labeled, unlabeled])
    with pytest.raises(InputError, match=r"this workspace holds a table, and .* pictures"):
        flows.ingest(tmp_path / "ws", [digits.labeled])


def test_test_rows_alone_do_not_say_what_columns_are(tmp_path: Path) -> None:
    """Columns are found in rows to learn from."""
    _, _, test = write(tmp_path, wines())
    with pytest.raises(InputError, match="test rows alone"):
        flows.ingest(tmp_path / "ws", test=[test])


def test_what_is_for_pictures_is_refused_for_tables(wine: Path) -> None:
    """Networks and views of pictures, fewer bits, and serving."""
    with pytest.raises(UsageError, match="network convnet cannot read a table"):
        flows.train(wine, flows.TrainConfig(method="softmatch", network="convnet", steps=1))
    with pytest.raises(UsageError, match="no views are called 'photos'"):
        flows.train(wine, flows.TrainConfig(method="softmatch", views="photos", steps=1))
    with pytest.raises(UsageError, match="for students of pictures"):
        flows.export(wine, wine.parent / "half.onnx", flows.ExportConfig(dtype="fp16"))
    with pytest.raises(UsageError, match="serve answers for students of pictures"):
        flows.serve(wine.parent / "student.onnx")


def test_recipes_and_imports_are_by_name(wine: Path) -> None:
    """An unknown recipe, and a library that nobody trusts, are refused before any work."""
    with pytest.raises(UsageError, match="no recipe is called 'cake'"):
        flows.train(wine, flows.TrainConfig(recipe="cake"))
    with pytest.raises(UsageError, match="--trust-import"):
        flows.train(wine, flows.TrainConfig(method="supervised", network="os.path"))
    with pytest.raises(LabelsvcError, match=r"quadratic-sgd cannot learn|no teacher could learn"):
        flows.train(wine, flows.TrainConfig(recipe="tutorial"))


@pytest.mark.seconds
def test_plan_tells_what_a_comparison_takes(wine: Path) -> None:
    """Evidence and promise as for pictures; the time is the comparison's."""
    outcome = flows.plan(wine)
    assert outcome.training is not None
    assert outcome.training.steps == 0
    assert outcome.evidence.labels == LABELED
