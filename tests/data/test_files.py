"""Which files names stand for, and what their folders say."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelsvc.data.files import InputFile, expand
from labelsvc.errors import InputError

PLACES = (
    "a.parquet",
    "b.parquet",
    "notes.txt",
    "_hidden.parquet",
    "sub/c.parquet",
    "sub/.cache/d.parquet",
    "_temporary/e.parquet",
    "year=2026/label=a%20cat/f.parquet",
    "year=2026/label=__HIVE_DEFAULT_PARTITION__/g.parquet",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with files, hidden ones and partitions."""
    for place in PLACES:
        (tmp_path / "data" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / place).touch()
    return tmp_path / "data"


def named(files: tuple[InputFile, ...], folder: Path) -> list[str]:
    """Return the files' names below a folder."""
    return [file.path.relative_to(folder).as_posix() for file in files]


def test_files_come_in_the_order_named(folder: Path) -> None:
    """Files stand for themselves, whatever they are called, and say nothing of their folders."""
    names = ["b.parquet", "year=2026/label=a%20cat/f.parquet", "_hidden.parquet", "notes.txt"]
    files = expand([folder / name for name in names])
    assert named(files, folder) == names
    assert all(file.partitions == {} for file in files)


def test_a_folder_stands_for_all_that_lies_below(folder: Path) -> None:
    """All Parquet files below a folder come, sorted, but for hidden ones; their folders are columns."""
    files = expand([str(folder)])
    assert named(files, folder) == [
        "a.parquet",
        "b.parquet",
        "sub/c.parquet",
        "year=2026/label=__HIVE_DEFAULT_PARTITION__/g.parquet",
        "year=2026/label=a%20cat/f.parquet",
    ]
    assert files[2].partitions == {}
    assert files[3].partitions == {"year": "2026", "label": None}
    assert files[4].partitions == {"year": "2026", "label": "a cat"}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.parquet", ["a.parquet", "b.parquet"]),
        ("[b-z].parquet", ["b.parquet"]),
        ("s?b/*", ["sub/c.parquet"]),
        ("s*", ["sub/c.parquet"]),
        ("**/c.parquet", ["sub/c.parquet"]),
        ("sub/**", ["sub/c.parquet"]),
        ("**/[ac].parquet", ["a.parquet", "sub/c.parquet"]),
        ("*/label=a*/*.parquet", ["year=2026/label=a%20cat/f.parquet"]),
    ],
)
def test_a_pattern_stands_for_what_it_matches(folder: Path, pattern: str, names: list[str]) -> None:
    """Patterns match files, and folders with what lies below, at any depth."""
    assert named(expand([str(folder / pattern)]), folder) == names


def test_a_patterns_folders_are_columns(folder: Path) -> None:
    """Partitions are read below the start of a pattern, not in what stands before it."""
    (file,) = expand([str(folder / "year=2026" / "*" / "f.parquet")])
    assert file.partitions == {"label": "a cat"}


def test_patterns_are_relative_to_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern without a folder is one of the folder where the user stands."""
    monkeypatch.chdir(folder)
    assert [str(file.path) for file in expand(["*.parquet", "."])][:3] == ["a.parquet", "b.parquet", "sub/c.parquet"]


def test_a_file_named_twice_counts_once(folder: Path) -> None:
    """A file comes once, where it was named first, with all that its folders say."""
    (folder / "link.parquet").symlink_to("a.parquet")
    place = folder / "year=2026" / "label=a%20cat" / "f.parquet"
    files = expand([place, folder / "sub" / ".." / "b.parquet", folder, folder / "link.parquet"])
    assert len(files) == 5
    assert files[0] == InputFile(place, {"year": "2026", "label": "a cat"})


def test_a_name_may_look_like_a_pattern(folder: Path) -> None:
    """A file that is there goes before a pattern of its letters."""
    (folder / "a[1].parquet").touch()
    assert named(expand([folder / "a[1].parquet"]), folder) == ["a[1].parquet"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.parquet", r"there is no file .*nowhere\.parquet; check the path"),
        ("none-*.parquet", r"no file matches .*none-\*\.parquet"),
        ("_temp*/*", "no file matches"),
        ("empty", r"the folder .*empty holds no \*\.parquet file"),
        ("emp*", "no file matches"),
        ("a**b/x", "is no pattern|no file matches"),
    ],
)
def test_nothing_to_read_is_told(folder: Path, name: str, words: str) -> None:
    """A name without a file, a pattern without a match and a folder without Parquet are errors that say which."""
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=words):
        expand([folder / name])


def test_no_names_are_no_files() -> None:
    """Nothing named is nothing found."""
    assert expand([]) == ()
