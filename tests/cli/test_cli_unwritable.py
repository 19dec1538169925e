"""Places that cannot be written and disks without room: one line says where and what to do, nothing is half-made."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Flow
from digits import FAST, Said, labelsvc

NOBODY = 65534
PROGRAM = (sys.executable, "-c", "import sys; from labelsvc.cli.main import main; sys.exit(main())")


@pytest.fixture
def locked(flow: Flow, tmp_path: Path) -> Iterator[Path]:
    """Give a folder that this process may read and not write, whoever runs the tests; beside it, files to read."""
    folder = tmp_path / "locked"
    folder.mkdir()
    for name in ("pool.parquet", "student.onnx"):
        shutil.copy(flow.folder / name, tmp_path)
    labelsvc(
        "predict", tmp_path / "student.onnx", tmp_path / "pool.parquet", tmp_path / "loaded.parquet"
    )  # its modules
    folder.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents[:3]):  # one more where several processes test
        if parent.stat().st_mode & 0o055 != 0o055:
            parent.chmod(parent.stat().st_mode | 0o055)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)  # root may write anywhere
    yield folder
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)


def cramped(*arguments: object, largest_file: int) -> Said:
    """Run the program where no file may grow beyond a size, as on a disk that is full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def told(said: Said, *words: str) -> bool:
    """Say whether the last line is an error with these words, without a traceback before it."""
    last = said.err.splitlines()[-1]
    return last.startswith("error: ") and all(word in last for word in words) and "Traceback" not in said.err


def test_a_workspace_that_cannot_be_made(tmp_path: Path, locked: Path) -> None:
    """To ingest into a folder that is read-only is bad input, and names the workspace."""
    said = labelsvc("ingest", tmp_path / "pool.parquet", "--workspace", locked / "workspace")
    assert said.code == 3
    assert told(said, "locked/workspace", "--workspace")


def test_an_output_that_cannot_be_written(tmp_path: Path, locked: Path) -> None:
    """To predict into a folder that is read-only is bad input, and name the file."""
    said = labelsvc("predict", tmp_path / "student.onnx", tmp_path / "pool.parquet", locked / "out.parquet")
    assert said.code == 3
    assert told(said, "locked/out.parquet", "Permission denied", "another place")
    assert not list(locked.iterdir())


def test_an_output_below_a_file(flow: Flow, tmp_path: Path) -> None:
    """A folder of the output that is a file is bad input."""
    (tmp_path / "file").write_text("in the way")
    source = flow.folder / "pool.parquet"
    said = labelsvc("predict", flow.folder / "student.onnx", source, tmp_path / "file" / "out.parquet")
    assert said.code == 3
    assert told(said, "out.parquet", "another place")


@pytest.mark.seconds
def test_a_full_disk_while_ingesting(files: Path, tmp_path: Path) -> None:
    """No room for the decoded pictures: nothing is ingested, no cache is left, and the same command works later."""
    call = ("ingest", files / "pool.parquet", "--size", "128", "--workspace", tmp_path / "workspace")
    said = cramped(*call, largest_file=1_200_000)
    assert said.code == 1
    assert told(said, "cache", "File too large", "make room")
    assert not list((tmp_path / "workspace" / "cache").iterdir())
    counted = labelsvc("query", "SELECT count(*) FROM sample", "--json", "--workspace", tmp_path / "workspace")
    assert counted.json["rows"] == [[0]]
    assert labelsvc(*call).code == 0


@pytest.mark.seconds
def test_no_room_for_the_store(files: Path, tmp_path: Path) -> None:
    """No room for the store itself: one line that names it."""
    said = cramped("ingest", files / "pool.parquet", "--workspace", tmp_path / "workspace", largest_file=8_000)
    assert said.code in (1, 3)
    assert told(said, "labels.duckdb")


@pytest.mark.seconds
def test_a_full_disk_while_training(workspace: Path) -> None:
    """No room for the weights: one line, no model, and the same command trains later."""
    call = ("train", *FAST, "--network", "resnet18", "--steps", "1", "--workspace", workspace)
    said = cramped(*call, largest_file=5_000_000)
    assert said.code == 1
    assert told(said, "cannot be written", "File too large", "make room")
    assert labelsvc("runs", "--json", "--workspace", workspace).json["runs"][0]["status"] == "failed"
    assert labelsvc(*call).code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a disk of some kilobytes, where one may."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(kilobytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small disk needs rights that this user has not")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


@pytest.mark.seconds
def test_a_disk_that_is_full(flow: Flow, small_disk: Callable[[int], Path]) -> None:
    """On a real disk without room, an output of predict and a workspace say so and leave nothing."""
    disk = small_disk(64)
    (disk / "filling").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
    source = flow.folder / "pool.parquet"
    said = labelsvc("predict", flow.folder / "student.onnx", source, disk / "out.parquet")
    assert said.code == 1
    assert told(said, "out.parquet", "No space left on device", "make room")
    assert [path.name for path in disk.iterdir()] == ["filling"]
    ingested = labelsvc("ingest", source, "--workspace", disk / "workspace")
    assert ingested.code in (1, 3)
    assert told(ingested, "workspace")
