"""Every door of the account API against the table of authority: routes, operations, sessions.

Each holder (a key with one scope alone, of the firm's account, of a sub-account, of the venue)
asks for every thing by every door that offers it; what happens is what the table says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest

from account_api.configuration import api_settings
from account_api.crypto_addresses import simulated_deposit_address
from account_api.errors import Problem
from account_api.http.app import create_app
from account_api.http.routing import Route
from account_api.routes import ROUTES
from account_api.services import Services
from account_api.settings import SCOPES, ApiKey
from account_api.stream.handler import Handler
from account_api.stream.operations import OPERATIONS, Operations
from account_api.stream.principal import StreamPrincipal
from account_api.stream.requests import Message
from account_api.stream.settings import StreamSettings
from config.settings import DEMO_FILE, load
from engine.core import authority
from engine.core.authority import Holder, Reach, Thing
from engine.history.queries import open_reader
from tests.api.client import Caller
from tests.api.inprocess import Clock, InProcessEngine
from tests.api.test_every_field import body_of, path_of

FIRM, SUB, OTHER = "alice", "alice:desk", "bob"
OWNERS: Final = (FIRM, SUB)
KEYS: Final = {
    f"{scope}@{account}": ApiKey(
        f"{scope}-{account.replace(':', '-')}", "hmac", account, FIRM if account else "",
        f"user-{scope}",
        frozenset({scope}), secret=b"secret",
    )
    for scope in SCOPES
    for account in (OWNERS if scope != "operator" else ("",))
}  # fmt: skip


class Api:
    """The venue in this process: its HTTP application and the operations of its stream."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        engine = InProcessEngine(folder, self.clock)
        settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(folder)}))
        self.settings = replace(settings, keys=tuple(KEYS.values()), rate_limits=())
        formats = {(asset, network): form for asset, network, form in settings.address_formats}
        self.app = create_app(
            self.settings, lambda: engine, lambda: open_reader(engine.history_url), self.clock,
            simulated_deposit_address(formats),
        )  # fmt: skip
        self.services: Services = self.app.extensions["tandem"]
        self.operations = Operations(ROUTES, self.services, 2)
        self.count = 0

    @staticmethod
    def body(key: ApiKey, route: Route) -> dict[str, Any] | None:
        """A body that is right for whoever may send it."""
        if route.name == "create_key":
            return {"name": f"of-{key.key}", "kind": "hmac", "scopes": sorted(key.scopes)}
        return {"timeout_s": 0} if route.name == "set_dead_mans_switch" else body_of(route)

    def http(self, key: ApiKey, route: Route, account: str) -> dict[str, Any]:
        """What a route answers; ``account`` "" names none."""
        self.count += 1
        target, body = path_of(route), self.body(key, route)
        if account and body is not None:
            body = body | {"account": account}
        elif account:
            target += f"?account={account}"
        who = Caller(self.app.test_client(), self.clock, key=key.key, secret="secret")
        answer = who.send(
            route.method, target, body,
            idempotency_key="" if route.method == "GET" else f"k{self.count}",
        )  # fmt: skip
        return answer.json if answer.status >= 400 else {}

    def operation(self, key: ApiKey, op: str, route: Route, account: str) -> dict[str, Any]:
        """What an operation of the WebSocket answers."""
        params = dict(self.body(key, route) or {})
        for part in re.findall(r"\{(\w+)\}", route.path):
            params[part] = {"order": "client:o", "symbol": "BTC-USD"}[part]
        if account:
            params["account"] = account
        caller = StreamPrincipal(key=key, connection="c1")
        try:
            asyncio.run(self.operations.run(op, params, caller, "r"))
        except Problem as problem:
            return problem.document("r")
        return {}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    running = Api(tmp_path_factory.mktemp("venue"))
    yield running
    running.operations.close()
    running.services.close()


def takes_account(route: Route) -> bool:
    shape = route.body or route.query
    return "account" in {field.name for field in msgspec.structs.fields(shape)}


def expected(key: ApiKey, thing: Thing, account: str) -> str:
    """``refused``, ``unreached`` or ``done``, by the table alone."""
    widest = authority.may(key.holders, thing)
    if widest is Reach.NONE:
        return "refused"
    firm = FIRM if account in (FIRM, SUB) else account
    if not account or widest is Reach.VENUE or not key.account:
        return "done"
    return "done" if authority.reaches(key.account, key.firm, account, firm) else "unreached"


def seen(answer: dict[str, Any]) -> str:
    """What an answer amounts to as far as authority goes."""
    assert answer.get("status", 0) < 500, answer
    if answer.get("code") == "insufficient_scope":
        return "refused"
    if answer.get("code") == "not_found" and answer.get("field") == "account":
        return "unreached"
    return "done"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_asks_the_table(api: Api, route: Route) -> None:
    for name, key in KEYS.items():
        for account in ("", FIRM, SUB, OTHER) if takes_account(route) else ("",):
            if route.name == "report_deposit" and not account:
                continue  # The account is a part of what it says.
            answer = api.http(key, route, account)
            assert seen(answer) == expected(key, route.thing, account), (name, account, answer)


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_asks_the_table(api: Api, op: str) -> None:
    where = OPERATIONS[op]
    (route,) = (route for route in ROUTES if (route.method, route.path) == where)
    for name, key in KEYS.items():
        for account in ("", FIRM, SUB, OTHER) if takes_account(route) else ("",):
            answer = api.operation(key, op, route, account)
            assert seen(answer) == expected(key, route.thing, account), (name, account, answer)


