"""Which models may be called: what stellwerk.yaml bounds has to be known and within."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stellwerk.errors import UserError
from stellwerk.llm import allowed
from stellwerk.llm.opening import open_model
from stellwerk.llm.spec import ModelSpec
from stellwerk.workspace import Workspace

FAR = {"endpoint": "https://api.example.eu/v1"}
NEAR = {"endpoint": "http://127.0.0.1:8000/v1"}
MADE_UP = {"simulated": {"plan": "echo"}}


def place(folder: Path, settings: str) -> Workspace:
    workspace = Workspace.init(folder / "place")
    with (workspace.root / "stellwerk.yaml").open("a") as file:
        file.write(settings)
    return Workspace(workspace.root)


@pytest.mark.parametrize(
    ("bound", "fields", "wrong"),
    [
        ("", FAR, None),
        ("regions: [EU, DE]", {**FAR, "region": "eu"}, None),
        ("regions: [EU, DE]", {**FAR, "region": "US"}, "its region is US"),
        ("regions: [EU, DE]", FAR, "its region is not given"),
        ("regions: [EU, local]", NEAR, None),
        ("regions: [EU]", NEAR, "its region is local"),
        ("regions: [EU, local]", {**NEAR, "hosted": True}, "its region is not given"),
        ("regions: [EU, local]", {**FAR, "hosted": False}, "its region is not given"),
        ("regions: [local]", {"weights": "weights/small"}, None),
        ("regions: [local]", MADE_UP, None),
        ("regions: []", MADE_UP, "allows none"),
        ("seats: [DE]", {**FAR, "seat": "DE"}, None),
        ("seats: [DE]", {**FAR, "seat": "US", "region": "DE"}, "its seat is US"),
        ("seats: [DE]", FAR, "its seat is not given"),
        ("seats: [DE]", NEAR, None),
        ("seats: [DE]", {**NEAR, "hosted": True}, "its seat is not given"),
        ("seats: [DE]", {**NEAR, "seat": "US"}, "its seat is US"),
        ("seats: [DE]", {"weights": "weights/small"}, None),
        ("licences: [Apache-2.0]", {"weights": "weights/small", "licence": "Apache-2.0"}, None),
        ("licences: [Apache-2.0]", {"weights": "weights/small"}, "its licence is not given"),
        ("licences: [Apache-2.0]", {**FAR, "licence": "LicenseRef-llama"}, "its licence is LicenseRef-llama"),
        ("licences: [Apache-2.0]", MADE_UP, None),
        ("regions: [EU]\n  seats: [FR]", {**FAR, "region": "EU", "seat": "US"}, "its seat is US"),
    ],
)
def test_the_facts_have_to_be_known_and_within(tmp_path: Path, bound: str, fields: dict[str, Any], wrong: str | None) -> None:
    workspace = place(tmp_path, f"models:\n  {bound}\n" if bound else "")
    spec = ModelSpec.model_validate(fields)
    if wrong is None:
        allowed.check(workspace, "writer", spec)
        return
    with pytest.raises(UserError) as caught:
        open_model(workspace, "writer", spec)
    assert str(caught.value).startswith("models/writer.yaml may not be called") and wrong in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "here", "hosted"),
    [
        (FAR, False, True),
        (NEAR, True, False),
        ({"endpoint": "http://localhost/v1"}, True, False),
        ({"endpoint": "http://LOCALHOST.:1/v1"}, True, False),
        ({"endpoint": "http://[::1]:80/v1"}, True, False),
        ({"endpoint": "http://127.8.9.1/v1"}, True, False),
        ({"endpoint": "http://localhost.example.com/v1"}, False, True),
        ({"endpoint": "http://10.0.0.5/v1"}, False, True),
        ({"endpoint": "http://10.0.0.5/v1", "hosted": False}, False, False),
        ({**NEAR, "hosted": True}, True, True),
        (MADE_UP, True, False),
        ({"weights": "w"}, True, False),
    ],
)
def test_where_it_is_and_whether_it_may_change(fields: dict[str, Any], here: bool, hosted: bool) -> None:
    spec = ModelSpec.model_validate(fields)
    assert (allowed.on_this_machine(spec), allowed.is_hosted(spec)) == (here, hosted)
