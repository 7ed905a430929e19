"""Types of the stream's events, and its operations, from spec/asyncapi.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tools.client_types import SIDE, docstring

ORDER_EVENTS: Final = (
    "orderUpdate", "orderRejected", "changeRejected", "massCanceled", "batchDone", "refused",
    "deadMansSwitch", "session", "accountDefined", "accountStatus",
)  # fmt: skip
"""What may be the data of an update on the channel orders."""
TRANSFER_EVENTS: Final = ("transferDone", "addressChanged", "depositAddress", "quote")
"""What may be that of one on transfers, beside deposits and withdrawals."""
OTHERS: Final = (
    "thirdParty", "canceledOrder", "trade", "execution", "balanceChange", "ledgerEntry",
    "loginData", "cancelOnDisconnectData",
)  # fmt: skip
NAMES: Final[Mapping[str, str]] = {
    "session": "SessionEvent", "refused": "RequestRefused", "quote": "QuoteEvent",
    "depositAddress": "DepositAddressEvent", "deadMansSwitch": "DeadMansSwitchEvent",
    "trade": "PublicTrade", "loginData": "LoggedIn",
    "cancelOnDisconnectData": "CancelOnDisconnect",
}  # fmt: skip
"""Names of classes where that of the schema would not do."""

Document = Mapping[str, Any]


def class_name(schema: str) -> str:
    """Return the name of the class of a schema."""
    return NAMES.get(schema, schema[0].upper() + schema[1:])


def stream_operations(asyncapi: Document) -> list[str]:
    """Return the names of the stream's operations that are those of REST routes."""
    found = []
    for rule in asyncapi["components"]["messages"]["answer"]["payload"]["allOf"]:
        data = rule.get("then", {}).get("properties", {}).get("data", {})
        op = rule["if"]["properties"].get("op", {}).get("const")
        if op and str(data.get("$ref", "")).startswith("openapi.yaml"):
            found.append(str(op))
    return found


def module(asyncapi: Document) -> list[str]:
    """Return the lines of the module."""
    schemas = asyncapi["components"]["schemas"]
    lines = [
        '"""Events of the stream, as types: amounts are Decimal, times are datetime in UTC."""\n',
        "from __future__ import annotations\n",
        "from datetime import datetime",
        "from decimal import Decimal",
        "from typing import Final\n",
        "from tandem_client.document import Document",
        "from tandem_client.generated.models import DepositView, WithdrawalView",
        "from tandem_client.values import Side\n",
    ]
    for schema in (*OTHERS, *ORDER_EVENTS, *TRANSFER_EVENTS):
        shape = schemas[schema]
        lines += ["", f"class {class_name(schema)}(Document, frozen=True, kw_only=True):"]
        lines += [*docstring(shape["description"], "    "), ""]
        for field, kind in shape["properties"].items():
            text = _type(kind)
            if field not in shape["required"]:
                text = f"{text.removesuffix(' | None')} | None = None"
            lines.append(f"    {field}: {text}")
        lines.append("")
    for event, model in (("Deposit", "DepositView"), ("Withdrawal", "WithdrawalView")):
        lines += [
            "",
            f"class {event}Event({model}, frozen=True, kw_only=True):",
            f'    """A {event.lower()} as an event leaves it."""',
            "",
            "    event: str",
            "",
        ]
    lines += ["", *_table("ORDER_EVENTS", ORDER_EVENTS, schemas, {})]
    own = {"deposit": "DepositEvent", "withdrawal": "WithdrawalEvent"}
    lines += ["", *_table("TRANSFER_EVENTS", TRANSFER_EVENTS, schemas, own)]
    return lines


def _table(
    name: str, names: tuple[str, ...], schemas: Document, own: Mapping[str, str]
) -> Iterator[str]:
    yield f"{name}: Final[dict[str, type[Document]]] = {{"
    for event, kind in own.items():
        yield f'    "{event}": {kind},'
    for schema in names:
        kind = schemas[schema]["properties"]["event"]
        for event in kind.get("enum") or [kind["const"]]:
            yield f'    "{event}": {class_name(schema)},'
    yield "}"


def _type(kind: Document) -> str:
    if "$ref" in kind:
        name = re.sub(r".*/", "", kind["$ref"])
        return {"amount": "Decimal", "instant": "datetime"}.get(name, class_name(name))
    if "anyOf" in kind:
        return f"{_type(kind['anyOf'][0])} | None"
    if "enum" in kind:
        values = [value for value in kind["enum"] if value is not None]
        text = "Side" if sorted(values) == SIDE else "str"
        return f"{text} | None" if None in kind["enum"] else text
    types = kind.get("type", "string")
    if isinstance(types, list):
        return f"{_type({**kind, 'type': types[0]})} | None"
    if types == "array":
        return f"list[{_type(kind['items'])}]"
    return {"integer": "int", "boolean": "bool"}.get(types, "str")
