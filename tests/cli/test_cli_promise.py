"""label --precision, certify and run at the terminal: a promise is shown, a refusal is exit code 4 and says why."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from digits import labelsvc, write_digits

LABELED, POOL, FRESH = (range(first, 1797, 3) for first in range(3))  # digits come in the order of their writers
ROLES = ("--validation", "60", "--calibration", "320")
TEACHER = ("--method", "supervised", "--steps", "150", "--set", "labeled_batch=32", "--views", "none")
TRAIN = (*TEACHER, "--no-baseline", "--device", "cpu")
PROMISE = (
    r"calibration certificate …\w+: these labels are right 0.85 of the time, at 0.95 confidence \(\d+ checked, \d+ "
)

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with labeled.parquet, pool.parquet, fresh.parquet, and a workspace with a teacher."""
    folder = tmp_path_factory.mktemp("promising")
    write_digits(folder / "labeled.parquet", LABELED)
    write_digits(folder / "pool.parquet", POOL, labels=False)
    write_digits(folder / "fresh.parquet", FRESH)
    here = ("--workspace", folder / "workspace")
    for verb in (("ingest", folder / "labeled.parquet", folder / "pool.parquet", *ROLES), ("train", *TRAIN)):
        said = labelsvc(*verb, *here)
        assert said.code == 0, said.err
    return folder


@pytest.fixture
def promising(folder: Path, tmp_path: Path) -> Path:
    """Give such a workspace of one's own."""
    return Path(shutil.copytree(folder / "workspace", tmp_path / "workspace"))


def test_a_promise_is_shown(promising: Path) -> None:
    """The certificate stands on stderr with its terms and what it assumes, and in every place that shows the set."""
    here = ("--workspace", promising)
    said = labelsvc("label", "--precision", "0.85", *here)
    assert (said.code, said.out) == (0, ""), said.err
    assert re.search(PROMISE, said.err)
    assert "if the given labels resemble the pool" in said.err
    assert "0.85 at 0.95" in labelsvc("labels", "list", *here).out
    exported = labelsvc("labels", "export", promising / "out.parquet", *here)
    assert re.search(PROMISE, exported.err)
    (row,) = labelsvc("query", "SELECT min(sample_id) FROM labels WHERE source = 'pseudo'", "--json", *here).json[
        "rows"
    ]
    assert "right 0.85 of the time at 0.95 confidence by its calibration certificate" in (
        labelsvc("trace", row[0], *here).out
    )


def test_json_carries_the_certificates(promising: Path) -> None:
    """The outcome has the certificates and no refusal; asked again, the same ones."""
    first, again = (labelsvc("label", "--precision", "0.85", "--json", "--workspace", promising) for _ in range(2))
    (found,) = first.json["certificates"]
    assert (found["promised_precision"], found["confidence"], found["valid"]) == (0.85, 0.95, True)
    assert first.json["refusal"] is None
    assert (again.json["repeated"], again.json["certificates"]) == (True, [found])


def test_rounds_asked_again_still_show_the_promise(promising: Path) -> None:
    """The last round's certificate is told each time, as a single round's is."""
    arguments = ("label", "--precision", "0.85", "--rounds", "2", "--steps", "5", "--device", "cpu")
    first, again = (labelsvc(*arguments, "--json", "--workspace", promising) for _ in range(2))
    assert first.code == again.code == 0, first.err
    assert [one["valid"] for one in first.json["certificates"]] == [True]
    assert (again.json["repeated"], again.json["certificates"]) == (True, first.json["certificates"])


def test_a_refusal_is_exit_code_4(promising: Path) -> None:
    """The refusal is on stderr, with its arithmetic and what would help; stdout has nothing, with --json too."""
    for more in ((), ("--json",)):
        said = labelsvc("label", "--precision", "0.999", *more, "--workspace", promising)
        assert (said.code, said.out) == (4, "")
        assert re.search(r"error: of 320 calibration labels, \d+ are accepted .* not 0\.999: ", said.err)
        assert "--uncertified writes labels all the same, which `labelsvc audit` can then certify" in said.err


