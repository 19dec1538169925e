"""The gate for unknown classes, in the flow: what resembles no labeled row gets no label, and that is said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.config import IngestConfig, LabelConfig, TrainConfig
from labelsvc.store import label_sets

from .digits import Digits, Heard, ask, store_of

TEACHER = TrainConfig(
    method="supervised", steps=200, device="cpu", settings={"labeled_batch": "32"}, views="none", baseline=False
)
ALL = LabelConfig(threshold=0.5, device="cpu")
STRANGER = "7"


@pytest.fixture(scope="session")
def without_a_class_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a teacher on 620 digits less the sevens; the pool of 1,177 has its share of them."""
    folder = tmp_path_factory.mktemp("without")
    named = [row for row in range(620) if digits.classes[row] != STRANGER]
    files = [
        digits.write(folder / "labeled.parquet", named),
        digits.write_pool(folder / "pool.parquet", range(620, 1797)),
    ]
    flows.ingest(folder / "workspace", files, config=IngestConfig(validation=50, calibration=150))
    flows.train(folder / "workspace", TEACHER)
    return folder / "workspace"


@pytest.fixture
def without_a_class(without_a_class_once: Path, tmp_path: Path) -> Path:
    """Give such a workspace of one's own."""
    return shutil.copytree(without_a_class_once, tmp_path / "workspace")


def labeled_share(workspace: Path, digits: Digits, *, strangers: bool) -> float:
    """Return how many of the pool's sevens, or of the other digits, have a label."""
    labeled = {sample_id for (sample_id,) in ask(workspace, "SELECT sample_id FROM labels WHERE source = 'pseudo'")}
    rows = [row for row in range(620, 1797) if (digits.classes[row] == STRANGER) == strangers]
    return sum(f"digit-{row:04d}" in labeled for row in rows) / len(rows)


def test_rows_of_no_labeled_class_get_no_label(digits: Digits, without_a_class: Path) -> None:
    """Without a label for 7, few sevens are labeled, most other digits are, and the output says what was found."""
    heard = Heard()
    flows.label(without_a_class, replace(ALL, gate=False))
    open_share = labeled_share(without_a_class, digits, strangers=True)
    outcome = flows.label(without_a_class, ALL, listener=heard)
    assert labeled_share(without_a_class, digits, strangers=True) < min(0.2, open_share / 2)
    assert labeled_share(without_a_class, digits, strangers=False) > 0.85
    assert any("something unknown is in the pool" in note for note in heard.notes)
    assert label_sets.policy(store_of(without_a_class), outcome.label_set).least_familiarity is not None


def test_a_promise_beside_unknown_rows_holds(digits: Digits, without_a_class: Path) -> None:
    """The certificate covers what passes the gate, and of that at least as much is right as was promised."""
    outcome = flows.label(without_a_class, LabelConfig(precision=0.85, device="cpu"))
    labels = ask(without_a_class, "SELECT sample_id, label FROM labels WHERE source = 'pseudo'")
    right = sum(digits.classes[int(sample_id[-4:])] == label for sample_id, label in labels)
    assert [found.valid for found in outcome.certificates] == [True]
    assert right / len(labels) >= 0.85


def test_the_gate_stays_open_where_all_classes_have_labels(digits: Digits, tmp_path: Path) -> None:
    """With every class labeled nothing is said, and the threshold alone decides."""
    files = [
        digits.write(tmp_path / "labeled.parquet", range(620)),
        digits.write_pool(tmp_path / "pool.parquet", range(620, 1797)),
    ]
    flows.ingest(tmp_path / "workspace", files, config=IngestConfig(validation=50, calibration=150))
    flows.train(tmp_path / "workspace", TEACHER)
    heard = Heard()
    outcome = flows.label(tmp_path / "workspace", ALL, listener=heard)
    assert not any("something unknown" in note for note in heard.notes)
    assert label_sets.policy(store_of(tmp_path / "workspace"), outcome.label_set).least_familiarity is None
