"""compare: every student of a label set beside its teacher, each as the file that it would be."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from labelsvc import flows, networks
from labelsvc.errors import InputError, UsageError
from labelsvc.store import models

from .digits import SHORT, Heard, contents, newest, store_of

pytestmark = pytest.mark.seconds  # making an ONNX file takes torch a few


@pytest.fixture(scope="module")
def family_once(distilled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distill two more students, of other networks."""
    place = shutil.copytree(distilled_once, tmp_path_factory.mktemp("family") / "workspace")
    for network in ("wideresnet-28-2", "tutorial"):
        flows.distill(place, replace(SHORT, network=network))
    return place


@pytest.fixture
def family(family_once: Path, tmp_path: Path) -> Path:
    """Give a workspace of one's own with a teacher and three students."""
    return shutil.copytree(family_once, tmp_path / "workspace")


def test_all_students_stand_beside_their_teacher(family: Path) -> None:
    """The teacher comes first, the others by their size; each has its accuracy, agreement, size and speed."""
    found = flows.compare(family, device="cpu")
    teacher, *others = found.models
    assert (teacher.role, teacher.agreeing) == ("teacher", found.pool)
    assert [one.network for one in others] == ["tutorial", "convnet", "wideresnet-28-2"]
    assert {one.role for one in others} == {"student"}
    sizes = [one.parameters for one in others]
    assert sizes == sorted(sizes)
    assert (found.validation, found.pool, found.device) == (20, 300, "cpu")
    for one in found.models:
        assert one.right is not None
        assert one.agreeing is not None
        assert 0 <= one.right <= 20
        assert 0 <= one.agreeing <= 300
        assert one.bytes > 4 * one.parameters  # all weights are in the file, in float32
        assert one.latency_ms > 0
        assert one.rows_per_second > 0


def test_parameters_are_the_networks(family: Path) -> None:
    """They are counted as torch counts them."""
    model = newest(family)
    network = networks.build(model.network, model.preprocessing, len(model.classes), seed=0)
    (found,) = (one for one in flows.compare(family, device="cpu").models if one.model_id == model.model_id)
    assert found.parameters == sum(weights.numel() for weights in network.parameters())


def test_comparing_writes_nothing(family: Path) -> None:
    """Neither a run nor a file, and no test row is asked for."""
    before = contents(family), flows.list_runs(family), sorted(family.rglob("*"))
    flows.compare(family, device="cpu")
    assert (contents(family), flows.list_runs(family), sorted(family.rglob("*"))) == before


def test_named_models_take_the_place_of_the_sets_own(family: Path) -> None:
    """Only those that are named stand beside the teacher, each once; the teacher itself is there anyway."""
    last = newest(family)
    assert last.parent_id is not None
    found = flows.compare(family, [last.model_id, last.model_id[-12:], last.parent_id], device="cpu")
    assert [one.model_id for one in found.models] == [last.parent_id, last.model_id]


def test_without_a_label_set_models_have_to_be_named(taught: Path) -> None:
    """Whoever has no label set is told how to get one; a named model is measured, with nobody to agree with."""
    with pytest.raises(InputError, match="labelsvc label"):
        flows.compare(taught)
    (alone,) = flows.compare(taught, ["latest"], device="cpu").models
    assert (alone.role, alone.agreeing) == ("teacher", None)
    with pytest.raises(UsageError, match="no model"):
        flows.compare(taught, ["nobody"])


def test_students_whose_weights_are_gone_are_left_out(family: Path) -> None:
    """A pruned student cannot be measured, and the others are."""
    (family / newest(family).path).unlink()
    assert [one.network for one in flows.compare(family, device="cpu").models[1:]] == ["convnet", "wideresnet-28-2"]


def test_a_teacher_that_is_gone_is_known_by_its_words(family: Path) -> None:
    """Without its network it has no row, and what it said of the pool is still there to agree with."""
    heard, student = Heard(), newest(family)
    (family / models.get(store_of(family), student.parent_id or "").path).unlink()
    (found,) = flows.compare(family, [student.model_id], device="cpu", listener=heard).models
    assert found.model_id == student.model_id
    assert found.agreeing is not None
    assert any("is left out: its network is not here" in note for note in heard.notes)
