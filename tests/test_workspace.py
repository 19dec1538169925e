"""A labeling task's folder, and files that get their names when they are finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelsvc import workspace
from labelsvc.errors import InputError
from labelsvc.workspace import Workspace, written_beside


def test_a_workspace_is_made_where_it_is_missing(tmp_path: Path) -> None:
    """Making one twice is making it once."""
    made = workspace.create(tmp_path / "a" / "b")
    assert made == workspace.create(tmp_path / "a" / "b")
    assert made.root.is_dir()
    assert list(made.root.iterdir()) == []


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    """Where the folder cannot be made, the message says which and what to do."""
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match=r"taken.*--workspace"):
        workspace.create(tmp_path / "taken")


def test_a_workspace_without_a_store_is_none(tmp_path: Path) -> None:
    """Only a folder with a store is found; the message says how to make one."""
    with pytest.raises(InputError, match="labelsvc ingest"):
        workspace.find(tmp_path)
    (tmp_path / "labels.duckdb").touch()
    assert workspace.find(tmp_path) == Workspace(tmp_path)


def test_places_lie_in_the_workspace(tmp_path: Path) -> None:
    """Runs have folders of their own, and the store's paths are relative to the workspace."""
    place = Workspace(tmp_path)
    folder = place.run_path("r1")
    assert folder.is_dir()
    assert folder == place.run_path("r1")
    assert place.relative(folder / "teacher.safetensors") == "runs/r1/teacher.safetensors"
    assert {place.relative(place.store_path), place.relative(place.cache_path)} == {"labels.duckdb", "cache"}


def test_a_finished_file_takes_its_name(tmp_path: Path) -> None:
    """The target appears, or is replaced, when the block succeeds, readable to all, and nothing lies beside it."""
    target = tmp_path / "new" / "out.txt"
    for text in ("first", "second"):
        with written_beside(target) as partial:
            assert partial.parent == target.parent
            assert partial.suffix == target.suffix
            partial.write_text(text)
            assert not target.exists() or target.read_text() == "first"
        assert target.read_text() == text
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_file_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """What fails half-way leaves the old file, and none where there was none."""
    old, new = tmp_path / "old.txt", tmp_path / "new.txt"
    old.write_text("kept")
    for target in (old, new):
        with pytest.raises(ZeroDivisionError), written_beside(target) as partial:
            partial.write_text("half")
            1 / 0  # noqa: B018
    assert old.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [old]
