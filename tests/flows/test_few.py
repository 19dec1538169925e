"""Few labels are spread over the pool before the teacher learns, by itself or when told, and for training only."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.flows import _few
from labelsvc.records import Progress

from .digits import QUICK, SHORT, Digits, Heard, ask

SPREAD = replace(QUICK, steps=60, spread=True)
COMMANDS = "SELECT command, status FROM run WHERE command <> 'ingest' ORDER BY started_at"

pytestmark = pytest.mark.seconds  # two trainings each


@pytest.fixture
def ten(digits: Digits, tmp_path: Path) -> Path:
    """Ingest a label for each of ten digits, and a pool of 400."""
    labeled = digits.write(tmp_path / "labeled.parquet", _one_of_each(digits))
    pool = digits.write_pool(tmp_path / "pool.parquet", range(100, 500))
    flows.ingest(tmp_path / "workspace", [labeled, pool], config=flows.IngestConfig(validation=0, calibration=0))
    return tmp_path / "workspace"


def _one_of_each(digits: Digits) -> list[int]:
    return [digits.classes.index(name) for name in sorted(set(digits.classes))]


def told(workspace: Path) -> dict[str, str]:
    """Return what the representation's run left: the spread labels by sample id."""
    ((run_id,),) = ask(workspace, f"SELECT run_id FROM run WHERE command = '{_few.COMMAND}'")
    found = pq.read_table(workspace / "runs" / str(run_id) / "spread.parquet")
    ids = dict(ask(workspace, "SELECT sample_no, sample_id FROM sample"))
    names = sorted(str(digit) for digit in range(10))
    return {
        str(ids[number]): names[code]
        for number, code in zip(found["sample_no"].to_pylist(), found["class"].to_pylist(), strict=True)
    }


def test_labels_are_spread_over_the_pool(ten: Path, digits: Digits) -> None:
    """Half of the pool gets a label to begin with, far more often right than by chance; the store hears none of it."""
    heard = Heard()
    flows.train(ten, SPREAD, listener=heard)
    assert any("10 labels are few" in note and "--no-spread" in note for note in heard.notes)
    found = told(ten)
    assert 190 <= len(found) <= 210
    assert all(int(name.removeprefix("digit-")) >= 100 for name in found), "given labels are not written again"
    right = [digits.classes[int(name.removeprefix("digit-"))] == label for name, label in found.items()]
    assert sum(right) / len(right) > 0.5
    assert ask(ten, "SELECT count(*) FROM given_label") == [(10,)]
    assert ask(ten, "SELECT count(*) FROM pseudo_label") == [(0,)]
    assert ask(ten, "SELECT count(*) FROM model") == [(1,)], "a representation is no model to label with"


def test_the_same_call_again_does_nothing(ten: Path) -> None:
    """A repeated training is found; another method takes up the same representation."""
    flows.train(ten, SPREAD)
    assert flows.train(ten, SPREAD).repeated
    assert ask(ten, COMMANDS) == [("train", "done"), ("representation", "done")]
    flows.train(ten, replace(SPREAD, method="fixmatch"))
    assert [command for command, _ in ask(ten, COMMANDS)] == ["train", "representation", "train"]


def test_an_interrupted_representation_goes_on(ten: Path) -> None:
    """Ctrl-C while the representation learns, and the same command again: the weights are those of one go."""

    def press(progress: Progress) -> None:
        if progress.stage == "train representation" and progress.done >= 10:
            raise KeyboardInterrupt

    whole = shutil.copytree(ten, ten.parent / "whole")
    with pytest.raises(KeyboardInterrupt):
        flows.train(ten, SPREAD, listener=Heard(press))
    assert ask(ten, COMMANDS) == [("train", "interrupted"), ("representation", "interrupted")]
    taken_up = flows.train(ten, SPREAD).model
    assert ask(ten, COMMANDS) == [("train", "done"), ("representation", "done")]
    assert flows.train(whole, SPREAD).model.sha256 == taken_up.sha256


def test_it_is_chosen_where_labels_are_few(ten: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself for few labels, a pool to learn from and the default method; never against the user's word."""

    def is_spread(**told: object) -> bool:
        heard = Heard()
        flows.train(ten, replace(SHORT, **told), listener=heard)  # type: ignore[arg-type]
        return any("labels are few" in note for note in heard.notes)

    assert not is_spread(seed=1), "a pool of 400 teaches no representation"
    monkeypatch.setattr(_few, "FEWEST_INPUTS", 300)
    assert is_spread(seed=2)
    assert not is_spread(seed=3, spread=False)
    assert not is_spread(seed=4, method="pseudo-label"), "a method that is named is the published one"
    assert is_spread(seed=5, method="pseudo-label", spread=True)
    monkeypatch.setattr(_few, "FEW", 0)
    assert not is_spread(seed=6)
