"""The model card: every claim that is made is there, and so is what is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labelsvc.records import (
    Certificate,
    Column,
    InputShape,
    LabelSet,
    Model,
    PictureShape,
    Policy,
    Preprocessing,
    TableShape,
    VectorShape,
)
from labelsvc.report.model_card import MOST_CLASSES, TITLE, Ancestor, Dataset, Evaluated, ModelCard, Taught, tell
from labelsvc.student.card import FileFormat
from labelsvc.student.export import Parity
from labelsvc.student.gate import Loss, Speed
from labelsvc.student.metadata import StudentPolicy

MODEL = Model(
    model_id="m-2",
    run_id="r-2",
    role="student",
    method="supervised",
    network="convnet",
    path="runs/r-2/student.safetensors",
    sha256="ab" * 32,
    classes=("cat", "dog | wolf"),
    preprocessing=Preprocessing(PictureShape(32, 48, 3), (0.5, 0.25, 0.125), (0.3, 0.2, 0.1)),
    temperature=1.5,
    calibrated=True,
    parent_id="m-1",
)
TEACHER = replace(MODEL, model_id="m-1", role="teacher", method="softmatch", parent_id=None)
PROMISE = Certificate("c-1", "calibration", 100, 1, 0.95, 0.9, 1, "d", valid=True, label_set_id="s-1")
TAUGHT = Taught(
    LabelSet("s-1", "r-1", "m-1", "p-1", rows=900, digest="d", message="first"),
    Policy("p-1", "r-1", "m-1", threshold=0.97, target_precision=0.95, confidence_level=0.9),
    (PROMISE,),
)
CARD = ModelCard(
    file="student.onnx",
    bytes=460_000,
    dtype="fp32",
    format=FileFormat(20, 10),
    version="0.1.0",
    line=(Ancestor(MODEL, 400, 7), Ancestor(TEACHER, 800, 7)),
    datasets=(Dataset("labeled", "train", 1200, "0123456789abcdef0123"), Dataset("test", "test", 300, "ff" * 16)),
    roles={"train": 100, "validation": 20, "calibration": 30, "pool": 1000, "test": 300},
    taught=TAUGHT,
    policy=StudentPolicy(0.97, {"cat": 0.9}, origin="policy of label set s-1"),
    certificates=(),
    parity=Parity(512, 3.2e-7, 0),
    validation=(19, 20),
    tested=Evaluated(291, 300),
    loss=None,
    speeds=(),
    device="cpu",
)


def section(text: str, title: str) -> str:
    """Return the text below a heading."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_a_card_names_its_file_and_all_its_parts() -> None:
    """It opens with the file, and has a section for everything that a reader of model cards looks for."""
    text = tell(CARD)
    assert text.startswith(f"{TITLE}student.onnx\n")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["Use", "Data", "Labels", "Method and lineage", "Certificates", "Figures", "Limits"]
    assert "0.46 MB, fp32, ONNX opset 20, IR version 10" in text


def test_data_and_labels_are_counted() -> None:
    """Datasets with their digests, rows by role, the label set with its policy and what is promised of it."""
    text = tell(CARD)
    assert "| labeled | train | 1,200 | `0123456789abcdef` |" in section(text, "Data")
    assert "100 train, 20 validation, 30 calibration, 1,000 pool, 300 test" in section(text, "Data")
    said = section(text, "Labels")
    assert "900 pseudo-labels of round 1: label set `s-1`" in said
    assert "from a confidence of 0.97 on, chosen for a precision of 0.95" in said
    assert "right 0.95 of the time, at 0.9 confidence (100 checked, 1 wrong), if the given labels resemble" in said


def test_the_line_goes_back_to_the_first_teacher() -> None:
    """Each model of the line with its method, network, steps and seed, the youngest first."""
    rows = [line for line in section(tell(CARD), "Method and lineage").splitlines() if line.startswith("| `")]
    assert rows == [
        "| `m-2` | student | supervised | convnet | 1 | 400 | 7 |",
        "| `m-1` | teacher | softmatch | convnet | 1 | 800 | 7 |",
    ]


def test_the_contract_is_the_files() -> None:
    """Shapes, colour, preprocessing and thresholds are the model's own."""
    said = section(tell(CARD), "Use")
    assert "uint8 [batch, 32, 48, 3], RGB" in said
    assert "float32 [batch, 2]" in said
    assert "less 0.5000, 0.2500, 0.1250, divided by 0.3000, 0.2000, 0.1000" in said
    assert "a confidence of 0.9 for `cat`, else 0.97 (policy of label set s-1)" in said
    assert '.convert("RGB").resize((48, 32), ' in said


