"""plan: what is told of a workspace before anything is spent, and that nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.errors import InputError, UsageError
from labelsvc.labeling.outlook import promise
from labelsvc.records import RowCount

from .digits import QUICK, Digits, ask, contents, store_of

PLAN = flows.PlanConfig(train=replace(QUICK, steps=None, budget=60.0))


@pytest.mark.seconds
def test_a_plan_tells_all_and_changes_nothing(ingested: Path) -> None:
    """Rows, promise, outlook, time, memory and disk are told; no table gets a row, no folder a file."""
    before = contents(ingested), ask(ingested, "FROM run ORDER BY ALL"), sorted(ingested.rglob("*"))
    outcome = flows.plan(ingested, PLAN)
    assert (contents(ingested), ask(ingested, "FROM run ORDER BY ALL"), sorted(ingested.rglob("*"))) == before
    assert outcome.roles == {"train": 60, "validation": 20, "calibration": 20, "pool": 300}
    assert outcome.rows == RowCount(given=400, labeled=100, abstained=300)
    assert outcome.promise == promise(0.95, 0.95, calibration=20, pool=300)
    assert outcome.evidence.labels == 80
    assert outcome.verdict.helps, outcome.verdict
    assert outcome.training is not None
    assert outcome.training.seconds == 60
    assert outcome.training.steps == pytest.approx(50 * outcome.training.steps_per_second, abs=2)
    assert outcome.training.baseline, "there are validation rows"
    assert outcome.space.memory["decoded inputs"] == 400 * 64
    assert outcome.space.disk["decoded inputs"] == 600 * 64
    assert outcome.space.memory["batch"] > 0


@pytest.mark.seconds
def test_calibration_labels_are_not_read(ingested: Path) -> None:
    """With every calibration label another one, the evidence and the verdict are the same to the last digit."""
    before = flows.plan(ingested, PLAN)
    with store_of(ingested).writing() as connection:
        connection.execute(
            "UPDATE given_label SET class = (class + 1) % 10 "
            "WHERE sample_no IN (SELECT sample_no FROM sample WHERE role = 'calibration')"
        )
    after = flows.plan(ingested, PLAN)
    assert (after.evidence, after.verdict, after.promise) == (before.evidence, before.verdict, before.promise)


@pytest.mark.seconds
def test_a_plan_speaks_wherever_it_can(digits: Digits, tmp_path: Path) -> None:
    """Without a label, and without a pool, it says what is missing; with a label each, that it is a gamble."""
    unlabeled = tmp_path / "unlabeled"
    flows.ingest(unlabeled, [digits.unlabeled])
    outcome = flows.plan(unlabeled, PLAN)
    assert "fewer than two classes" in outcome.verdict.reason
    assert (outcome.training, outcome.space.memory) == (None, {})
    full = tmp_path / "full"
    flows.ingest(full, [digits.labeled])
    outcome = flows.plan(full, PLAN)
    assert "there is no pool" in outcome.verdict.reason
    assert outcome.training is not None
    first = [digits.classes.index(str(code)) for code in range(10)]
    few = tmp_path / "few"
    rest = [row for row in range(400) if row not in first]
    flows.ingest(few, [digits.write(tmp_path / "a.parquet", first), digits.write_pool(tmp_path / "b.parquet", rest)])
    assert "at most one label of a class" in flows.plan(few, PLAN).verdict.reason


def test_what_cannot_be_planned_is_refused(ingested: Path, tmp_path: Path) -> None:
    """An unknown method, a precision that is none, and a folder without a workspace are told as anywhere."""
    with pytest.raises(UsageError, match="magic"):
        flows.plan(ingested, flows.PlanConfig(train=flows.TrainConfig(method="magic")))
    with pytest.raises(UsageError, match=r"--precision 1 must lie between 0 and 1"):
        flows.PlanConfig(precision=1.0)
    with pytest.raises(InputError, match="no workspace"):
        flows.plan(tmp_path / "nowhere", PLAN)
