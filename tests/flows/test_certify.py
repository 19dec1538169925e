"""certify: fresh rows prove how often a student is right, store and file say so, and seen rows prove nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.config import CertifyConfig, PredictConfig
from labelsvc.errors import InputError, PromiseError
from labelsvc.labeling.bounds import p_value
from labelsvc.records import Certificate
from labelsvc.store import certificates
from labelsvc.student.card import CERTIFICATE
from labelsvc.student.infer import load

from .digits import PICTURE, TEST, Digits, Heard, ask, newest, store_of, written

ASKED = CertifyConfig(0.8, device="cpu")
FRESH = range(600, 1000)  # of the shuffled digits: never ingested

pytestmark = pytest.mark.seconds


@dataclass(frozen=True)
class Place:
    """An exported student of one's own, the workspace that it is from, and a file of fresh rows."""

    student: Path
    workspace: Path
    fresh: Path

    def certify(self, config: CertifyConfig = ASKED, fresh: Path | None = None) -> Certificate:
        """Ask for a certificate."""
        return flows.certify(self.workspace, self.student, fresh or self.fresh, config).certificate

    def stored(self) -> tuple[Certificate, ...]:
        """Return the student's certificates in the store."""
        return certificates.of_model(store_of(self.workspace), newest(self.workspace).model_id)

    def in_file(self) -> dict[str, object]:
        """Return the certificate in the student's file."""
        found: dict[str, object] = json.loads(load(self.student, device="cpu").origin[CERTIFICATE])
        return found


@pytest.fixture
def place(exported_once: Path, digits: Digits, tmp_path: Path) -> Place:
    """Give a student of one's own, its workspace, and 400 fresh rows."""
    workspace = shutil.copytree(exported_once.parent / "workspace", tmp_path / "workspace")
    student = Path(shutil.copy(exported_once, tmp_path / "student.onnx"))
    return Place(student, workspace, digits.write(tmp_path / "fresh.parquet", FRESH))


def counted(place: Place, threshold: float, fresh: Path | None = None) -> tuple[int, int]:
    """Count by ``predict`` alone how many fresh rows a threshold accepts, and how many of these are wrong."""
    out = place.workspace.parent / "said.parquet"
    source = fresh or place.fresh
    flows.predict(place.student, source, out, PredictConfig(threshold=threshold, device="cpu"))
    said, truth = (pq.read_table(path)["label"].to_pylist() for path in (out, source))
    accepted = [(a, b) for a, b in zip(said, truth, strict=True) if a is not None]
    return len(accepted), sum(a != b for a, b in accepted)


def test_a_certificate_counts_fresh_rows(place: Place) -> None:
    """Checked and wrong are what predict says at the threshold, against the labels, and prove the promise."""
    outcome = flows.certify(place.workspace, place.student, place.fresh, ASKED)
    found = outcome.certificate
    assert (found.kind, found.valid, found.look, found.reason) == ("student", True, 1, None)
    assert found.model_id == newest(place.workspace).model_id
    assert found.threshold is not None
    assert counted(place, found.threshold) == (found.checked, found.wrong)
    assert p_value(found.checked, found.wrong, 0.8) <= 0.045
    assert found.wrong > 0  # else the count was put to no test
    assert (outcome.rows.given, outcome.rows.labeled) == (400, found.checked)
    assert outcome.next_command.endswith(f"--threshold {found.threshold!r}")


def test_the_store_and_the_file_hold_it(place: Place) -> None:
    """The certificate is in both, and the file answers as before, bit for bit, with all that it said of itself."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    before = load(place.student, device="cpu")
    found = place.certify()
    after = load(place.student, device="cpu")
    assert place.stored() == (found,)
    assert Certificate(**place.in_file()) == found  # type: ignore[arg-type]
    assert np.array_equal(before.probabilities(pixels), after.probabilities(pixels))
    assert {name: value for name, value in after.origin.items() if name != CERTIFICATE} == before.origin
    assert (after.classes, after.shape) == (before.classes, before.shape)


def test_the_same_question_is_answered_from_the_store(place: Place) -> None:
    """Asked again, the same certificate is told, and nothing is spent; a file that lost it gets it back."""
    plain = place.student.read_bytes()
    found = place.certify()
    place.student.write_bytes(plain)
    heard = Heard()
    again = flows.certify(place.workspace, place.student, place.fresh, ASKED, listener=heard)
    assert (again.repeated, again.certificate) == (True, found)
    assert any("was asked this of these very rows, which spends nothing" in note for note in heard.notes)
    assert place.stored() == (found,)
    assert place.in_file()["certificate_id"] == found.certificate_id


def test_a_second_question_is_the_second_look(place: Place, digits: Digits) -> None:
    """Another precision, or other rows, is another look, which must prove more; the first certificate stays."""
    first, second = place.certify(), place.certify(replace(ASKED, precision=0.7))
    other = digits.write(place.workspace.parent / "other.parquet", range(1000, 1400))
    third = place.certify(replace(ASKED, precision=0.6), fresh=other)
    assert [one.look for one in place.stored()] == [1, 2, 3]
    assert place.stored() == (first, second, third)
    assert p_value(second.checked, second.wrong, 0.7) <= 0.0025
    assert place.in_file()["certificate_id"] == third.certificate_id


def test_a_refusal_says_how_far_the_rows_reach(place: Place) -> None:
    """What cannot be proven is refused with its arithmetic, stored as void, and the file stays; again, for free."""
    before = place.student.read_bytes()
    asked = replace(ASKED, precision=0.995)
    with pytest.raises(PromiseError) as refusal:
        place.certify(asked)
    (void,) = place.stored()
    said = str(refusal.value)
    assert f"of the fresh rows {void.checked:,} are accepted at a confidence of" in said
    assert f"and {void.wrong:,} of these are wrong; the best promise available now is 0." in said
    assert "at 95% confidence, not 0.995" in said
    assert f"{place.student} is as it was, and the rows are spent" in said
    assert (void.valid, void.look, place.student.read_bytes()) == (False, 1, before)
    with pytest.raises(PromiseError) as again:
        place.certify(asked)
    assert (str(again.value), place.stored()) == (said, (void,))
    assert ask(place.workspace, "SELECT count(*), min(stop_reason) FROM run WHERE command = 'certify'") == [
        (1, "the promise cannot be made")
    ]


def test_too_few_rows_say_how_many_it_takes(place: Place, digits: Digits) -> None:
    """Ten right rows prove no 95%: the refusal names the number that would."""
    with pytest.raises(PromiseError, match=r"of the fresh rows \d+ are accepted.*it takes about [\d,]+ accepted rows"):
        place.certify(
            replace(ASKED, precision=0.9, threshold=0.99), digits.write(place.workspace.parent / "few", range(600, 660))
        )


def test_a_named_threshold_is_tested_alone(place: Place) -> None:
    """--threshold is the certificate's, whatever lower one could be proven."""
    found = place.certify(replace(ASKED, threshold=0.9))
    assert found.threshold == 0.9
    assert (found.checked, found.wrong) == counted(place, 0.9)


