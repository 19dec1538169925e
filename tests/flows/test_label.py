"""label: exactly the rows that reach their threshold, of the pool and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.config import LabelConfig
from labelsvc.errors import InputError, UsageError
from labelsvc.store import label_sets

from .digits import NINETY, POOL, SHORT, Digits, Heard, ask, decide, newest, store_of

SAID = (
    "SELECT sample_id, predictions.label, confidence FROM predictions JOIN sample USING (sample_id) WHERE role = 'pool'"
)
CALIBRATION = "(SELECT sample_no FROM sample WHERE role = 'calibration')"


def labels(workspace: Path) -> dict[str, str]:
    """Return the pseudo-labels that are shown, by sample."""
    return dict(ask(workspace, "SELECT sample_id, label FROM labels WHERE source = 'pseudo'"))


def predictions_files(workspace: Path) -> dict[Path, int]:
    """Return the predictions files with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in workspace.glob("runs/*/predictions.parquet")}


def test_exactly_the_confident_rows_are_labeled(labeled: Path) -> None:
    """A pool row has the model's label if its confidence is at or above the threshold, and none otherwise."""
    said = ask(labeled, SAID)
    expected = {sample_id: label for sample_id, label, confidence in said if confidence >= 0.9}
    assert len(said) == 300
    assert 0 < len(expected) < 300
    assert labels(labeled) == expected


def test_the_threshold_itself_is_enough(labeled: Path) -> None:
    """A row whose confidence equals the threshold is labeled."""
    ((least,),) = ask(labeled, f"SELECT quantile_disc(confidence, 0.5) FROM ({SAID})")
    outcome = flows.label(labeled, replace(NINETY, threshold=least))
    assert outcome.rows.labeled == sum(confidence >= least for _, _, confidence in ask(labeled, SAID))
    assert ask(labeled, "SELECT min(confidence) FROM labels") == [(least,)]


def test_a_class_may_have_its_own_threshold(labeled: Path) -> None:
    """A row is measured by the threshold of the class that it would get; 1 shuts a class out, 0 lets all of it in."""
    flows.label(labeled, replace(NINETY, threshold=1.0, class_thresholds={"3": 0.0, "4": 0.5}))
    bars = {"3": 0.0, "4": 0.5}
    said = ask(labeled, SAID)
    expected = {sample_id: label for sample_id, label, confidence in said if confidence >= bars.get(label, 1.0)}
    assert labels(labeled) == expected
    rules = ask(labeled, "SELECT name, threshold FROM policy_threshold LEFT JOIN class USING (class) ORDER BY ALL")
    assert {("3", 0.0), ("4", 0.5), (None, 1.0)} <= set(rules)


def test_the_set_is_written_and_current(taught: Path) -> None:
    """The outcome's label set is in the store, is what ``current`` points to, and names run, model and policy."""
    outcome = flows.label(taught, NINETY)
    store = store_of(taught)
    assert label_sets.current(store) == outcome.label_set
    assert outcome.label_set.rows == len(label_sets.accepted(store, "current")) == outcome.rows.labeled
    assert (outcome.label_set.run_id, outcome.label_set.model_id) == (outcome.run_id, newest(taught).model_id)
    assert label_sets.policy(store, outcome.label_set).threshold == 0.9


def test_calibration_inputs_are_predicted_and_never_labeled(labeled: Path) -> None:
    """The model is asked of all calibration inputs; none of them has a row in ``pseudo_label``."""
    assert ask(labeled, f"SELECT count(*) FROM predictions WHERE sample_no IN {CALIBRATION}") == [(20,)]
    assert ask(labeled, f"SELECT count(*) FROM pseudo_label WHERE sample_no IN {CALIBRATION}") == [(0,)]
    assert ask(labeled, "SELECT DISTINCT source FROM labels WHERE role = 'calibration'") == [("given",)]


def test_only_the_pool_is_counted(taught: Path) -> None:
    """The rows add up to the pool: labeled and abstained, without calibration inputs and test rows."""
    rows = flows.label(taught, NINETY).rows
    assert rows.given == len(POOL) == rows.labeled + rows.abstained
    assert (rows.failed, rows.skipped) == (0, 0)


def test_another_threshold_asks_nothing_of_the_network(labeled: Path) -> None:
    """Predictions are made once for a model and a pool: a second policy reads the first one's file."""
    before, heard = predictions_files(labeled), Heard()
    flows.label(labeled, replace(NINETY, threshold=0.5), listener=heard)
    assert predictions_files(labeled) == before
    assert not heard.stages
    assert any("is known from" in note for note in heard.notes)


def test_the_same_call_again_returns_the_same_set(labeled: Path) -> None:
    """The same model, pool and rule write nothing new."""
    again = flows.label(labeled, NINETY)
    assert again.repeated
    assert [named.label_set for named in flows.list_labels(labeled)] == [again.label_set]


