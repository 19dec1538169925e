"""audit --verdicts: a file that is not what a page saved is told what is wrong with it, and leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labelsvc import flows
from labelsvc.errors import InputError

from .audited import counts, drawn, knowing, saved, verdicts, write_labels
from .digits import Digits


@pytest.fixture
def right(ingested: Path, digits: Digits) -> Path:
    """Give a workspace whose 300 labels are all right."""
    write_labels(ingested, digits)
    return ingested


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda said: said | {"audit": "nobody"}, "is of audit 'nobody', which is not in this workspace"),
        (lambda said: said | {"verdicts": said["verdicts"][:-3]}, r"3 of 66 verdicts are missing .*, so nothing was"),
        (
            lambda said: said | {"schema_version": 2},
            "schema_version is 2, not 1; save the verdicts on the audit's page",
        ),
        (lambda said: [said], "it holds no object"),
        (lambda said: said | {"verdicts": None}, "it lacks audit, stage or verdicts"),
        (lambda said: said | {"stage": True}, "it lacks audit, stage or verdicts"),
        (lambda said: said | {"verdicts": [1]}, r"verdict 0 \(from 0\) is no object"),
        (lambda said: said | {"verdicts": [{"id": "a"}]}, "has no id or no occurrence"),
        (
            lambda said: said | {"verdicts": [{"id": "a", "occurrence": 1, "verdict": "maybe"}]},
            "'maybe', which is none",
        ),
        (lambda said: said | {"verdicts": [{"id": "a", "occurrence": 1, "verdict": "class"}]}, "names no class"),
        (
            lambda said: said | {"verdicts": [{"id": "a", "occurrence": 1, "verdict": "right", "label": "1"}]},
            "is right and names a class, '1'",
        ),
        (
            lambda said: said | {"verdicts": [{"id": "a", "occurrence": 1, "verdict": "none", "lead_time_s": -1}]},
            "took -1, which is no number of seconds",
        ),
    ],
)
def test_a_wrong_file_leaves_no_trace(right: Path, digits: Digits, change: Any, expected: str) -> None:  # noqa: ANN401
    """What is wrong with a file is told with its name, and nothing is written, not even a run."""
    content = verdicts(right, drawn(right, 0.9, n=60), knowing(digits))
    before, runs = counts(right), len(flows.list_runs(right))
    with pytest.raises(InputError, match=rf"v\.json.*{expected}"):
        flows.take_verdicts(right, saved(right.parent / "v.json", change(content)), actor="ada")
    assert (counts(right), len(flows.list_runs(right))) == (before, runs)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"{", b"[" * 100_000])
def test_what_is_no_json_is_told(right: Path, content: bytes | None) -> None:
    """A file that is missing or no JSON is an input error that names it."""
    file = right.parent / "v.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"v\.json"):
        flows.take_verdicts(right, file, actor="ada")
