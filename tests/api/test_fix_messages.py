"""The FIX messages of a session are for its own firm and operators."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from account_api.configuration import api_settings
from account_api.errors import Problem
from account_api.http.app import create_app
from config.settings import DEMO_FILE, load
from config.shipped import shipped
from engine.core.commands import OpenSession
from engine.core.types import CancelScope, Origin
from tests.api.client import Caller
from tests.api.inprocess import Clock, InProcessEngine

ORDER = "8=FIX.4.4|35=D|34=2|49=ALICE|56=TANDEM|11=a-1|54=1|10=1|"
REPORT = "8=FIX.4.4|35=8|34=2|52=20261130-20:30:14.050000|37=7|11=a-1|150=0|10=1|"


class Gateway:
    """Stands for the gateway; ``asked`` are the calls."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.away = False

    def __call__(self, comp_id: str, cursor: str, limit: int) -> str:
        if self.away:
            raise Problem("gateway_unavailable", "The messages cannot be read: fix is away.")
        self.asked.append((comp_id, cursor, limit))
        came = [[1, "20261130-20:30:14.039973000", ORDER]]
        return json.dumps({"in": came, "out": [[2, REPORT]], "cursor": "1.1.2", "again": False})


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def of(engine: InProcessEngine, clock: Clock, tmp_path: Path, gateway: Gateway) -> object:
    settings = replace(
        api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(tmp_path)})),
        fix_messages=gateway, fix_dictionary=shipped("spec/FIX44.xml"),
    )  # fmt: skip
    app = create_app(settings, lambda: engine, None, clock)
    engine.submit(OpenSession(Origin("fix:ALICE"), "alice", CancelScope.NONE, 0))

    def make(name: str) -> Caller:
        if name.endswith("-read"):
            return Caller(app.test_client(), clock, token=f"demo-{name}")
        return Caller(app.test_client(), clock, key=f"demo-{name}" if name else "")

    return make


def test_a_firm_reads_its_own_decoded_and_filtered(of, gateway: Gateway) -> None:  # type: ignore[no-untyped-def]
    for path in ("/v1/sessions/fix:ALICE/messages", "/v1/sessions/ALICE/messages"):
        found = of("alice-read").get(path).ok()
        assert [row["name"] for row in found["messages"]] == ["NewOrderSingle", "ExecutionReport"]
    assert gateway.asked[0] == ("ALICE", "-", 100) and found["cursor"] == "1.1.2"
    side = next(field for field in found["messages"][0]["fields"] if field["tag"] == 54)
    assert side == {"tag": 54, "name": "Side", "value": "1", "meaning": "BUY"}
    found = of("alice-read").get(path, type="D", after="1.1.1").ok()
    assert [row["type"] for row in found["messages"]] == ["D"]
    assert gateway.asked[-1] == ("ALICE", "1.1.1", 1_000), "a filter looks at all that is kept"


def test_nobody_sees_anothers_and_the_operator_sees_all(of, gateway: Gateway) -> None:  # type: ignore[no-untyped-def]
    path = "/v1/sessions/fix:ALICE/messages"
    of("bob-read").get(path).problem(404, "not_found")
    of("").get(path).problem(401, "unauthorized")
    of("alice-trade").get("/v1/sessions/fix:NOBODY/messages").problem(404, "not_found")
    assert not gateway.asked
    assert len(of("operator").get(path).ok()["messages"]) == 2


def test_a_gateway_that_is_away_is_a_problem_that_may_pass(of, gateway: Gateway) -> None:  # type: ignore[no-untyped-def]
    gateway.away = True
    of("alice-read").get("/v1/sessions/ALICE/messages").problem(503, "gateway_unavailable")
