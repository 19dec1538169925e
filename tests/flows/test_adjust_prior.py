"""label --adjust-prior: confidences that allow for the pool's balance, and a note where they ought to."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelsvc import flows
from labelsvc.config import IngestConfig, LabelConfig, TrainConfig
from labelsvc.errors import InputError
from labelsvc.flows._balance import THOROUGH, _balance
from labelsvc.flows._words import Task, Words, shown
from labelsvc.labeling import unknown
from labelsvc.labeling.pool import answers, read_predictions
from labelsvc.labeling.prior import adjust, estimate_prior
from labelsvc.records import SILENCE, Model
from labelsvc.store import label_sets, samples

from .digits import Digits, Heard, ask, store_of, written

TEACHER = TrainConfig(
    method="supervised", steps=40, device="cpu", settings={"labeled_batch": "32"}, views="none", baseline=False
)
PLAIN = LabelConfig(threshold=0.8, device="cpu", gate=False)
ADJUSTED = replace(PLAIN, adjust_prior=True)
LABELED, REST = range(400), range(400, 1797)
HINT = "--adjust-prior allows for that"


@pytest.fixture(scope="session")
def shifted_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a teacher on 250 digits, and leave nine in ten of the pool's digits out but for 1, 2 and 3."""
    folder = tmp_path_factory.mktemp("shifted")
    rows = [row for row in REST if digits.classes[row] in "123" or row % 10 == 0]
    files = [digits.write(folder / "labeled.parquet", LABELED), digits.write_pool(folder / "pool.parquet", rows)]
    flows.ingest(folder / "workspace", files, config=IngestConfig(validation=100, calibration=50))
    flows.train(folder / "workspace", TEACHER)
    written(folder / "workspace" / "truth.parquet", digits.table(rows).drop_columns("image"))
    return folder / "workspace"


@pytest.fixture
def shifted(shifted_once: Path, tmp_path: Path) -> Path:
    """Give such a workspace of one's own."""
    return shutil.copytree(shifted_once, tmp_path / "workspace")


def said(workspace: Path, name: str, model: Model) -> dict[int, tuple[float, np.ndarray]]:
    """Return the confidence and all probabilities by sample, from the only file of this name."""
    (path,) = workspace.glob(f"runs/*/{name}.parquet")
    return {
        int(number): (float(confidence), scores)
        for block, whole in answers(path, model.classes)
        for number, confidence, scores in zip(block.numbers, block.confidence, whole, strict=True)
    }


def test_the_words_are_adjusted_to_the_pools_balance(shifted: Path) -> None:
    """All words are the model's own times the pool's estimated balance over that of the train rows."""
    model = flows.label(shifted, ADJUSTED).model
    before, after = said(shifted, "predictions", model), said(shifted, "adjusted", model)
    store = store_of(shifted)
    labeled = np.bincount(samples.given(store, "train").classes, minlength=10).astype(float)
    own = np.stack([before[number][1] for number in samples.pool(store).tolist()])
    expected = adjust(np.stack([scores for _, scores in before.values()]), labeled, estimate_prior(own, labeled))
    assert before.keys() == after.keys()
    np.testing.assert_allclose(np.stack([scores for _, scores in after.values()]), expected, atol=1e-6)
    np.testing.assert_allclose([confidence for confidence, _ in after.values()], expected.max(axis=1))