@pytest.mark.parametrize("name", KEYS)
def test_private_channels_ask_the_table(api: Api, name: str) -> None:
    """An operator has no account of its own, so it has no private channels either."""
    key = KEYS[name]
    said = talk(api, key, "subscribe", {"channels": ["orders"]})
    allowed = authority.may(key.holders, Thing.STREAM_ACCOUNT) is not Reach.NONE
    assert (said.get("code") is None) == allowed, said


@pytest.mark.parametrize("op", ["subscribe", "unsubscribe", "snapshot"])
@pytest.mark.parametrize("name", KEYS)
def test_private_channels_of_a_named_account_ask_the_table(api: Api, name: str, op: str) -> None:
    """Whose orders a key reads by REST, theirs it hears by the WebSocket; operators hear none."""
    key = KEYS[name]
    for account in (FIRM, SUB, OTHER):
        said = talk(api, key, op, {"channels": ["orders"], "account": account})
        if not key.account:
            assert said["code"] == "not_permitted", said
        else:
            assert seen(said) == expected(key, Thing.STREAM_ACCOUNT, account), (account, said)
        if Holder.READ in key.holders:
            orders = next(route for route in ROUTES if route.name == "get_orders")
            assert seen(api.http(key, orders, account)) == seen(said)


@pytest.mark.parametrize("scope", ["connection", "account", "firm"])
@pytest.mark.parametrize("name", KEYS)
def test_cancel_on_disconnect_asks_the_table(api: Api, name: str, scope: str) -> None:
    key = KEYS[name]
    thing = Thing.CANCEL_FIRM_ON_DISCONNECT if scope == "firm" else Thing.CANCEL_ON_DISCONNECT
    allowed = authority.may(key.holders, thing) is not Reach.NONE
    if authority.ROWS[thing].firm:
        allowed = allowed and authority.speaks_for_firm(key.account, key.firm)
    said = talk(api, key, "cancel_on_disconnect", {"scope": scope})
    assert (said.get("code") is None) == allowed, said
    if scope == "account":
        other = FIRM if key.account == SUB else SUB
        said = talk(api, key, "cancel_on_disconnect", {"scope": scope, "account": other})
        assert (said.get("code") is None) == (allowed and key.account == FIRM), said


def talk(api: Api, key: ApiKey, op: str, params: dict[str, Any]) -> dict[str, Any]:
    """What the stream's handler says to one request of a connection that has logged in."""
    done: list[Any] = []

    async def play() -> dict[str, Any]:
        ready = asyncio.Event()
        ready.set()
        hub: Any = SimpleNamespace(
            ready=ready, catalogue=SimpleNamespace(instruments={}), private_channels=lambda p: 0,
            remove_private=lambda *_: None,
        )
        loader: Any = SimpleNamespace(
            subscribe=_answering((None, {}, None)), snapshot=_answering([])
        )
        sessions: Any = SimpleNamespace(open=_keeping(done))
        settings = StreamSettings(api=api.settings, engine_path="", host="", port=0)
        unused: Any = None
        handler = Handler(
            settings, hub, loader=loader, operations=api.operations, sessions=sessions,
            logins=unused, authenticator=unused, clock_us=api.clock,
        )  # fmt: skip
        peer: Any = SimpleNamespace(
            principal=StreamPrincipal(key=key, connection="c1"), symbols={}, loading=0,
            send=_keeping(done), spawn=lambda work: (done.append(work), work.close()),
        )  # fmt: skip
        try:
            await handler._own[op](peer, Message(op, 1, params))
        except Problem as problem:
            return problem.document("r")
        assert done, "it was neither done nor refused"
        return {}

    return asyncio.run(play())


def _answering(value: Any) -> Any:
    async def answer(*_: Any) -> Any:
        return value

    return answer


def _keeping(kept: list[Any]) -> Any:
    async def keep(*values: Any) -> None:
        kept.append(values)

    return keep


def test_the_scopes_are_those_of_the_table() -> None:
    assert tuple(holder.value for holder in authority.SCOPES) == SCOPES


def test_every_thing_is_for_somebody_and_offered_by_some_door() -> None:
    from fix_gateway.codec.decode import THINGS

    offered = {route.thing for route in ROUTES} | set(THINGS.values())
    offered |= {
        Thing.STREAM_ACCOUNT, Thing.CANCEL_ON_DISCONNECT, Thing.CANCEL_FIRM_ON_DISCONNECT,
    }  # fmt: skip
    assert offered == set(Thing) == set(authority.ROWS)
    for row in authority.TABLE:
        assert row.own or row.venue
        assert not set(row.own) & set(row.venue) or row.public


def test_who_only_reads_causes_nothing() -> None:
    reading = {thing for thing in Thing if thing.name.startswith(("READ_", "STREAM_"))}
    for holder in (Holder.READ, Holder.FIX_DROP_COPY):
        may = {thing for thing in Thing if authority.reach(holder, thing) is not Reach.NONE}
        assert may and may <= reading


def test_whoever_trades_by_one_door_trades_by_every_door() -> None:
    """A FIX order session is a trader who reads; what both doors offer both allow."""
    from fix_gateway.codec.decode import THINGS

    by_fix = set(THINGS.values()) | {
        Thing.CANCEL_ON_DISCONNECT, Thing.CANCEL_FIRM_ON_DISCONNECT,
    }  # fmt: skip
    by_fix -= {Thing.READ_MARKET}  # By FIX alone; everybody else reads it as READ_REFERENCE.
    for thing in by_fix:
        fix = authority.reach(Holder.FIX_ORDER, thing)
        assert fix is authority.may((Holder.READ, Holder.TRADE), thing), thing
