"""Every verb on real digits: what it prints where, what it accounts for, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Flow
from digits import FAST, POOL, Said, labelsvc, write_digits

PROGRAM = [sys.executable, "-c", "import sys; from labelsvc.cli.main import main; sys.exit(main())"]


def sum_of(said: Said) -> tuple[int, list[int]]:
    """Return what came in and what became of it, from the last line."""
    told = re.match(r"([\d,]+) in = ([^;]+)", said.last)
    assert told is not None, said.err
    return int(told[1].replace(",", "")), [int(part.split()[0].replace(",", "")) for part in told[2].split(" + ")]


@pytest.mark.parametrize("verb", ["ingest", "train", "label", "distill", "export"])
def test_a_verb_accounts_for_its_rows_and_names_run_and_next_command(flow: Flow, verb: str) -> None:
    """The last line on stderr adds up; stdout stays empty for data."""
    said = flow.said[verb]
    total, parts = sum_of(said)
    assert total == sum(parts) > 0
    assert re.search(r"; run …[0-9a-f]{8}; next: labelsvc ", said.last)
    assert said.out == ""


def test_the_next_command_is_for_the_workspace_in_use(flow: Flow) -> None:
    """What is worth typing works when it is typed."""
    assert flow.said["ingest"].last.endswith(f"next: labelsvc train --workspace {flow.workspace}")
    assert "--workspace" not in flow.said["export"].last


def test_ingest_says_what_came_in(flow: Flow) -> None:
    """Roles, classes and shape are told; rows without a label are called so."""
    said = flow.said["ingest"]
    assert "90 pool" in said.err
    assert "10 classes" in said.err
    assert "8×8×1" in said.err
    assert "190 in = 100 labeled + 90 unlabeled + 0 failed" in said.last


def test_label_tells_what_is_labeled_now(flow: Flow) -> None:
    """Labels are counted by where they are from."""
    assert re.search(r"labels now: .*60 given", flow.said["label"].err)


@pytest.mark.parametrize("verb", ["ingest", "train", "label", "distill"])
def test_the_same_again_was_done_already(flow: Flow, workspace: Path, verb: str) -> None:
    """A command with the same inputs and config does nothing, says so, and accounts for the same rows."""
    files = (flow.folder / "labeled.parquet", flow.folder / "pool.parquet", "--test", flow.folder / "test.parquet")
    arguments = {
        "ingest": files,
        "train": (*FAST, "--keep-moments", "2"),
        "label": ("--threshold", "0.4", "--from", model(workspace, "teacher")),
        "distill": FAST,
    }
    said = labelsvc(verb, *arguments[verb], "--workspace", workspace)
    assert said.code == 0
    assert "; done already" in said.last
    assert sum_of(said) == sum_of(flow.said[verb])


def model(workspace: Path, role: str) -> str:
    """Return a model's identifier."""
    sql = f"SELECT model_id FROM model WHERE role = '{role}'"
    found: str = labelsvc("query", sql, "--json", "--workspace", workspace).json["rows"][0][0]
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", *FAST, "--keep-moments", "2"],
        ["label", "--threshold", "0.4"],
        ["distill", *FAST],
        ["export", "OUT.onnx"],
        ["evaluate"],
        ["evaluate", "--truth", "truth.parquet"],
        ["query", "FROM label_sets"],
        ["trace", "digit-60"],
        ["runs"],
        ["labels", "list"],
        ["labels", "tag", "v1"],
        ["labels", "diff", "latest"],
        ["labels", "export", "OUT.parquet"],
        ["doctor"],
        ["methods"],
        ["predict", "student.onnx", "test.parquet", "OUT.parquet"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_json_is_exactly_one_object(flow: Flow, workspace: Path, tmp_path: Path, arguments: list[str]) -> None:
    """With --json stdout holds one object with schema_version and command, and nothing that is no JSON."""
    known = {"truth.parquet", "test.parquet", "student.onnx"}
    placed = [
        str(flow.folder / one) if one in known else str(tmp_path / one) if one.startswith("OUT") else one
        for one in arguments
    ]
    here = [] if arguments[0] in ("methods", "predict") else ["--workspace", str(workspace)]
    said = labelsvc(*placed, *here, "--json")
    assert said.code == 0, said.err
    assert said.json["schema_version"] == 1
    assert " ".join(arguments).startswith(said.json["command"])
    assert "NaN" not in said.out


def test_json_holds_the_outcome(workspace: Path) -> None:
    """The object has the outcome's fields, rows among them."""
    rows = labelsvc("train", *FAST, "--keep-moments", "2", "--workspace", workspace, "--json").json["rows"]
    assert rows == {"given": 60, "labeled": 60, "abstained": 0, "failed": 0, "skipped": 0}


def test_evaluate_prints_its_scores_as_data(workspace: Path) -> None:
    """Accuracy with its counts and a line for each class are on stdout."""
    said = labelsvc("evaluate", "--workspace", workspace)
    assert re.search(r"^accuracy [\d.]+% \(\d+ of 40 right\)$", said.out, re.MULTILINE)
    assert [line.split()[0] for line in said.out.splitlines()[-10:]] == list("0123456789")
    assert sum_of(said) == (40, [40, 0, 0])


def test_evaluate_shows_the_moments(workspace: Path) -> None:
    """The curve of the kept weights follows the table."""
    said = labelsvc("evaluate", "--moments", "--from", model(workspace, "teacher"), "--workspace", workspace)
    assert [line.split()[0] for line in said.out.splitlines()[-3:]] == ["step", "10", "20"]


def test_evaluate_against_truth_says_its_coverage(flow: Flow, workspace: Path) -> None:
    """Rows without a label count against coverage, not against accuracy."""
    said = labelsvc("evaluate", "--truth", flow.folder / "truth.parquet", "--workspace", workspace)
    total, parts = sum_of(said)
    assert total == len(POOL) == sum(parts)
    assert "accuracy" in said.out


def test_query_in_every_format_says_the_same(workspace: Path, tmp_path: Path) -> None:
    """Table, CSV, JSON and Parquet hold the same rows."""
    sql = "SELECT sample_id, label FROM labels WHERE source = 'given' ORDER BY sample_id"

    def ask(*arguments: str | Path) -> str:
        return labelsvc("query", sql, *arguments, "--workspace", workspace).out

    rows = [list(row.values()) for row in json.loads(ask("--format", "json"))]
    assert len(rows) == 60
    assert list(csv.reader(io.StringIO(ask("--format", "csv"))))[1:] == rows
    assert [line.split() for line in ask().splitlines()[1:]] == rows
    assert ask("--format", "parquet", "--output", tmp_path / "given.parquet") == ""
    assert [list(row.values()) for row in pq.read_table(tmp_path / "given.parquet").to_pylist()] == rows
    assert ask("--format", "csv", "--output", tmp_path / "given.csv") == ""
    assert (tmp_path / "given.csv").read_text() == ask("--format", "csv")


@pytest.mark.seconds
def test_query_writes_parquet_to_a_pipe(flow: Flow) -> None:
    """Parquet may go to stdout where that is no terminal."""
    command = [*PROGRAM, "query", "FROM labels", "--format", "parquet", "--workspace", str(flow.workspace)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 150


def test_query_shows_null_as_nothing(workspace: Path) -> None:
    """NULL is empty in CSV and null in JSON, and NaN is null too."""
    sql = "SELECT NULL AS a, 'nan'::DOUBLE AS b, true AS c, [1, 2] AS d"
    assert labelsvc("query", sql, "--format", "csv", "--workspace", workspace).out.splitlines()[1] == ',,true,"[1, 2]"'
    assert labelsvc("query", sql, "--json", "--workspace", workspace).json["rows"] == [[None, None, True, [1, 2]]]


def test_query_cannot_write(workspace: Path) -> None:
    """A statement that would change the store is refused with exit code 2."""
    said = labelsvc("query", "DELETE FROM sample", "--workspace", workspace)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: query only reads")
    assert said.err.count("\n") == 1


def test_a_closed_pipe_is_no_error(flow: Flow) -> None:
    """When a reader has seen enough, nothing is said about it."""
    command = [*PROGRAM, "query", "FROM labels, range(50000)", "--format", "csv", "--workspace", str(flow.workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == ""


def test_trace_tells_a_story(flow: Flow) -> None:
    """A sample of the pool is told from its file to its label."""
    said = labelsvc("trace", "digit-60", "--workspace", flow.workspace)
    assert said.out.startswith(f"Sample digit-60 is row 0 (from 0) of {flow.folder}/pool.parquet.")
    assert "the softmatch teacher" in said.out
    assert said.err == ""


def test_runs_are_listed_newest_first(flow: Flow) -> None:
    """The last thing done stands first, and --limit is kept to."""
    runs = labelsvc("runs", "--workspace", flow.workspace, "--json").json["runs"]
    assert [run["started_at"] for run in runs] == sorted((run["started_at"] for run in runs), reverse=True)
    assert len(labelsvc("runs", "--limit", "2", "--workspace", flow.workspace).out.splitlines()) == 3


def test_label_sets_are_tagged_compared_rolled_back_and_exported(workspace: Path, tmp_path: Path) -> None:
    """A second set becomes current; the first is found by its tag, compared with, and gone back to."""
    here = ("--workspace", workspace)
    assert labelsvc("labels", "tag", "first", *here).code == 0
    assert labelsvc("label", "--threshold", "0.0", *here).code == 0
    assert [one["names"] for one in labelsvc("labels", "list", "--json", *here).json["label_sets"]] == [
        ["first"],
        ["current"],
    ]
    diff = labelsvc("labels", "diff", "first", "--json", *here).json
    assert diff["gained"] + diff["changed"] + diff["unchanged"] == 90
    assert len(diff["classes"]) == 10
    assert " gained, " in labelsvc("labels", "diff", "first", *here).out
    assert labelsvc("labels", "rollback", *here).code == 0
    assert "current, first" in labelsvc("labels", "list", *here).out.splitlines()[1]
    said = labelsvc("labels", "export", tmp_path / "labels.parquet", *here)
    total, parts = sum_of(said)
    assert total == sum(parts) == pq.read_metadata(tmp_path / "labels.parquet").num_rows


def test_predict_accounts_for_failed_rows_and_ends_with_5(flow: Flow, tmp_path: Path) -> None:
    """A broken picture is counted, the file is written whole, and the exit code says that rows failed."""
    source = write_digits(tmp_path / "new.parquet", range(200, 210), labels=False, broken=(203,))
    said = labelsvc("predict", flow.folder / "student.onnx", source, tmp_path / "out.parquet", "--threshold", "0")
    assert said.code == 5
    assert "10 in = 9 labeled + 0 abstained + 1 failed" in said.err
    assert said.last.startswith("error: 1 of 10 rows failed")
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 10


@pytest.mark.seconds
def test_predict_needs_no_torch(flow: Flow, tmp_path: Path) -> None:
    """Labeling with a student loads neither torch nor duckdb."""
    arguments = [
        "predict",
        str(flow.folder / "student.onnx"),
        str(flow.folder / "test.parquet"),
        str(tmp_path / "out.parquet"),
    ]
    loaded = "{'torch', 'duckdb'} & {*sys.modules}"
    code = f"import sys; from labelsvc.cli.main import main; print(main({arguments!r}), {loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 set()\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ingest", "missing.parquet"], 3),
        (["ingest", "broken.parquet"], 3),
        (["train", "--steps", "1"], 3),
        (["trace", "nobody"], 3),
        (["predict", "missing.onnx", "in.parquet", "out.parquet"], 3),
    ],
)
def test_a_broken_input_gets_one_line(tmp_path: Path, arguments: list[str], code: int) -> None:
    """What is wrong with an input is told in one line, without a traceback, with its exit code."""
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 is not all that it takes")
    placed = [str(tmp_path / one) if one.endswith(("parquet", "onnx")) else one for one in arguments]
    here = [] if arguments[0] == "predict" else ["--workspace", str(tmp_path / "workspace")]
    said = labelsvc(*placed, *here)
    assert (said.code, said.out) == (code, "")
    assert said.last.startswith("error: ")
    assert "Traceback" not in said.err


