"""What an exported file brings along: its policy, its words on the pool, its card; and in fewer bits, at what cost."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelsvc import flows
from labelsvc.config import ExportConfig, LabelConfig
from labelsvc.errors import InputError, LabelsvcError, UsageError
from labelsvc.flows._export import ExportOutcome
from labelsvc.flows._rehearsal import Rehearsal
from labelsvc.records import Certificate
from labelsvc.store import certificates, label_sets
from labelsvc.student.infer import load
from labelsvc.student.metadata import Words
from labelsvc.workspace import Workspace

from .digits import Digits, Heard, newest, store_of

pytestmark = pytest.mark.seconds  # making an ONNX file takes torch a few

LENIENT = {"force": True, "max_loss": 2.0, "device": "cpu"}
Opened = Callable[[str], tuple[Path, ExportOutcome]]


@pytest.fixture(scope="module")
def made(distilled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Give the student's file of any dtype, and what export said of it; ``workspace`` lies beside them."""
    folder = tmp_path_factory.mktemp("made")
    place = shutil.copytree(distilled_once, folder / "workspace")
    known: dict[str, ExportOutcome] = {}

    def export(dtype: str) -> tuple[Path, ExportOutcome]:
        path = folder / f"{dtype}.onnx"
        if dtype not in known:
            known[dtype] = flows.export(place, path, ExportConfig(dtype=dtype, **LENIENT))
        return path, known[dtype]

    return export


def workspace_of(exported: Path, tmp_path: Path) -> Path:
    """Return a copy of the workspace that a student was exported from."""
    return shutil.copytree(exported.parent / "workspace", tmp_path / "workspace")


def student_certificate(model_id: str, *, threshold: float = 0.7) -> Certificate:
    """Return a valid certificate of a model."""
    return Certificate(
        "c-1", "student", 300, 2, 0.95, 0.9, 1, "ab" * 32, valid=True, model_id=model_id, threshold=threshold
    )