def of(shape: InputShape) -> ModelCard:
    """Return the card of a model of other inputs than pictures."""
    return replace(CARD, line=(Ancestor(replace(MODEL, preprocessing=Preprocessing(shape)), 400, 7),))


def test_inputs_are_told_with_their_types_and_their_nulls() -> None:
    """A table's by the names that its file has for them, in a table and in ten lines to begin with; no picture."""
    columns = (Column("size in m", "number"), Column("probabilities", "category"), Column("since", "time"))
    text = tell(of(TableShape(columns)))
    assert "| `size in m` | float32 | NaN |" in text
    assert "| `probabilities_` | string; one that was not met counts as none of them | an empty text |" in text
    assert "| `since` | int64, microseconds since 1970 | -9223372036854775808 |" in text
    assert "'probabilities_': np.array([[\"\"]], object)," in text
    assert "a row of anything else" in section(text, "Limits")
    vectors = tell(of(VectorShape(7, 1.0)))
    assert "`vector`: float32 [batch, 7]" in vectors
    assert "picture" not in text + vectors


@pytest.mark.parametrize("valid", [True, False])
def test_certificates_say_what_they_assume_or_why_they_are_void(valid: bool) -> None:
    """A promise comes with its terms, a void one with its reason; without any, that is said twice."""
    proven = replace(
        PROMISE, kind="student", model_id="m-2", label_set_id=None, threshold=0.7, valid=valid, reason="why"
    )
    said = section(tell(replace(CARD, certificates=(proven,))), "Certificates")
    assert ("of a confidence of 0.7 or more are right 0.95 of the time" in said) == valid
    assert ("fresh labeled rows came from" in said) == valid
    assert ("**void**. why" in said) != valid
    text = tell(CARD)
    assert "nothing is promised" in section(text, "Certificates")
    assert "No precision is promised" in section(text, "Limits")


def test_figures_are_those_that_were_measured() -> None:
    """What was measured is told with its rows, what was not is said to be missing."""
    said = section(tell(CARD), "Figures")
    assert "validation rows: 95.00% (19 of 20)" in said
    assert "test rows: 97.00% (291 of 300)." in said
    assert "at most 3.2e-07 on 512 real rows" in said
    assert "test rows: not measured" in section(tell(replace(CARD, tested=None)), "Figures")
    assert "validation rows" not in section(tell(replace(CARD, validation=None)), "Figures")


def test_fewer_bits_say_what_they_cost() -> None:
    """Loss and speeds, on which device, that test rows were asked of the network, and that no promise holds."""
    loss = Loss("accuracy", 1000, 990, 988, 0.5)
    text = tell(replace(CARD, dtype="int8", loss=loss, speeds=(Speed(1, 10.0, 20.0), Speed(32, 10.0, 30.0))))
    said = section(text, "Figures")
    assert f"int8: {loss}." in said
    assert "2.00 × the speed of fp32 at batch 1" in said
    assert "3.00 × the speed of fp32 at batch 32" in said
    assert "(cpu)" in said
    assert "(291 of 300), of the network in fp32" in said
    assert "confidences in int8 differ" in section(text, "Limits")


def test_what_is_not_known_is_said() -> None:
    """Classes that it was not taught, other pictures, and a confidence that nobody calibrated."""
    said = section(tell(CARD), "Limits")
    assert "It knows no class but those above" in said
    assert "pictures like those of its pool" in said
    assert "not calibrated" not in said
    wild = replace(MODEL, calibrated=False)
    assert "not calibrated" in section(tell(replace(CARD, line=(Ancestor(wild, None, None),))), "Limits")


def test_many_classes_are_counted_not_listed() -> None:
    """A thousand classes do not make the card unreadable."""
    many = replace(MODEL, classes=tuple(f"class-{number}" for number in range(1000)))
    text = tell(replace(CARD, line=(Ancestor(many, 1, 0),)))
    assert f"`class-{MOST_CLASSES - 1}` and 970 more" in text
    assert f"`class-{MOST_CLASSES}`" not in text


def test_a_threshold_that_nothing_reaches_is_said() -> None:
    """Where only some classes have a promise, the others get no label at all."""
    policy = StudentPolicy(2.0, {"cat": 0.9}, origin="policy of label set s-1")
    assert "0.9 for `cat`, else none at all" in tell(replace(CARD, policy=policy))


def test_names_do_not_break_tables() -> None:
    """A name with a bar in it stays in its cell."""
    text = tell(replace(CARD, datasets=(Dataset("a|b", "train", 1, "d"),)))
    assert "| a\\|b | train | 1 | `d` |" in text
