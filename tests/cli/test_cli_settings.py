"""Flag before environment before labelsvc.toml before default, and nothing unknown passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from digits import Said, labelsvc


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a workspace folder with nothing in it but settings."""
    (tmp_path / "labelsvc.toml").write_text(
        '[train]\nsteps = 30\nnetwork = "wide"\nset = { smoothing = 0.1, nesterov = true }\nkeep-moments = 2\n'
        "[labels.export]\nlabel_set = 'v1'\n"
    )
    return tmp_path


def shown(place: Path, *arguments: str) -> dict[str, tuple[object, str]]:
    """Return each setting of ``train`` with its source."""
    said = labelsvc("train", "--show-config", "--json", "--workspace", place, *arguments)
    assert said.code == 0, said.err
    return {one["name"]: (one["value"], one["from"]) for one in said.json["settings"]}


def refused(place: Path, text: str) -> Said:
    """Return what is said of a wrong labelsvc.toml."""
    (place / "labelsvc.toml").write_text(text)
    said = labelsvc("label", "--show-config", "--workspace", place)
    assert said.code in (2, 3)
    assert said.err.startswith("error: ")
    assert str(place / "labelsvc.toml") in said.err
    return said


def test_a_default_counts_where_nothing_else_is_said(place: Path) -> None:
    """Without flag, environment and file the default counts."""
    assert shown(place)["seed"] == (0, "default")


def test_the_file_beats_the_default(place: Path) -> None:
    """A key of the verb's table counts, written with hyphens or underscores."""
    settings = shown(place)
    assert settings["steps"] == (30, f"{place}/labelsvc.toml")
    assert settings["keep-moments"] == (2, f"{place}/labelsvc.toml")


def test_the_environment_beats_the_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LABELSVC_TRAIN_STEPS counts more than the file."""
    monkeypatch.setenv("LABELSVC_TRAIN_STEPS", "40")
    assert shown(place)["steps"] == (40, "LABELSVC_TRAIN_STEPS")


def test_the_flag_beats_the_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag counts more than anything."""
    monkeypatch.setenv("LABELSVC_TRAIN_STEPS", "40")
    assert shown(place, "--steps", "50")["steps"] == (50, "flag")


def test_the_environment_names_options_by_their_flags(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--set is LABELSVC_TRAIN_SET, whatever the code calls it."""
    monkeypatch.setenv("LABELSVC_TRAIN_SET", "a=1 b=2")
    assert shown(place)["set"] == (["a=1", "b=2"], "LABELSVC_TRAIN_SET")


def test_the_workspace_may_come_from_the_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LABELSVC_WORKSPACE names the workspace, and so its file."""
    monkeypatch.setenv("LABELSVC_WORKSPACE", str(place))
    said = labelsvc("train", "--show-config")
    assert "LABELSVC_WORKSPACE" in said.out
    assert "wide" in said.out


def test_a_table_is_a_repeatable_option(place: Path) -> None:
    """Settings of a method stand as a table in the file."""
    assert shown(place)["set"][0] == ["smoothing=0.1", "nesterov=true"]


def test_a_flag_takes_back_what_the_file_switched_on(place: Path) -> None:
    """--no-balanced wins over balanced = true."""
    (place / "labelsvc.toml").write_text("[train]\nbalanced = true\n")
    assert shown(place)["balanced"][0] is True
    assert shown(place, "--no-balanced")["balanced"] == (False, "flag")


def test_steps_as_a_flag_overrule_a_budget_in_the_file(place: Path) -> None:
    """Steps and budget exclude each other only where they are said in the same place."""
    (place / "labelsvc.toml").write_text('[train]\nbudget = "2m"\n')
    settings = shown(place, "--steps", "5")
    assert settings["steps"] == (5, "flag")
    assert settings["budget"] == (None, f"overruled ({place}/labelsvc.toml)")


def test_groups_have_tables_of_tables(place: Path) -> None:
    """[labels.export] is for labels export."""
    said = labelsvc("labels", "export", "--show-config", "--json", "--workspace", place)
    assert {"name": "label-set", "value": "v1", "from": f"{place}/labelsvc.toml"} in said.json["settings"]


def test_show_config_does_nothing(place: Path) -> None:
    """--show-config needs no files, makes nothing, and prints a table."""
    said = labelsvc("ingest", "--show-config", "--workspace", place)
    assert said.code == 0
    assert said.out.splitlines()[0].split() == ["setting", "value", "from"]
    assert [path.name for path in place.iterdir()] == ["labelsvc.toml"]


def test_an_unknown_key_is_an_error_of_every_verb(place: Path) -> None:
    """A typo below [train] is told by label, too, with what was probably meant."""
    said = refused(place, "[train]\nstepz = 3\n")
    assert "[train] has an unknown key 'stepz' (did you mean 'steps'?)" in said.err


def test_an_unknown_table_is_an_error(place: Path) -> None:
    """A table that is no verb is told."""
    assert "[trian] is no verb with settings (did you mean 'train'?)" in refused(place, "[trian]\nsteps = 3\n").err


def test_a_verb_without_a_workspace_has_no_table(place: Path) -> None:
    """A table that nobody would ever read is an error."""
    refused(place, "[predict]\nthreshold = 0.5\n")


def test_a_file_that_is_no_toml_is_an_error(place: Path) -> None:
    """Broken TOML is told with its file."""
    refused(place, "[train\n")


def test_a_wrong_value_is_told_with_where_it_is_from(place: Path) -> None:
    """A value of a wrong type names option and file."""
    said = refused(place, '[label]\nthreshold = "high"\n')
    assert said.code == 2
    assert "--threshold" in said.err