@pytest.mark.parametrize("row", [5, 85, 150], ids=["labeled", "labeled too", "pool"])
def test_a_row_that_was_ingested_proves_nothing(place: Place, digits: Digits, row: int) -> None:
    """It is known by its content, whatever its id, and nothing is spent."""
    table = digits.table([*FRESH[:20], row])
    ids = pa.array([f"renamed-{number}" for number in range(21)])
    seen = written(place.workspace.parent / "seen.parquet", table.set_column(0, "id", ids))
    with pytest.raises(InputError, match=r"1 of 21 rows are in this workspace, row 20 \(from 0\) is the first"):
        place.certify(fresh=seen)
    assert place.stored() == ()


def test_test_rows_are_fresh(place: Place, digits: Digits) -> None:
    """Rows that were ingested as test rows were learnt from by nobody, so they may prove something."""
    assert place.certify(replace(ASKED, precision=0.6), digits.test).checked <= len(TEST)


def test_a_student_of_another_workspace_is_refused(place: Place, ingested_once: Path) -> None:
    """Its rows are not known there, so nothing can be said of which are fresh."""
    with pytest.raises(InputError, match="was not exported from this workspace; name the right one with --workspace"):
        flows.certify(ingested_once, place.student, place.fresh, ASKED)


def repeated(digits: Digits, path: Path, rows: Sequence[int], times: int, *, named: bool) -> Path:
    """Write each row several times, as one group or without any."""
    table = pa.concat_tables([digits.table(rows)] * times)
    ids = pa.array([str(number) for number in range(len(table))])
    table = table.set_column(0, "id", ids)
    if named:
        table = table.append_column("product", pa.array([f"product {row}" for row in rows] * times))
    return written(path, table)


@pytest.mark.parametrize("named", [True, False], ids=["a group", "the same content"])
def test_a_group_counts_once(place: Place, digits: Digits, named: bool) -> None:
    """Rows of a group, or of one content, count once: three copies of each row prove what one does."""
    copies = repeated(digits, place.workspace.parent / "copies.parquet", FRESH, 3, named=named)
    outcome = flows.certify(
        place.workspace, place.student, copies, replace(ASKED, group_column="product" if named else None)
    )
    found = outcome.certificate
    assert found.threshold is not None
    assert (found.checked, found.wrong) == counted(place, found.threshold)
    assert outcome.rows.labeled == 3 * found.checked


def test_rows_that_cannot_be_judged_are_refused(place: Place, digits: Digits) -> None:
    """No label, no picture, no rows, no column: each is an error that says where, and nothing is spent."""
    folder, table = place.workspace.parent, digits.table(FRESH[:5])
    cells = table["image"].to_pylist()
    cells[3] = {"bytes": b"no picture", "path": None}
    bad = {
        "row 2 .from 0.: it has no label": digits.table(FRESH[:5], ["1", "2", None, "4", "5"]),
        "row 3 .from 0.: ": table.set_column(1, "image", pa.array(cells, PICTURE)),
        "has no rows": table.slice(0, 0),
        "has no column of labels; name it with --label-column": table.drop_columns("label"),
    }
    for said, rows in bad.items():
        with pytest.raises(InputError, match=said):
            place.certify(fresh=written(folder / "bad.parquet", rows))
    assert place.stored() == ()


def test_a_class_that_the_student_never_met_is_wrong(place: Place, digits: Digits) -> None:
    """Rows of an unknown class are wrong, whatever the student says of them."""
    rows = digits.write(place.workspace.parent / "odd.parquet", FRESH, ["a new one"] * len(FRESH))
    with pytest.raises(PromiseError, match=r"the best promise available now is 0\.000"):
        place.certify(fresh=rows)


def test_an_export_carries_the_certificate(place: Place) -> None:
    """The model's newest valid certificate is in each file that is exported of it, and stays there."""
    place.certify()
    newer = place.certify(replace(ASKED, precision=0.75))
    with pytest.raises(PromiseError):
        place.certify(replace(ASKED, precision=0.999))
    outcome = flows.export(place.workspace, place.student)
    assert outcome.certificate == newer
    assert place.in_file()["certificate_id"] == newer.certificate_id
    assert flows.export(place.workspace, place.student).repeated
