"""label --precision: a promise that the store can account for, or a refusal that says what it would take."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from labelsvc import flows
from labelsvc.config import IngestConfig, LabelConfig, TrainConfig
from labelsvc.errors import PromiseError, UsageError
from labelsvc.labeling.bounds import p_value_of_rest
from labelsvc.store import certificates, label_sets

from .digits import Digits, Heard, ask, png, store_of, written

HELD = IngestConfig(validation=60, calibration=320)
TEACHER = TrainConfig(
    method="supervised", steps=150, device="cpu", settings={"labeled_batch": "32"}, views="none", baseline=False
)
ASKED = LabelConfig(precision=0.85, device="cpu")
LABELED, POOL = range(620), range(620, 1797)


@pytest.fixture(scope="session")
def promising_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a teacher on 240 digits; 60 are kept for validation, 320 for calibration, 1,177 are the pool."""
    folder = tmp_path_factory.mktemp("promising")
    files = [
        digits.write(folder / "labeled.parquet", LABELED),
        digits.write_pool(folder / "pool.parquet", POOL),
    ]
    flows.ingest(folder / "workspace", files, config=HELD)
    flows.train(folder / "workspace", TEACHER)
    written(folder / "workspace" / "truth.parquet", digits.table(POOL).drop_columns("image"))
    return folder / "workspace"


@pytest.fixture
def promising(promising_once: Path, tmp_path: Path) -> Path:
    """Give such a workspace of one's own."""
    return shutil.copytree(promising_once, tmp_path / "workspace")


CHECKED = """
SELECT count(*), count(*) FILTER (said.label <> class.name)
FROM predictions AS said
JOIN sample USING (sample_no)
JOIN given_label USING (sample_no)
JOIN class ON class.class = given_label.class
WHERE sample.role = 'calibration' AND said.confidence >= (
    SELECT threshold FROM policy_threshold JOIN label_set USING (policy_id)
    ORDER BY label_set.created_at DESC LIMIT 1
)
"""


def test_a_certificate_counts_what_it_rests_on(promising: Path) -> None:
    """Checked and wrong are those of the calibration rows at the threshold, and prove the promise at the first look."""
    outcome = flows.label(promising, ASKED)
    (found,) = outcome.certificates
    assert (found.kind, found.valid, found.look, found.promised_precision) == ("calibration", True, 1, 0.85)
    assert ask(promising, CHECKED) == [(found.checked, found.wrong)]
    assert p_value_of_rest(found.checked, found.wrong, 0.85, outcome.rows.labeled) <= 0.045
    assert found.rows_digest == outcome.label_set.digest
    assert outcome.rows.labeled > 300


def test_the_promise_is_where_one_looks_for_it(promising: Path) -> None:
    """The label set is current and certified; provenance, the policy and the exported file carry the promise."""
    outcome = flows.label(promising, ASKED)
    assert ask(promising, "SELECT certified, current, target_precision FROM label_sets") == [(True, True, 0.85)]
    told = (
        "SELECT DISTINCT certificate_id, promised_precision, target_precision FROM provenance WHERE source = 'pseudo'"
    )
    assert ask(promising, told) == [(outcome.certificates[0].certificate_id, 0.85, 0.85)]
    policy = label_sets.policy(store_of(promising), outcome.label_set)
    assert (policy.target_precision, policy.confidence_level) == (0.85, 0.95)


def test_the_same_question_is_answered_once(promising: Path) -> None:
    """Asked again, the same set and certificate are there, and no further look was taken."""
    first = flows.label(promising, ASKED)
    again = flows.label(promising, ASKED)
    assert again.repeated
    assert again.certificates == first.certificates
    assert ask(promising, "SELECT count(*) FROM look") == [(1,)]