def test_strange_rows_say_nothing_of_the_balance(shifted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The balance is estimated on those rows of the pool that are familiar enough, and on no calibration row."""
    monkeypatch.setattr(unknown, "FEWEST_LABELS", 250)
    model = flows.label(shifted, ADJUSTED).model
    store, (path,) = store_of(shifted), shifted.glob("runs/*/predictions.parquet")
    task = Task(store, ADJUSTED, model, shown(store), SILENCE)
    words = read_predictions(path, model.classes)
    assert words.familiarity is not None
    least = float(np.median(words.familiarity))
    familiar = words.numbers[words.familiarity >= least]
    found = _balance(task, Words(path, least), THOROUGH)
    assert found is not None
    assert 0 < found.rows == len(np.intersect1d(familiar, samples.pool(store))) < len(familiar)


def test_more_labels_are_right(shifted: Path) -> None:
    """In a pool of another balance the likeliest class is right at least as often after the adjustment."""
    right = []
    for rule in (PLAIN, ADJUSTED):
        flows.label(shifted, replace(rule, threshold=0.0))
        right.append(flows.evaluate(shifted, truth=shifted / "truth.parquet").score.accuracy)
    assert right[1] >= right[0]


def test_the_policy_says_that_it_was_adjusted(shifted: Path) -> None:
    """Provenance names the score; the view ``predictions`` shows the confidences that the threshold was held to."""
    outcome = flows.label(shifted, ADJUSTED)
    told = "SELECT DISTINCT score FROM provenance WHERE source = 'pseudo'"
    assert ask(shifted, told) == [("confidence, prior adjusted",)]
    assert label_sets.policy(store_of(shifted), outcome.label_set).score == "confidence, prior adjusted"
    accepted = (
        "SELECT count(*) FROM predictions JOIN sample USING (sample_no) WHERE role = 'pool' AND confidence >= 0.8"
    )
    assert ask(shifted, accepted) == [(outcome.rows.labeled,)]
    flows.label(shifted, PLAIN)
    assert ask(shifted, told) == [("confidence",)]


def test_adjusted_words_are_never_taken_for_the_models_own(shifted: Path) -> None:
    """With and without are two sets, each of which comes again; the network is asked once, whichever comes first."""
    adjusted = flows.label(shifted, ADJUSTED)
    heard = Heard()
    plain = flows.label(shifted, PLAIN, listener=heard)
    assert "label" not in heard.stages
    assert plain.label_set.digest != adjusted.label_set.digest
    for rule, first in ((ADJUSTED, adjusted), (PLAIN, plain)):
        again = flows.label(shifted, rule)
        assert (again.repeated, again.label_set) == (True, first.label_set)
    model = plain.model
    own = {number: confidence for number, (confidence, _) in said(shifted, "predictions", model).items()}
    for number, confidence in ask(shifted, "SELECT sample_no, confidence FROM pseudo_label ORDER BY label_set_id DESC"):
        if confidence != own[number]:
            break
    else:
        pytest.fail("no label has an adjusted confidence")


def test_a_promise_is_another_question(shifted: Path) -> None:
    """Adjusted labels are certified by a look of their own, and by the same one when asked again."""
    looks = []
    for rule in (PLAIN, ADJUSTED, ADJUSTED):
        flows.label(shifted, replace(rule, threshold=None, precision=0.5, uncertified=True))
        looks.append(ask(shifted, "SELECT count(DISTINCT question) FROM look")[0][0])
    assert looks[1] == looks[2]
    assert looks[0] <= looks[1]


def test_a_shift_is_noted(shifted: Path) -> None:
    """Without the flag the note names the classes that differ most; with it, it says what was done instead."""
    heard = Heard()
    flows.label(shifted, PLAIN, listener=heard)
    (note,) = [note for note in heard.notes if HINT in note]
    assert all(f"'{digit}' is" in note for digit in "123")
    heard = Heard()
    flows.label(shifted, ADJUSTED, listener=heard)
    assert not any(HINT in note for note in heard.notes)
    assert any(note.startswith("the prior is adjusted, as estimated from") for note in heard.notes)


def test_no_shift_is_no_note(taught: Path) -> None:
    """A pool of the labels' own balance is not called another."""
    heard = Heard()
    flows.label(taught, PLAIN, listener=heard)
    assert not any(HINT in note for note in heard.notes)


@pytest.mark.seconds
def test_rounds_adjust_each_models_words(shifted: Path) -> None:
    """Every round's labels are accepted by adjusted words, which a student learns from."""
    outcome = flows.label(shifted, replace(ADJUSTED, rounds=2, steps=10))
    assert {score for (score,) in ask(shifted, "SELECT score FROM policy")} == {"confidence, prior adjusted"}
    assert len(outcome.rounds) == 2


def test_foreign_words_are_adjusted_too(shifted: Path) -> None:
    """Another program's predictions may be adjusted; without a labeled train row there is nothing to adjust from."""
    flows.label(shifted, PLAIN)
    with flows.query(
        shifted,
        "SELECT sample_id AS id, "
        + ", ".join(f'probabilities[{k + 1}] AS "{k}"' for k in range(10))
        + " FROM predictions",
    ) as reader:
        written(shifted / "foreign.parquet", reader.read_all())
    foreign = replace(ADJUSTED, predictions=str(shifted / "foreign.parquet"))
    flows.label(shifted, foreign)
    told = "SELECT DISTINCT score FROM provenance WHERE source = 'pseudo'"
    assert ask(shifted, told) == [("confidence of foreign.parquet, prior adjusted",)]
    with store_of(shifted).writing() as connection:
        connection.execute(
            "DELETE FROM given_label WHERE sample_no IN (SELECT sample_no FROM sample WHERE role = 'train')"
        )
    with pytest.raises(InputError, match="no train row has one"):
        flows.label(shifted, foreign)
    flows.label(shifted, replace(foreign, adjust_prior=False))
