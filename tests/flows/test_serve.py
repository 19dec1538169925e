"""serve: what is refused before anybody is listened to, each with what to do about it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.errors import InputError, UsageError

pytestmark = pytest.mark.seconds

TOKEN = "a-token-of-the-tests-0123456789"  # noqa: S105 - of nothing


def test_others_are_let_in_with_a_token_only(exported_once: Path) -> None:
    """A host that is not loopback needs a token, and a token needs some length."""
    everybody = flows.ServeConfig(host="0.0.0.0", port=0)  # noqa: S104 - it is refused
    with pytest.raises(UsageError, match=r"needs a token.*LABELSVC_TOKEN"):
        flows.serve(exported_once, everybody)
    for short in ("", "short", "with a space in the middle", "täglich-ein-anderes-wort"):
        with pytest.raises(UsageError, match="at least 16"):
            flows.serve(exported_once, everybody, token=short)


def test_a_token_s_file_must_be_there(exported_once: Path, tmp_path: Path) -> None:
    """A token that cannot be read is bad input, and nothing is served without it."""
    with pytest.raises(InputError, match=r"gone cannot be read"):
        flows.serve(exported_once, flows.ServeConfig(token_file=str(tmp_path / "gone")), token=TOKEN)


def test_a_port_that_is_taken_is_said(exported_once: Path) -> None:
    """Two servers on one port: the second says which, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}: .* choose another --port"):
            flows.serve(exported_once, flows.ServeConfig(port=port))


def test_a_host_that_is_none_is_said(exported_once: Path) -> None:
    """A name that nobody knows is a wrong call."""
    with pytest.raises(UsageError, match="no address of this machine"):
        flows.serve(exported_once, flows.ServeConfig(host="nowhere.invalid"))


def test_a_missing_extra_is_named(exported_once: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its packages, serving says what to install."""
    for name in [name for name in sys.modules if name.startswith("labelsvc.student.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UsageError, match=r"serving needs uvicorn.*: pip install 'labelsvc\[serve\]'"):
        flows.serve(exported_once)


@pytest.mark.parametrize(
    ("wrong", "flag"),
    [
        ({"port": 70_000}, "--port"),
        ({"threshold": 1.5}, "--threshold"),
        ({"threshold": float("nan")}, "--threshold"),
        ({"max_body_mb": 0.0}, "--max-body-mb"),
        ({"batch_rows": 0}, "--batch-rows"),
        ({"max_wait": -1.0}, "--max-wait"),
        ({"queue_rows": 10}, "--queue-rows"),
        ({"body_seconds": float("inf")}, "--body-seconds"),
    ],
)
def test_settings_out_of_their_bounds_are_refused(wrong: dict[str, float], flag: str) -> None:
    """Each names its flag."""
    with pytest.raises(UsageError, match=flag):
        flows.ServeConfig(**wrong)  # type: ignore[arg-type]