def test_another_question_is_another_look(promising: Path) -> None:
    """A second question spends a tenth of δ, halved; both are stored."""
    flows.label(promising, ASKED)
    second = flows.label(promising, replace(ASKED, precision=0.8))
    assert second.certificates[0].look == 2
    spent = ask(promising, "SELECT look, level FROM look ORDER BY look")
    assert [look for look, _ in spent] == [1, 2]
    assert [level for _, level in spent] == pytest.approx([0.045, 0.0025])


def test_a_refusal_says_what_it_would_take(promising: Path) -> None:
    """Where nothing can be promised: the counts, the best promise, what is missing; nothing is written or moved."""
    before = flows.label(promising, LabelConfig(threshold=0.5, device="cpu")).label_set
    heard = Heard()
    with pytest.raises(PromiseError) as refusal:
        flows.label(promising, replace(ASKED, precision=0.999), listener=heard)
    said = str(refusal.value)
    assert "of 320 calibration labels" in said
    assert "the best promise available now is 0." in said
    assert "not 0.999" in said
    assert "--uncertified writes labels all the same" in said
    assert any("look 1 at 320 calibration labels; it spends 90.0% of δ" in note for note in heard.notes)
    current = label_sets.current(store_of(promising))
    assert current == before
    assert ask(promising, "SELECT stop_reason, rows_labeled FROM run WHERE command = 'label' ORDER BY started_at") == [
        ("one round done", before.rows),
        ("the promise cannot be made", 0),
    ]


def test_a_refusal_is_repeated_for_free(promising: Path) -> None:
    """The same impossible question gets the same answer and spends no second look."""
    asked = replace(ASKED, precision=0.999)
    answers = []
    for _ in range(2):
        with pytest.raises(PromiseError) as refusal:
            flows.label(promising, asked)
        answers.append(str(refusal.value))
    assert answers[0] == answers[1]
    assert ask(promising, "SELECT count(*) FROM look") == [(1,)]


def test_uncertified_labels_are_written_and_called_so(promising: Path) -> None:
    """--uncertified writes labels, answers from the look that was taken, and leaves a certificate that is not valid."""
    with pytest.raises(PromiseError):
        flows.label(promising, replace(ASKED, precision=0.999))
    outcome = flows.label(promising, replace(ASKED, precision=0.999, uncertified=True))
    assert outcome.refusal is not None
    assert outcome.rows.labeled > 0
    assert [found.valid for found in outcome.certificates] == [False]
    assert ask(promising, "SELECT certified, current FROM label_sets") == [(False, True)]
    assert ask(promising, "SELECT count(*) FROM look") == [(1,)]


def test_each_class_has_its_own_promise(promising: Path) -> None:
    """--per-class divides the level; every class that is labeled has a certificate, and other classes no label."""
    outcome = flows.label(promising, replace(ASKED, precision=0.6, per_class=True))
    whole, *of_classes = certificates.of_label_set(store_of(promising), outcome.label_set.label_set_id)
    assert whole.class_name is None
    assert whole.checked == sum(found.checked for found in of_classes)
    labeled = {label for (label,) in ask(promising, "SELECT DISTINCT label FROM labels WHERE source = 'pseudo'")}
    assert labeled == {found.class_name for found in of_classes}
    assert all(p_value_of_rest(found.checked, found.wrong, 0.6, 117) <= 0.045 / 10 + 0.002 for found in of_classes)


def test_a_pool_of_other_classes_voids_it(digits: Digits, promising: Path) -> None:
    """Where the pool is of other classes than the calibration rows, nothing is promised, and no look is spent."""
    threes = digits.table([row for row in POOL if digits.classes[row] == "3"]).drop_columns("label")
    for shade in (3, 6, 9, 12):
        pictures = [_dimmed(cell["bytes"], shade) for cell in threes["image"].to_pylist()]
        ids = pa.array([f"{sample_id}-{shade}" for sample_id in threes["id"].to_pylist()])
        more = pa.table({"id": ids, "image": pa.array(pictures, threes["image"].type)})
        flows.ingest(promising, [written(promising / f"more-{shade}.parquet", more)])
    with pytest.raises(PromiseError, match="the calibration rows do not resemble the pool") as refusal:
        flows.label(promising, ASKED)
    assert "look like 3" in str(refusal.value)
    assert "no calibration label was looked at" in str(refusal.value)
    assert ask(promising, "SELECT count(*) FROM look") == [(0,)]


