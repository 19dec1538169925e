"""The cache of decoded inputs: it may go at any time, and nobody notices."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.errors import InputError

from .digits import SHORT, Digits


@pytest.mark.seconds
def test_a_deleted_cache_changes_nothing(ingested: Path, second: Callable[[], Path]) -> None:
    """Without its cache, a workspace decodes its files anew, and the weights are the same to the bit."""
    other = second()
    shutil.rmtree(other / "cache")
    assert flows.train(other, SHORT).model.sha256 == flows.train(ingested, SHORT).model.sha256
    assert flows.evaluate(other).score == flows.evaluate(ingested).score
    assert {path.name for path in (other / "cache").iterdir()} == {path.name for path in (ingested / "cache").iterdir()}


@pytest.mark.seconds
def test_a_changed_file_is_noticed(digits: Digits, tmp_path: Path) -> None:
    """The cache stands in for a file that changed; without it, training says which file must come back."""
    file = digits.write(tmp_path / "mine.parquet", range(20))
    flows.ingest(tmp_path / "w", [file])
    digits.write(file, range(1, 21))
    flows.train(tmp_path / "w", SHORT)
    shutil.rmtree(tmp_path / "w" / "cache")
    with pytest.raises(InputError, match=r"mine\.parquet changed since it was ingested"):
        flows.train(tmp_path / "w", replace(SHORT, seed=1))
    file.unlink()
    with pytest.raises(InputError, match=r"mine\.parquet is gone"):
        flows.train(tmp_path / "w", replace(SHORT, seed=1))
