"""The generated half of the client library is up to date, complete, and reads what a venue sent."""

from __future__ import annotations

import inspect
import json
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from account_api.stream.operations import OPERATIONS as STREAM_OPERATIONS
from tandem_client import AsyncClient, AsyncStream, Client, Stream
from tandem_client.document import Document, decode
from tandem_client.generated import models
from tandem_client.generated.operations import OPERATIONS
from tools import client_code, client_events

OPENAPI, ASYNCAPI = client_code.document("openapi"), client_code.document("asyncapi")
RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "recorded.json").read_text(encoding="utf-8")
)
"""A response of a venue to each of these operations."""
NAMES_AND_IDS = {
    "address_id", "batch_id", "hold_id", "next_cursor", "order_id", "quote_id", "raw",
    "transfer_id", "value", "withdrawal_id",
}  # fmt: skip


def test_the_generated_modules_are_what_the_specification_makes() -> None:
    found = {path.name: path.read_text(encoding="utf-8")
             for path in client_code.TARGET.glob("*.py")}  # fmt: skip
    stale = sorted(
        name for name, text in client_code.generated().items() if found.pop(name, None) != text
    )
    assert not stale, f"run `make documents`: {stale} are not what spec/ makes"
    assert not found, f"nothing makes {sorted(found)}"


def test_every_operation_of_the_document_is_a_method_of_both_clients() -> None:
    there = {
        row["operationId"]: (method.upper(), path)
        for path, rows in OPENAPI["paths"].items() for method, row in rows.items()
    }  # fmt: skip
    assert {name: (one.method, one.path) for name, one in OPERATIONS.items()} == there
    for name in there:
        assert callable(getattr(Client, name)), name
        assert inspect.iscoroutinefunction(getattr(AsyncClient, name)), name
        assert inspect.signature(getattr(Client, name)).parameters.keys() == (
            inspect.signature(getattr(AsyncClient, name)).parameters.keys()
        )


def test_every_operation_of_the_stream_is_a_method_of_both_streams() -> None:
    described = client_events.stream_operations(ASYNCAPI)
    assert set(described) == set(STREAM_OPERATIONS)
    for op in described:
        name = client_code.STREAM_NAMES.get(op, op)
        assert callable(getattr(Stream, name)), name
        assert inspect.iscoroutinefunction(getattr(AsyncStream, name)), name


def test_whatever_has_pages_has_an_iterator() -> None:
    paged = {
        row["operationId"].removeprefix("get_")
        for rows in OPENAPI["paths"].values() for row in rows.values()
        if {"cursor", "after_trade_id"} & {one["name"] for one in row.get("parameters", ())}
    }  # fmt: skip
    assert paged == {name.removeprefix("iter_") for name in dir(Client) if "iter_" in name}
    assert len(paged) == 8


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_response_is_read_with_every_amount_as_a_decimal(name: str) -> None:
    operation = next(one for one in client_code.operations(OPENAPI) if one.name == name)
    read = decode(json.dumps(RECORDED[name]), getattr(models, operation.answer))
    compare(read, RECORDED[name], name)


def examples() -> list[tuple[str, str, Any]]:
    """The responses that the document shows: operation, type, value."""
    return [
        (one.name, one.answer, example["value"])
        for one in client_code.operations(OPENAPI)
        for status, response in OPENAPI["paths"][one.path][one.method.lower()]["responses"].items()
        if status < "300"
        for example in response["content"]["application/json"].get("examples", {}).values()
    ]


def test_an_example_of_the_document_is_read_with_every_amount_as_a_decimal() -> None:
    """A new member that is an amount or a time belongs into tools/client_types.py."""
    found = examples()
    assert len({name for name, _, _ in found}) > 40
    for name, answer, value in found:
        compare(decode(json.dumps(value), getattr(models, answer)), value, name)


def compare(read: Any, sent: Any, where: str) -> None:
    """What was read is what was sent, and no number or time is left as text."""
    if isinstance(read, Document):
        for name, value in sent.items():
            compare(getattr(read, name), value, f"{where}.{name}")
    elif isinstance(read, list):
        assert len(read) == len(sent)
        for index, (one, other) in enumerate(zip(read, sent, strict=True)):
            compare(one, other, f"{where}.{index}")
    elif isinstance(read, Decimal):
        assert format(read, "f") == sent, where
    elif isinstance(read, datetime):
        assert read.utcoffset() is not None and f"{read:%Y-%m-%dT%H:%M:%S.%f}Z" == sent, where
    else:
        assert read == sent, where
        last = where.rpartition(".")[2]
        if isinstance(read, str) and not (last.endswith("_id") or last in NAMES_AND_IDS):
            assert not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", read), f"{where}: a number"
            assert not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T", read), f"{where}: a time"


def test_members_that_are_new_are_passed_over_and_missing_ones_are_told() -> None:
    sent = {**RECORDED["get_time"], "leap_second": True}
    assert decode(json.dumps(sent), models.TimeView).time_ms == sent["time_ms"]
    with pytest.raises(Exception, match="no TimeView: .*time_ms"):
        decode('{"time": "2030-01-31T12:00:00.000000Z"}', models.TimeView)
