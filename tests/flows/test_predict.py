"""predict: whose threshold counts, what is said of rows unlike the pool, and a store to read from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pyarrow.parquet as pq
import pytest
from buckets import Bucket, bucket

from labelsvc import flows
from labelsvc.config import PredictConfig
from labelsvc.data import sources
from labelsvc.errors import UsageError
from labelsvc.student import parts
from labelsvc.student.infer import load
from labelsvc.student.metadata import StudentPolicy, Words, as_metadata

from .digits import Digits, Heard

pytestmark = pytest.mark.seconds

CPU = PredictConfig(device="cpu")
NEW = range(600, 1_200)


def told(exported: Path, folder: Path, policy: StudentPolicy | None, pool: Words | None) -> Path:
    """Return a copy of a student's file that tells this of itself, and nothing else of the kind."""
    model = onnx.load(exported)
    kept = {one.key: one.value for one in model.metadata_props if one.key not in ("labelsvc.policy", "labelsvc.pool")}
    onnx.helper.set_model_props(model, {**kept, **as_metadata(policy, pool)})
    onnx.save(model, folder / "told.onnx")
    return folder / "told.onnx"


def test_the_policy_in_the_file_counts(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """Without --threshold labels count by the file's policy, by class where it has one, and a note says so."""
    policy = StudentPolicy(0.8, {"3": 0.999}, origin="a certificate")
    student = told(exported_once, tmp_path, policy, None)
    heard = Heard()
    outcome = flows.predict(student, digits.test, tmp_path / "out.parquet", CPU, listener=heard)
    assert outcome.policy == policy
    assert any("0.8" in note and "a certificate" in note for note in heard.notes)
    full = replace(CPU, threshold=0.0)
    flows.predict(student, digits.test, tmp_path / "all.parquet", full)
    for said, best in zip(
        pq.read_table(tmp_path / "out.parquet").to_pylist(),
        pq.read_table(tmp_path / "all.parquet").to_pylist(),
        strict=True,
    ):
        least = policy.class_thresholds.get(best["label"], policy.threshold)
        assert said["label"] == (best["label"] if best["confidence"] >= least else None)


def test_a_threshold_goes_before_the_policy(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """--threshold overrules the file, for all classes."""
    student = told(exported_once, tmp_path, StudentPolicy(0.8, {"3": 1.0}), None)
    outcome = flows.predict(student, digits.test, tmp_path / "out.parquet", replace(CPU, threshold=0.0))
    assert (outcome.policy.threshold, outcome.policy.class_thresholds) == (0.0, {})
    assert outcome.rows.labeled == outcome.rows.given


def test_without_any_policy_it_is_said(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """A file without a policy labels from 0.95 on, and the note says how to choose."""
    heard = Heard()
    student = told(exported_once, tmp_path, None, None)
    outcome = flows.predict(student, digits.test, tmp_path / "out.parquet", CPU, listener=heard)
    assert outcome.policy.threshold == 0.95
    assert outcome.drift is None
    assert any("names no policy" in note and "--threshold" in note for note in heard.notes)


def test_rows_unlike_the_pool_are_told(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """Rows like those that the student knew are passed in silence; those of two classes alone are warned of."""
    source = digits.write_pool(tmp_path / "new.parquet", NEW)
    plain = told(exported_once, tmp_path, StudentPolicy(), None)
    flows.predict(plain, source, tmp_path / "out.parquet", replace(CPU, threshold=0.0))
    said = pq.read_table(tmp_path / "out.parquet")
    classes = load(plain, device="cpu").classes
    codes = [classes.index(label) for label in said["label"].to_pylist()]
    pool = Words.of(*(said_of(codes, said["confidence"].to_numpy())), len(classes))
    student = told(exported_once, tmp_path, StudentPolicy(), pool)
    alike, other = Heard(), Heard()
    outcome = flows.predict(student, source, tmp_path / "out.parquet", CPU, listener=alike)
    assert outcome.drift is not None
    assert (outcome.drift.classes, outcome.drift.confidence) == (0.0, 0.0)
    assert not any("pool" in note for note in alike.notes)
    few = [row for row in range(1_797) if digits.classes[row] in "38"]
    rows = digits.write_pool(tmp_path / "two.parquet", few * 2)
    outcome = flows.predict(student, rows, tmp_path / "out.parquet", CPU, listener=other)
    assert outcome.drift is not None
    assert outcome.drift.classes > 0.25
    assert any("not like the pool" in note for note in other.notes)


def said_of(codes: list[int], confidence: object) -> tuple[object, object]:
    """Return what a student said, as arrays."""
    import numpy as np

    return np.array(codes, np.int64), np.asarray(confidence, np.float64)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Give a bucket that the environment names."""
    with bucket() as one:
        for name, value in one.environment.items():
            monkeypatch.setenv(name, value)
        yield one


def test_from_a_store_as_from_a_disk(
    exported_once: Path, digits: Digits, tmp_path: Path, store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet in a store is labeled as on the disk; interrupted there, it goes on, and to the same bytes."""
    monkeypatch.setattr(parts, "PART_ROWS", 64)
    monkeypatch.setattr(sources, "rows_per_batch", lambda _shape: 16)
    for name in ("a", "b"):
        store.put(f"new/{name}.parquet", digits.write_pool(tmp_path / f"{name}.parquet", NEW))
    whole = flows.predict(exported_once, "s3://digits/new", tmp_path / "whole.parquet", CPU)
    disk = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    here = flows.predict(exported_once, disk, tmp_path / "here.parquet", CPU)
    assert whole.rows == here.rows
    far, near = (pq.read_table(tmp_path / f"{name}.parquet").drop(["file"]) for name in ("whole", "here"))
    assert far.equals(near)

    class Impatient(Heard):
        def progress(self, progress: object) -> None:
            if progress.done > 700:  # type: ignore[attr-defined]
                raise KeyboardInterrupt

    target = tmp_path / "out.parquet"
    with pytest.raises(KeyboardInterrupt):
        flows.predict(exported_once, "s3://digits/new", target, CPU, listener=Impatient())
    again = flows.predict(exported_once, "s3://digits/new", target, CPU)
    assert 512 <= again.resumed < 1_200
    assert again.rows == whole.rows
    assert target.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_a_mended_file_costs_only_its_own_parts(
    exported_once: Path, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one file of several is damaged, the parts of the others stay for the call after it was mended."""
    monkeypatch.setattr(parts, "PART_ROWS", 100)
    monkeypatch.setattr(sources, "rows_per_batch", lambda _shape: 50)
    files = [digits.write_pool(tmp_path / f"{name}.parquet", range(600, 800)) for name in "ab"]
    good = files[1].read_bytes()
    broken = bytearray(good)
    broken[100:4_000] = b"x" * 3_900
    files[1].write_bytes(broken)
    target = tmp_path / "out.parquet"
    with pytest.raises(Exception, match=r"b\.parquet"):
        flows.predict(exported_once, files, target, CPU)
    files[1].write_bytes(good)
    outcome = flows.predict(exported_once, files, target, CPU)
    assert outcome.resumed >= 200
    assert outcome.rows.given == 400


def test_the_output_is_no_input(exported_once: Path, digits: Digits, tmp_path: Path) -> None:
    """A folder that holds the output of an earlier call is not read with it."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(digits.test, folder / "in.parquet")
    flows.predict(exported_once, folder, folder / "out.parquet", CPU)
    with pytest.raises(UsageError, match="is what is read"):
        flows.predict(exported_once, folder, folder / "out.parquet", replace(CPU, top_k=1))


@pytest.mark.gpu
def test_cuda_answers_as_the_cpu(exported_once: Path) -> None:
    """Bound to the device, the answers are the CPU's but for rounding, and come from the CUDA provider."""
    student, cpu = load(exported_once, device="cuda"), load(exported_once, device="cpu")
    assert student.session.get_providers()[0] == "CUDAExecutionProvider"
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (600, 8, 8, 1), np.uint8)
    for rows in (pixels, pixels[:1], pixels[::2]):
        assert np.allclose(student.probabilities(rows), cpu.probabilities(np.ascontiguousarray(rows)), atol=1e-4)


def test_a_kill_before_the_parts_were_removed_leaves_none_for_long(
    exported_once: Path, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when its file has its name and the parts are still there: the next call removes these, and no more."""
    target = tmp_path / "out.parquet"
    with monkeypatch.context() as killed:
        killed.setattr(parts, "discard", lambda *_: 0)
        flows.predict(exported_once, digits.test, target, CPU)
    assert [*tmp_path.glob("out.parquet.parts/*")] != []
    written = target.read_bytes()
    assert flows.predict(exported_once, digits.test, target, CPU).repeated
    assert (target.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (written, ["out.parquet"])