def refuse_everything(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Let files in fewer bits take as long as is told, beside an fp32 file's first."""
    monkeypatch.setattr("labelsvc.flows._export.speeds", lambda _students, _pixels: list(seconds))


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
def test_the_file_labels_as_its_label_set_does(made: Opened, dtype: str) -> None:
    """A student brings the thresholds of the policy whose labels it learnt, and says where they are from."""
    path, outcome = made(dtype)
    policy = load(path, device="cpu").policy
    assert policy is not None
    assert policy == outcome.policy
    label_set = label_sets.get(store_of(path.parent / "workspace"), "current")
    assert (policy.threshold, policy.class_thresholds) == (0.9, {})
    assert policy.origin == f"policy of label set {label_set.label_set_id}"


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
def test_the_file_tells_what_it_says_of_its_pool(made: Opened, dtype: str) -> None:
    """Its words on the pool are counted by the very file, class by class and by confidence."""
    path, _ = made(dtype)
    student, place = load(path, device="cpu"), path.parent / "workspace"
    rehearsal = Rehearsal.open(Workspace(place), store_of(place))
    said = student.probabilities(rehearsal.inputs.gather(rehearsal.pool))
    assert student.pool == Words.of(said.argmax(axis=1), said.max(axis=1).astype(np.float64), 10)
    assert student.pool.rows == 300


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
def test_the_file_says_how_it_was_made(made: Opened, dtype: str) -> None:
    """Dtype, opset, IR version and what was measured stand in the metadata as they do in the outcome."""
    path, outcome = made(dtype)
    said = load(path, device="cpu").origin
    assert said["labelsvc.dtype"] == outcome.dtype == dtype
    assert (int(said["labelsvc.opset"]), int(said["labelsvc.ir_version"])) == (
        outcome.format.opset,
        outcome.format.ir_version,
    )
    measured = json.loads(said["labelsvc.gate"])
    assert measured["parity"]["rows"] == outcome.parity.rows
    assert (measured["loss"] is None) == (outcome.loss is None) == (dtype == "fp32")
    assert tuple(measured["validation"]) == outcome.validation
    assert outcome.validation is not None
    assert outcome.validation[1] == 20


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
def test_the_cards_script_runs_as_it_stands(
    made: Opened,
    digits: Digits,
    dtype: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The ten lines of the card, without labelsvc, name a picture's class as the student does, in every dtype."""
    path, outcome = made(dtype)
    assert outcome.card == str(path.with_suffix(".md"))
    script = re.search(r"```python\n(.*?)```", Path(outcome.card).read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    assert len([line for line in script[1].splitlines() if line]) == 10
    assert "labelsvc" not in script[1]
    (tmp_path / "script.py").write_text(script[1], encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(digits.pictures[700])
    shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("script.py")
    name, confidence = capsys.readouterr().out.split()
    pixels = np.asarray(Image.open(tmp_path / "picture.png")).reshape(1, 8, 8, 1)
    (said,) = load(path, device="cpu").probabilities(pixels)
    assert name == str(said.argmax())
    assert float(confidence) == pytest.approx(said.max(), abs=1e-6)


@pytest.mark.parametrize("dtype", ["fp16", "int8"])
def test_fewer_bits_are_measured_beside_fp32(made: Opened, dtype: str) -> None:
    """Twenty validation rows cannot show two points, so agreement on the pool decides; both batches are timed."""
    path, outcome = made(dtype)
    assert outcome.loss is not None
    assert (outcome.loss.measure, outcome.loss.rows, outcome.loss.before) == ("agreement", 300, 300)
    assert outcome.loss.after >= 294
    assert [speed.batch for speed in outcome.speeds] == [1, 32]
    assert min(min(speed.before, speed.after) for speed in outcome.speeds) > 0
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert str(outcome.loss) in card
    assert all(str(speed) in card for speed in outcome.speeds)


def test_enough_validation_rows_decide(made: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one validation row weighs no more than what is allowed, accuracy on them decides."""
    place = workspace_of(made("fp32")[0], tmp_path)
    refuse_everything(monkeypatch, 1.0, 0.5)
    heard, config = Heard(), ExportConfig(dtype="fp16", max_loss=5.0, device="cpu")
    outcome = flows.export(place, tmp_path / "half.onnx", config, listener=heard)
    assert outcome.loss is not None
    assert (outcome.loss.measure, outcome.loss.rows) == ("accuracy", 20)
    assert not [note for note in heard.notes if "too few" in note]


def test_a_loss_beyond_what_is_allowed_is_refused(
    made: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that names other classes is not written, forced or not; an older one stays, and the run has failed."""
    path, _ = made("fp32")
    place, target = workspace_of(path, tmp_path), tmp_path / "out" / "small.onnx"
    flows.train(place, flows.TrainConfig(steps=0, device="cpu", baseline=False))
    flows.export(place, tmp_path / "ignorant.onnx", model="latest")
    monkeypatch.setattr(
        "labelsvc.flows._export.convert", lambda _whole, smaller, *_: shutil.copy(tmp_path / "ignorant.onnx", smaller)
    )
    target.parent.mkdir()
    target.write_bytes(b"older")
    with pytest.raises(LabelsvcError, match=r"agreement with fp32 on 300 unlabeled inputs .* 0\.5 allowed; --max-loss"):
        flows.export(place, target, ExportConfig(dtype="int8", force=True, device="cpu"))
    assert target.read_bytes() == b"older"
    assert [one.name for one in target.parent.iterdir()] == ["small.onnx"]
    assert flows.list_runs(place)[0].status == "failed"


def test_what_is_slower_here_is_written_by_force_alone(
    made: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower than fp32 at both batches: refused with the figures; with force it is written, and says so."""
    place, target = workspace_of(made("fp32")[0], tmp_path), tmp_path / "half.onnx"
    refuse_everything(monkeypatch, 1.0, 2.0)
    with pytest.raises(LabelsvcError, match=r"cpu, fp16 is no faster, 0\.50 × the speed of fp32 at batch 1"):
        flows.export(place, target, ExportConfig(dtype="fp16", device="cpu"))
    assert not target.exists()
    assert not target.with_suffix(".md").exists()
    outcome = flows.export(place, target, ExportConfig(dtype="fp16", device="cpu", force=True))
    assert [speed.ratio for speed in outcome.speeds] == [0.5, 0.5]


def test_a_teacher_brings_the_policy_of_its_own_labels(labeled: Path, tmp_path: Path) -> None:
    """A teacher whose labels are current labels by their policy."""
    outcome = flows.export(labeled, tmp_path / "teacher.onnx")
    assert outcome.model.role == "teacher"
    assert outcome.policy is not None
    assert (outcome.policy.threshold, outcome.policy.origin[:19]) == (0.9, "policy of label set")


def test_a_model_without_labels_brings_no_policy(taught: Path, tmp_path: Path) -> None:
    """Nobody has said from which confidence on it counts, so the file does not say either; the card does."""
    outcome = flows.export(taught, tmp_path / "teacher.onnx")
    opened = load(tmp_path / "teacher.onnx", device="cpu")
    assert (opened.policy, outcome.policy) == (None, None)
    assert opened.pool is not None
    assert "neither a certificate nor a label set" in (tmp_path / "teacher.md").read_text(encoding="utf-8")


def test_a_certificate_comes_before_the_label_set(made: Opened, tmp_path: Path) -> None:
    """A certified student labels from its certificate's threshold on, as precisely as that says."""
    place = workspace_of(made("fp32")[0], tmp_path)
    certificates.add(store_of(place), [student_certificate(newest(place).model_id)])
    outcome = flows.export(place, tmp_path / "student.onnx")
    policy = load(tmp_path / "student.onnx", device="cpu").policy
    assert policy is not None
    assert (policy.threshold, policy.target_precision, policy.confidence_level) == (0.7, 0.95, 0.9)
    assert policy.origin == "student certificate c-1"
    assert outcome.certificate is not None


def test_a_certificate_is_of_the_fp32_file_alone(made: Opened, tmp_path: Path) -> None:
    """In fewer bits the file answers otherwise: it keeps the threshold, carries no promise, and the card says why."""
    place, target = workspace_of(made("fp32")[0], tmp_path), tmp_path / "half.onnx"
    certificates.add(store_of(place), [student_certificate(newest(place).model_id)])
    outcome = flows.export(place, target, ExportConfig(dtype="fp16", **LENIENT))
    opened = load(target, device="cpu")
    assert outcome.certificate is None
    assert "labelsvc.certificate" not in opened.origin
    assert opened.policy is not None
    assert (opened.policy.threshold, opened.policy.target_precision) == (0.7, None)
    assert "of the fp32 file and not of this one" in opened.policy.origin
    assert "This one, in fp16, answers otherwise" in target.with_suffix(".md").read_text(encoding="utf-8")


def test_nothing_is_certified_in_fewer_bits(made: Opened, digits: Digits) -> None:
    """What is proven of an int8 file would be told of the fp32 file too, so that the latter has to be brought."""
    path, _ = made("int8")
    with pytest.raises(InputError, match="is in int8, and certificates are of fp32 files"):
        flows.certify(path.parent / "workspace", path, digits.test, flows.CertifyConfig(precision=0.9))


def test_the_card_is_kept_up_to_date(made: Opened, tmp_path: Path) -> None:
    """Exported again, the file is left alone, and its card tells what was found since; a lost one is written anew."""
    path, _ = made("fp32")
    place, target = workspace_of(path, tmp_path), tmp_path / "student.onnx"
    card = target.with_suffix(".md")
    flows.export(place, target)
    before = card.read_text(encoding="utf-8")
    assert "test rows: not measured" in before
    found = flows.evaluate(place).score
    assert flows.export(place, target).repeated
    after = card.read_text(encoding="utf-8")
    assert f"Accuracy on test rows: {found.accuracy:.2%} ({found.right:,} of 200)." in after
    card.unlink()
    written_at = target.stat().st_mtime_ns
    assert flows.export(place, target).repeated
    assert (card.read_text(encoding="utf-8"), target.stat().st_mtime_ns) == (after, written_at)


def test_a_file_of_the_users_own_is_no_card(made: Opened, tmp_path: Path) -> None:
    """What is no model card stays as it is, and that is said; nor can the model be given the card's name."""
    place, heard = workspace_of(made("fp32")[0], tmp_path), Heard()
    (tmp_path / "student.md").write_text("# My notes", encoding="utf-8")
    outcome = flows.export(place, tmp_path / "student.onnx", listener=heard)
    assert outcome.card is None
    assert (tmp_path / "student.md").read_text(encoding="utf-8") == "# My notes"
    assert any("student.md is no model card" in note for note in heard.notes)
    with pytest.raises(UsageError, match=r"is the name of the model card; name the file student\.onnx"):
        flows.export(place, tmp_path / "student.md")


def test_a_repository_for_triton_is_written_once(made: Opened, tmp_path: Path) -> None:
    """The file lies in the repository too, under its own name, and is written once; another model's is refused."""
    place, models = workspace_of(made("fp32")[0], tmp_path), tmp_path / "models"
    config = ExportConfig(triton=str(models))
    outcome = flows.export(place, tmp_path / "student.onnx", config)
    assert outcome.triton == str(models / "student")
    there = models / "student" / "1" / "model.onnx"
    assert there.read_bytes() == (tmp_path / "student.onnx").read_bytes()
    written_at = there.stat().st_mtime_ns
    assert flows.export(place, tmp_path / "student.onnx", config).repeated
    assert there.stat().st_mtime_ns == written_at
    with pytest.raises(InputError, match="holds something else than this model"):
        flows.export(place, tmp_path / "other" / "student.onnx", config, model=newest(place).parent_id)
    assert not (tmp_path / "other").exists()


def test_where_there_is_no_pool_the_given_rows_stand_in(digits: Digits, tmp_path: Path) -> None:
    """With everything labeled, words, ranges and times are taken on train rows."""
    place = tmp_path / "workspace"
    flows.ingest(place, [digits.labeled])
    flows.train(place, flows.TrainConfig(method="supervised", steps=3, device="cpu"))
    flows.label(place, LabelConfig(threshold=0.1, device="cpu"))
    outcome = flows.export(place, tmp_path / "teacher.onnx", ExportConfig(dtype="int8", force=True, max_loss=50))
    pool = load(tmp_path / "teacher.onnx", device="cpu").pool
    assert pool is not None
    assert (pool.rows, outcome.validation) == (100, None)