def test_uncertified_labels_are_called_so(promising: Path) -> None:
    """--uncertified writes labels, exits with 0 and says that nothing is promised, and why."""
    here = ("--workspace", promising)
    said = labelsvc("label", "--precision", "0.999", "--uncertified", "--json", *here)
    assert said.code == 0
    assert re.search(r"not certified: of 320 calibration labels", said.err)
    assert "certificate …" not in said.err
    assert said.json["refusal"].startswith("of 320 calibration labels")
    assert [one["valid"] for one in said.json["certificates"]] == [False]
    assert labelsvc("labels", "list", "--json", *here).json["label_sets"][-1]["certificate"] is None


def test_a_precision_finds_the_threshold_itself(promising: Path) -> None:
    """--precision with --threshold, and values that are no shares, are wrong usage."""
    here = ("--workspace", promising)
    said = labelsvc("label", "--precision", "0.85", "--threshold", "0.5", *here)
    assert (said.code, said.out) == (2, "")
    assert "--precision finds the threshold" in said.err
    assert labelsvc("label", "--precision", "95", *here).code == 2


def test_a_run_makes_the_promise_or_stops_before_its_student(folder: Path, promising: Path) -> None:
    """What cannot be promised ends a run with 4, the same again trains nothing, and a lower precision goes on."""
    here = ("--workspace", promising)
    run = ("run", folder / "labeled.parquet", folder / "pool.parquet", *ROLES, *TRAIN)
    for _ in range(2):
        said = labelsvc(*run, "--precision", "0.999", *here)
        assert (said.code, said.out) == (4, "")
        assert "not 0.999" in said.err
    trained = "SELECT count(*) FROM run WHERE command IN ('train', 'distill')"
    assert labelsvc("query", trained, "--json", *here).json["rows"] == [[1]]
    said = labelsvc(*run, "--precision", "0.85", *here)
    assert said.code == 0, said.err
    assert re.search(PROMISE, said.err)
    assert labelsvc("query", trained, "--json", *here).json["rows"] == [[2]]


def test_a_student_is_certified_by_fresh_rows(folder: Path, promising: Path, tmp_path: Path) -> None:
    """What is proven is printed; the rows are accounted for, and what is not proven is exit code 4."""
    here, student = ("--workspace", promising), tmp_path / "student.onnx"
    assert labelsvc("export", student, *here).code == 0
    said = labelsvc("certify", student, folder / "fresh.parquet", "--precision", "0.85", "--json", *here)
    assert said.code == 0, said.err
    assert re.search(r"student certificate …\w+: its labels of a confidence of [\d.]+ or more are right 0.85", said.err)
    found, rows = said.json["certificate"], said.json["rows"]
    assert (rows["given"], rows["labeled"]) == (len(FRESH), found["checked"])
    assert said.last.startswith(f"{len(FRESH)} in = {found['checked']} accepted + ")
    assert said.last.endswith(
        f"next: labelsvc predict {student} NEW.parquet out.parquet --threshold {found['threshold']}"
    )
    again = labelsvc("certify", student, folder / "fresh.parquet", "--precision", "0.85", *here)
    assert "done already" in again.last
    refused = labelsvc("certify", student, folder / "fresh.parquet", "--precision", "0.999", *here)
    assert (refused.code, refused.out) == (4, "")
    assert re.search(r"error: of the fresh rows \d+ are accepted .*, not 0\.999: ", refused.err)
    assert labelsvc("certify", student, folder / "fresh.parquet", *here).code == 2
    assert labelsvc("certify", student, folder / "labeled.parquet", "--precision", "0.85", *here).code == 3
    exported = labelsvc("export", tmp_path / "again.onnx", *here)
    assert "student certificate …" in exported.err
