"""What verbs may be told, and how texts become values."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelsvc.config import (
    DEFAULT_BUDGET,
    IngestConfig,
    LabelConfig,
    TrainConfig,
    digest,
    parse_duration,
    parse_pairs,
    parse_sides,
    parse_tolerance,
    read_file,
)
from labelsvc.errors import InputError, UsageError


def test_steps_and_budget_exclude_each_other() -> None:
    """A training is told its steps or its seconds, never both."""
    with pytest.raises(UsageError, match="exclude each other"):
        TrainConfig(steps=10, budget=60.0)


def test_a_training_has_seconds_unless_it_has_steps() -> None:
    """Without steps the budget counts, and without a budget the default."""
    assert TrainConfig().seconds == DEFAULT_BUDGET
    assert TrainConfig(budget=7.0).seconds == 7.0
    assert TrainConfig(steps=0).seconds is None


@pytest.mark.parametrize("settings", [{"steps": -1}, {"keep_moments": -1}])
def test_negative_counts_are_refused(settings: dict[str, int]) -> None:
    """There are no negative steps or moments."""
    with pytest.raises(UsageError, match="must not be negative"):
        TrainConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_a_budget_is_positive(budget: float) -> None:
    """A budget that is no time at all is refused, not replaced by the default."""
    with pytest.raises(UsageError, match="budget"):
        TrainConfig(budget=budget)


def test_a_seed_is_not_negative() -> None:
    """Generators take no negative seeds, so neither do we."""
    with pytest.raises(UsageError, match="seed"):
        TrainConfig(seed=-1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), (" 2m ", 120), ("1.5h", 5400), ("0.5 s", 0.5), ("10 m", 600)]
)
def test_durations(text: str, seconds: float) -> None:
    """A number with a unit, or of seconds, is a duration."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "2 days", "m", "1e3", "nan", "1,5h", "2m30s"])
def test_what_is_no_duration(text: str) -> None:
    """Everything else is refused, with how to write one."""
    with pytest.raises(UsageError, match=r"2m or 1\.5h"):
        parse_duration(text)


def test_pairs() -> None:
    """Pairs part at the first equals sign; a value may be empty."""
    assert parse_pairs(["a=1", "b=x=y", "c="], "--set") == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize(
    ("texts", "reason"), [(["a"], "NAME=VALUE"), (["=1"], "NAME=VALUE"), (["a=1", "a=2"], "twice")]
)
def test_broken_pairs_are_refused(texts: list[str], reason: str) -> None:
    """A pair without a name or an equals sign, or a second one of a name, is a wrong call that names its flag."""
    with pytest.raises(UsageError, match=f"--set.*{reason}"):
        parse_pairs(texts, "--set")


def test_digests_tell_configs_apart() -> None:
    """Equal configs have one digest, whatever the order of their settings; any difference changes it."""
    first = digest(TrainConfig(settings={"a": "1", "b": "2"}), "state")
    assert first == digest(TrainConfig(settings={"b": "2", "a": "1"}), "state")
    others = [
        digest(TrainConfig(settings={"a": "1"}), "state"),
        digest(TrainConfig(settings={"a": "1", "b": "2"}), "other"),
        digest(TrainConfig(settings={"a": "1", "b": "2"}, seed=1), "state"),
        digest("state", TrainConfig(settings={"a": "1", "b": "2"})),
    ]
    assert len({first, *others}) == 5


def test_digests_take_paths_and_plain_values() -> None:
    """What a flow is told beside its config may be a path, a number or a table."""
    assert digest(Path("a"), 1, {"x": None}) != digest(Path("b"), 1, {"x": None})
    assert digest(LabelConfig()) != digest(IngestConfig())


def test_a_file_is_a_table_for_each_verb(tmp_path: Path) -> None:
    """A file's tables are returned as they are; no file is no tables."""
    path = tmp_path / "labelsvc.toml"
    assert read_file(path) == {}
    path.write_text('[train]\nsteps = 5\nsettings = {smoothing = "0.1"}\n[label]\nthreshold = 0.9\n')
    assert read_file(path) == {"train": {"steps": 5, "settings": {"smoothing": "0.1"}}, "label": {"threshold": 0.9}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"steps = 5", "'steps' stands outside a table"), (b"[train", "is no TOML"), (b"\xff\xfe", "is no TOML")],
)
def test_broken_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """A file that is no TOML, or has values outside tables, is bad input that names the file."""
    path = tmp_path / "labelsvc.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as refused:
        read_file(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("text", ["", "x", "28x", "x28", "0x28", "28x28x3x1", "-28x28", "28.5x28", "a x b"])
def test_sides_that_are_none(text: str) -> None:
    """What is no height and width is a wrong call that shows how to write them."""
    with pytest.raises(UsageError, match=r"--size.*28x28"):
        parse_sides(text, "--size")


@pytest.mark.parametrize("text", ["", "many", "-1", "101%", "1.5", "nan%"])
def test_tolerances_that_are_none(text: str) -> None:
    """What is neither a count nor a share is a wrong call."""
    with pytest.raises(UsageError, match="--max-failed"):
        parse_tolerance(text, 100)
