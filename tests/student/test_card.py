"""What is written into a student's file: read back as written, and the file is otherwise what it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from training.bars import bars

from labelsvc.student.card import CERTIFICATE, add_certificate, add_facts, checked_format
from labelsvc.student.infer import load

from .exported import Exported


def certified(exported: Exported, folder: Path, *certificates: str) -> Path:
    """Return a copy of the student's file with certificates written one after the other."""
    path = Path(shutil.copy(exported.path, folder / "student.onnx"))
    for certificate in certificates:
        add_certificate(path, certificate)
    return path


def test_a_certificate_is_read_back(exported: Exported, tmp_path: Path) -> None:
    """The text stands in the metadata as it was given, whatever it holds."""
    text = '{"näme": "a \\"quoted\\" one"}'
    assert load(certified(exported, tmp_path, text), device="cpu").origin[CERTIFICATE] == text


def test_all_else_stays(exported: Exported, tmp_path: Path) -> None:
    """Graph, weights and what the file said of itself are the same, and so is each answer, bit for bit."""
    path, pixels = certified(exported, tmp_path, "{}"), bars(20)[0]
    before, after = onnx.load(exported.path), onnx.load(path)
    assert before.graph == after.graph
    assert {field.key for field in after.metadata_props} - {field.key for field in before.metadata_props} == {
        CERTIFICATE
    }
    answers = [load(file, device="cpu").probabilities(pixels) for file in (exported.path, path)]
    assert np.array_equal(*answers)


def test_a_newer_certificate_takes_the_place_of_the_older(exported: Exported, tmp_path: Path) -> None:
    """There is one certificate in a file, the last that was written."""
    props = onnx.load(certified(exported, tmp_path, "older", "newer")).metadata_props
    assert [field.value for field in props if field.key == CERTIFICATE] == ["newer"]


def test_the_same_certificate_again_writes_nothing(exported: Exported, tmp_path: Path) -> None:
    """A file that has it is left alone, and no half-written one lies beside it."""
    path = certified(exported, tmp_path, "{}")
    written_at = path.stat().st_mtime_ns
    add_certificate(path, "{}")
    assert path.stat().st_mtime_ns == written_at
    assert [*tmp_path.iterdir()] == [path]


def test_facts_stand_beside_one_another(exported: Exported, tmp_path: Path) -> None:
    """Facts of other names stay, one of the same name gives way."""
    path = certified(exported, tmp_path, "{}")
    add_facts(path, {"labelsvc.a": "1", "labelsvc.b": "2"})
    add_facts(path, {"labelsvc.b": "3"})
    said = load(path, device="cpu").origin
    assert (said["labelsvc.a"], said["labelsvc.b"], said[CERTIFICATE]) == ("1", "3", "{}")


def test_a_files_format_is_what_it_says(exported: Exported) -> None:
    """Opset and IR version are those of the graph, which ONNX's checker has passed."""
    model, found = onnx.load(exported.path), checked_format(exported.path)
    assert [known.version for known in model.opset_import] == [found.opset]
    assert model.ir_version == found.ir_version


def test_a_graph_that_is_none_is_not_passed(exported: Exported, tmp_path: Path) -> None:
    """A graph whose nodes do not fit together fails the checker."""
    model = onnx.load(exported.path)
    model.graph.node[0].input[0] = "nothing"
    onnx.save(model, tmp_path / "broken.onnx")
    with pytest.raises(onnx.checker.ValidationError):
        checked_format(tmp_path / "broken.onnx")