def test_a_picture_that_cannot_be_decoded_stops_ingest(tmp_path: Path) -> None:
    """Ingest takes all rows or none, and ends with 5."""
    source = write_digits(tmp_path / "new.parquet", range(10), broken=(3,))
    said = labelsvc("ingest", source, "--workspace", tmp_path / "workspace")
    assert said.code == 5
    assert "row 3 of" in said.last


def test_an_unknown_model_is_wrong_usage(workspace: Path) -> None:
    """--from with no model's ending is told with exit code 2."""
    assert labelsvc("label", "--from", "nothing", "--workspace", workspace).code == 2


@pytest.mark.seconds
def test_run_does_all_of_it(flow: Flow, tmp_path: Path) -> None:
    """One command goes from files to an ONNX student; again, it finds everything done."""
    files = (flow.folder / "labeled.parquet", flow.folder / "pool.parquet")
    call = (
        "run",
        "--method",
        "supervised",
        *files,
        *FAST,
        "--threshold",
        "0.4",
        "--onnx",
        tmp_path / "s.onnx",
        "--workspace",
        tmp_path / "workspace",
    )
    first = labelsvc(*call)
    assert first.code == 0, first.err
    total, parts = sum_of(first)
    assert total == sum(parts) == 90
    assert (tmp_path / "s.onnx").exists()
    again = labelsvc(*call, "--json")
    assert again.code == 0
    assert again.json["labels"]["repeated"] is True


@pytest.mark.seconds
def test_an_interrupt_says_what_to_type(workspace: Path) -> None:
    """Ctrl-C ends with 130, one line, and the run recorded as interrupted."""
    command = [*PROGRAM, "train", *FAST, "--steps", "100000", "--workspace", str(workspace)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "steps of softmatch" in line:
                break
        running.send_signal(signal.SIGINT)
        told = running.stderr.read().splitlines()
    assert running.returncode == 130
    assert told[-1].startswith(
        "interrupted: nothing that was done is lost, the same command goes on from here: labelsvc train --steps 20"
    )
    assert not [line for line in told if "Traceback" in line]
    assert labelsvc("runs", "--json", "--workspace", workspace).json["runs"][0]["status"] == "interrupted"