def test_an_earlier_rule_asked_again_is_current_again(labeled: Path) -> None:
    """The set of a repeated call is current, even if another was written meanwhile, and is not written twice."""
    first = flows.list_labels(labeled)[0].label_set
    flows.label(labeled, replace(NINETY, threshold=0.99))
    again = flows.label(labeled, NINETY)
    assert again.label_set == first
    assert label_sets.current(store_of(labeled)) == first
    assert len(flows.list_labels(labeled)) == 2


def test_a_higher_threshold_labels_a_subset(labeled: Path) -> None:
    """Raising the threshold only withdraws labels: none is gained, none changes."""
    low = labels(labeled)
    flows.label(labeled, replace(NINETY, threshold=0.99))
    high = labels(labeled)
    assert high.items() < low.items()
    change = flows.diff_labels(labeled, flows.list_labels(labeled)[0].label_set.label_set_id)
    assert (change.gained, change.changed, change.withdrawn) == (0, 0, len(low) - len(high))


def test_where_no_row_is_sure_enough_the_surest_is_told(labeled: Path) -> None:
    """An empty set is written, the highest confidence of the pool is said, and what helps comes next."""
    surest = ask(labeled, "SELECT max(confidence) FROM labels WHERE source = 'pseudo'")[0][0]
    told = Heard()
    outcome = flows.label(labeled, replace(NINETY, threshold=1.0), listener=told)
    assert outcome.rows.labeled == 0
    assert outcome.next_command == "labelsvc suggest"
    assert any(f"the surest has {surest:.3f}" in note for note in told.notes)


def test_predictions_can_be_asked(labeled: Path) -> None:
    """The view ``predictions`` shows what the model said of every input that it was shown, with the users' ids."""
    rows = ask(labeled, "SELECT sample_id, confidence, runner_up_probability, probabilities FROM predictions")
    assert len(rows) == 340  # pool, calibration and validation rows
    for _, confidence, second, probabilities in rows:
        first, runner_up = sorted(probabilities, reverse=True)[:2]
        assert (confidence, second) == pytest.approx((first, runner_up), abs=1e-6)
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        LabelConfig(threshold=float("nan")),
        LabelConfig(threshold=1.5),
        LabelConfig(threshold=-0.1),
        LabelConfig(class_thresholds={"3": float("nan")}),
        LabelConfig(class_thresholds={"cat": 0.5}),
        LabelConfig(model="nobody"),
    ],
)
def test_a_wrong_rule_is_refused(taught: Path, config: LabelConfig) -> None:
    """A threshold that is no probability, an unknown class or model: a usage error, and nothing is written."""
    with pytest.raises(UsageError):
        flows.label(taught, config)
    assert flows.list_labels(taught) == []
    assert flows.list_runs(taught)[0].command == "train"


def test_without_a_model_nothing_is_labeled(ingested: Path) -> None:
    """Labels need a teacher, and the error says how to make one."""
    with pytest.raises(InputError, match="labelsvc train"):
        flows.label(ingested)


def test_a_set_knows_the_one_before_it(labeled: Path) -> None:
    """The parent of a set is the one that was current when it was written, and its message is kept."""
    second = flows.label(labeled, replace(NINETY, threshold=0.99, message="sure ones")).label_set
    first = flows.list_labels(labeled)[0].label_set
    assert (first.parent_id, second.parent_id) == (None, first.label_set_id)
    assert second.message == "sure ones"


def test_a_model_is_named_by_its_ending(taught: Path) -> None:
    """Without a name the newest model labels; the end of an id names an older one."""
    older = newest(taught)
    newer = flows.train(taught, replace(SHORT, method="supervised")).model
    assert flows.label(taught, NINETY).model == newer
    assert flows.label(taught, replace(NINETY, model=older.model_id[-8:])).model == older


def test_a_decided_sample_leaves_the_pool(labeled: Path) -> None:
    """What a person decided is asked of no model any more; an unsure leaves the sample where it was."""
    sure, unsure = sorted(labels(labeled))[:2]
    decide(labeled, sure, "reject")
    decide(labeled, unsure, "unsure")
    outcome = flows.label(labeled, NINETY)
    assert not outcome.repeated
    assert outcome.rows.given == 299
    assert sure not in labels(labeled)
    assert unsure in labels(labeled)


def test_a_workspace_without_a_pool_gets_an_empty_set(digits: Digits, tmp_path: Path) -> None:
    """Where everything is labeled there is nothing to label: that is a set of no rows, and no error."""
    flows.ingest(tmp_path / "w", [digits.labeled])
    flows.train(tmp_path / "w", SHORT)
    outcome = flows.label(tmp_path / "w", NINETY)
    assert (outcome.rows.given, outcome.label_set.rows) == (0, 0)
    assert outcome.next_command.startswith("labelsvc query")
    assert label_sets.current(store_of(tmp_path / "w")) == outcome.label_set