def _dimmed(picture: bytes, shade: int) -> dict[str, bytes | None]:
    """Return a picture a shade darker, so that its content is new."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)))
    return {"bytes": png(pixels - np.minimum(pixels, shade).astype(np.uint8)), "path": None}


def test_few_calibration_rows_prove_little(taught: Path) -> None:
    """Twenty calibration rows prove little: the refusal counts them."""
    with pytest.raises(PromiseError, match="of 20 calibration labels"):
        flows.label(taught, replace(ASKED, precision=0.95))


def test_without_calibration_rows_nothing_is_promised(digits: Digits, tmp_path: Path) -> None:
    """Without a calibration row the refusal says how to keep some, and no look is spent."""
    files = [digits.labeled, digits.unlabeled]
    flows.ingest(tmp_path / "workspace", files, config=IngestConfig(validation=0, calibration=0))
    flows.train(tmp_path / "workspace", replace(TEACHER, steps=3))
    with pytest.raises(PromiseError, match="there are no calibration rows"):
        flows.label(tmp_path / "workspace", ASKED)
    assert ask(tmp_path / "workspace", "SELECT count(*) FROM look") == [(0,)]


def test_a_threshold_and_a_precision_exclude_each_other() -> None:
    """The threshold is what a precision finds; values that are no shares are refused."""
    with pytest.raises(UsageError, match="--precision finds the threshold"):
        LabelConfig(precision=0.9, threshold=0.5)
    with pytest.raises(UsageError, match="--precision 1 must lie between 0 and 1"):
        LabelConfig(precision=1.0)
    with pytest.raises(UsageError, match="--confidence 0 must lie between 0 and 1"):
        LabelConfig(precision=0.9, confidence=0.0)


def test_rounds_end_with_one_promise(promising: Path) -> None:
    """Earlier rounds promise nothing and leave `current` alone; the last set is certified, by the only look."""
    outcome = flows.label(promising, replace(ASKED, rounds=2, steps=20))
    assert [found.valid for found in outcome.certificates] == [True]
    assert ask(promising, "SELECT count(*) FROM look") == [(1,)]
    sets = ask(promising, "SELECT certified, current FROM label_sets ORDER BY created_at")
    assert sets[-1] == (True, True)
    assert set(sets[:-1]) == {(False, False)}
    moves = ask(promising, "SELECT count(*) FROM alias WHERE name = 'current'")
    assert moves == [(1,)]


def test_calibration_labels_decide_nothing_before_the_look(
    promising_once: Path, digits: Digits, tmp_path: Path
) -> None:
    """With every calibration label wrong, weights and temperature are the same; the look finds nothing right."""
    folder = tmp_path / "wrong"
    folder.mkdir()
    held = {name for (name,) in ask(promising_once, "SELECT sample_id FROM sample WHERE role = 'calibration'")}
    files = [digits.write(folder / "labeled.parquet", LABELED), digits.write_pool(folder / "pool.parquet", POOL)]
    flows.ingest(folder / "workspace", files, config=HELD)
    with store_of(folder / "workspace").writing() as connection:
        connection.execute(
            "UPDATE given_label SET class = (class + 1) % 10 "
            "WHERE sample_no IN (SELECT sample_no FROM sample WHERE role = 'calibration')"
        )
    right, wrong = promising_once, folder / "workspace"
    assert held == {name for (name,) in ask(wrong, "SELECT sample_id FROM sample WHERE role = 'calibration'")}
    flows.train(wrong, TEACHER)
    facts = "SELECT sha256, temperature FROM model"
    assert ask(wrong, facts) == ask(right, facts)
    with pytest.raises(PromiseError, match=r"the best promise available now is 0\.000"):
        flows.label(wrong, ASKED)
