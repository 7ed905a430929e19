"""Real messages are as spec/asyncapi.yaml describes them, whatever happens to an account.

What a server sends over a socket is held to the description by tests/api/stream as well, with
every message that its client receives.
"""

from __future__ import annotations

import copy
import json
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest

from account_api.routes import ROUTES
from account_api.stream import requests
from account_api.stream.accounts import Accounts
from account_api.stream.catalogue import LiveCatalogue
from account_api.stream.messages import envelope
from account_api.stream.operations import OPERATIONS
from account_api.stream.private_channels import channels_of
from account_api.stream.subscription import Rendered
from engine.core import events as ev
from engine.core.exchange import Exchange
from tests.api.stream import described
from tests.support.wide_flow import WideFlow

PUBLIC = {
    ev.InstrumentStatusChanged, ev.AssetDefined, ev.InstrumentDefined, ev.NetworkDefined,
    ev.ClientIdsRetired, ev.ReferencePriceSet, ev.RecordsStored, ev.SessionHeld,
}  # fmt: skip
"""Events of the venue, which belong to no account."""


def messages_of(seed: int, count: int) -> tuple[list[dict[str, Any]], set[type]]:
    """Messages of all private channels after random commands, and the kinds of their events."""
    exchange, flow = Exchange(), WideFlow(seed)
    catalogue = LiveCatalogue((), ())
    accounts = Accounts(catalogue)
    found: list[dict[str, Any]] = []
    kinds: set[type] = set()
    commands = [(flow.now, command) for command in flow.definitions()]
    for number in range(count):
        time_us, command = commands[number] if number < len(commands) else flow.next()
        if exchange.find_duplicate(command) is not None:
            continue
        time_us = max(time_us, exchange.time_us)
        for event in exchange.apply(exchange.seq + 1, time_us, command):
            if not event.account_seq:
                catalogue.apply(event)
                continue
            happened = accounts.apply(event, exchange.seq, time_us)
            assert happened is not None
            kinds.add(type(event))
            rendered = Rendered(happened, catalogue)
            for channel in channels_of(happened):
                text = envelope(
                    channel, "e", "update", event.account_seq, 0, exchange.seq, time_us,
                    rendered.data(channel), event.account,
                )  # fmt: skip
                found.append(json.loads(text))
    return found, kinds


def test_every_event_of_an_account_is_shown_as_described() -> None:
    kinds: set[type] = set()
    names: set[str] = set()
    for seed in range(4):
        messages, seen = messages_of(seed, 1200)
        kinds |= seen
        for message in messages:
            described.hold_received(message)
            if isinstance(message["data"], dict):
                names.add(message["data"].get("event", "execution"))
    every = set(get_args(ev.Event)) - PUBLIC
    assert every - kinds <= {ev.StatusReported, ev.OrderRestated}, "the flow is too narrow"
    assert {"filled", "replaced", "mass_canceled", "quote", "address_removed"} <= names


def test_there_is_a_form_for_every_event_of_an_account() -> None:
    from account_api.stream import private_channels

    assert set(private_channels._RENDER) == set(get_args(ev.Event)) - PUBLIC


@pytest.fixture(scope="module")
def samples() -> dict[str, dict[str, Any]]:
    """A message of each channel, and of each kind of event."""
    found: dict[str, dict[str, Any]] = {}
    for message in messages_of(1, 1500)[0]:
        data = message["data"]
        kind = data.get("event", "") if isinstance(data, dict) else ""
        found.setdefault(f"{message['channel']} {kind}", message)
    return found


def spoiled(value: Any) -> list[Any]:
    """Copies of a value, each with one member too few or one too many."""
    found = []
    if isinstance(value, dict):
        for name, inner in value.items():
            found.append({key: each for key, each in value.items() if key != name})
            if name != "history":  # Its rows are OpenAPI's, which may gain members.
                found += [value | {name: each} for each in spoiled(inner)]
        found.append(value | {"surprise": 1})
    elif isinstance(value, list) and value:
        found += [[each, *value[1:]] for each in spoiled(value[0])]
    return found


def test_the_description_is_so_narrow_that_no_member_may_be_missing_or_new(
    samples: dict[str, dict[str, Any]],
) -> None:
    assert len(samples) > 15
    for kind, message in samples.items():
        described.hold_received(message)
        for wrong in spoiled(copy.deepcopy(message)):
            if "channel" in wrong:
                with pytest.raises(AssertionError):
                    described.hold_received(wrong)
                    raise RuntimeError(f"{kind} may be {wrong}")


def test_every_schema_of_the_description_is_a_schema() -> None:
    components = described.documents()[described.HERE]["components"]
    for message in components["messages"].values():
        jsonschema_rs.meta.validate(message["payload"])
    for schema in components["schemas"].values():
        jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("loginParams", requests.LoginParams),
        ("logoutParams", requests.LogoutParams),
        ("cancelOnDisconnectParams", requests.CancelOnDisconnectParams),
        ("subscribeParams", requests.SubscribeParams),
        ("channelsParams", requests.ChannelsParams),
        ("nothing", requests.NoParams),
    ],
)
def test_parameters_are_those_that_are_read(name: str, shape: type) -> None:
    schema = described.documents()[described.HERE]["components"]["schemas"][name]
    fields = {field.name: field.required for field in msgspec.structs.fields(shape)}
    assert set(schema["properties"]) == set(fields)
    assert set(schema.get("required", ())) == {name for name, needed in fields.items() if needed}


def test_an_operation_is_answered_as_its_route_is() -> None:
    document = described.documents()[described.HERE]
    answers = {}
    for rule in document["components"]["messages"]["answer"]["payload"]["allOf"][1:]:
        which = rule["if"]["properties"]["op"]
        for op in which.get("enum", [which.get("const")]):
            answers[op] = rule["then"]["properties"]["data"]["$ref"].rsplit("/", 1)[1]
    known = {(route.method, route.path): route.answer.__name__ for route in ROUTES}
    for op, where in OPERATIONS.items():
        assert answers.pop(op) == known[where], op
    assert set(answers) == {
        "login", "logout", "cancel_on_disconnect", "subscribe", "unsubscribe", "snapshot", "ping",
    }  # fmt: skip
