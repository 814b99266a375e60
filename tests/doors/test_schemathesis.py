"""REST is given whatever its description allows, and more: no call may be a fault of the server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from stellwerk.operation import load_all

CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
OPERATIONS = {f"/api/{entry.path.replace('.', '/')}": entry for entry in load_all() if not entry.local}
ROUTES = [
    *(("POST", path) for path in OPERATIONS),
    ("POST", "/api/uploads"),
    ("GET", "/api/runs/{run}"),
    ("GET", "/api/runs/{run}/events"),
    ("GET", "/api/downloads/{digest}/{name}"),
]
EXAMPLES = 10  # of each kind, for a route
THERE = dict.fromkeys(("dataset", "first", "second"), "letters")
THERE |= {"reference": "dataset/letters", "asset": "dataset/letters", "run_id": "latest", "operation": "data.build"}


@pytest.fixture(scope="module")
def described(client: httpx.Client) -> Any:
    found = client.get("/api/openapi.json").json()
    assert {(method.upper(), path) for path, methods in found["paths"].items() for method in methods} == set(ROUTES)
    return schemathesis.openapi.from_dict(found)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: str(part))
def test_no_call_is_a_fault_of_the_server(client: httpx.Client, described: Any, method: str, path: str) -> None:
    # A text in a path cannot be of a wrong type.
    for mode in GenerationMode if method == "POST" else [GenerationMode.POSITIVE]:
        try_out(client, described, method, path, mode)


def try_out(client: httpx.Client, described: Any, method: str, path: str, mode: GenerationMode) -> None:
    changes = path in OPERATIONS and OPERATIONS[path].changes

    @given(described[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def calls(case: schemathesis.Case) -> None:
        # What starts a run or changes something is checked up to the point at which it would.
        if changes:
            case.headers["Prefer"] = "validate-only"
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            # Names that are there lead further than those made up.
            case.body.update({name: THERE[name] for name in case.body if name in THERE})
        case.call_and_validate(base_url=str(client.base_url), checks=CHECKS, timeout=60)

    calls()
