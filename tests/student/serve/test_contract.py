"""The published contract: it is what the code generates, and the server keeps it whatever it is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .running import Running

pytestmark = pytest.mark.seconds

PUBLISHED = Path(__file__).parents[3] / "schemas" / "openapi.json"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_the_published_contract_is_the_code_s() -> None:
    """schemas/openapi.json equals what ``python -m labelsvc.student.serve.contract`` prints."""
    command = [sys.executable, "-W", "error", "-m", "labelsvc.student.serve.contract"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert PUBLISHED.read_text(encoding="utf-8") == printed


def test_the_server_publishes_the_same(running: Running) -> None:
    """What a running server tells of itself is the published contract."""
    assert running.ask("GET", "/openapi.json").json == json.loads(PUBLISHED.read_text(encoding="utf-8"))


def test_serving_loads_no_heavy_packages() -> None:
    """The server's process has neither torch nor the store nor what trains."""
    code = (
        "import labelsvc.student.serve.server, labelsvc.flows._serve, sys; "
        "print(*sorted({'torch', 'duckdb', 'sklearn', 'onnx', 'scipy', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def ask_everything(running: Running, examples: int) -> None:
    """Send each operation what the contract allows and what it forbids; the model's name is mostly the right one."""
    contract = schemathesis.openapi.from_dict(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    contract.config.update(base_url=f"http://{running.url}")
    for found in contract.get_all_operations():
        operation = found.ok()

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(
            max_examples=examples, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), database=None
        )
        def ask(case: schemathesis.Case) -> None:
            if "model" in case.path_parameters and len(str(case.path_parameters["model"])) % 4:
                case.path_parameters["model"] = "bars"
            if "version" in case.path_parameters and len(str(case.path_parameters["version"])) % 4:
                case.path_parameters["version"] = "1"
            case.call_and_validate(checks=CHECKS)

        ask()


def test_the_server_keeps_its_contract(running: Running) -> None:
    """No 5xx, no status, type or shape that the contract does not tell; a few examples of each operation."""
    ask_everything(running, 8)


@pytest.mark.slow
def test_the_server_keeps_its_contract_for_long(running: Running) -> None:
    """The same, many times over."""
    ask_everything(running, 500)
