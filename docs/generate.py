"""Writes what is made from specifications: ``python docs/generate.py``.

docs/reference/rest.md, docs/reference/websocket.md and the collection of requests in
clients/postman/ from the OpenAPI and AsyncAPI documents, the examples of spec/asyncapi.yaml from
the recorded conversations, docs/reference/certification.md from
the scenarios, and certification/scenarios/edition.py, which names them;
docs/reference/authority.md from the table of authority. A test holds them to their sources.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs import cases, conversations, rest, rights  # noqa: E402


def head(source: str) -> str:
    """The line at the top of a generated page."""
    return f"Made by `python docs/generate.py` from `{source}`; a test holds the two together."



def documents() -> dict[str, str]:
    """The text of each file by its path in the repository."""
    openapi = yaml.safe_load((ROOT / "spec/openapi.yaml").read_text(encoding="utf-8"))
    asyncapi = conversations.with_examples(
        (ROOT / "spec/asyncapi.yaml").read_text(encoding="utf-8"), conversations.recorded()
    )
    collection = json.dumps(postman(openapi), indent=2, ensure_ascii=False)
    return {
        "certification/scenarios/edition.py": cases.edition_module(),
        "docs/reference/authority.md": rights.document(),
        "docs/reference/certification.md": cases.document(),
        "docs/reference/rest.md": rest.document(openapi, head("spec/openapi.yaml")),
        "docs/reference/websocket.md": websocket(yaml.safe_load(asyncapi)),
        "spec/asyncapi.yaml": asyncapi,
        "clients/postman/tandem.postman_collection.json": f"{collection}\n",
    }


# WebSocket.


def websocket(spec: dict[str, Any]) -> str:
    """What AsyncAPI says of the stream: its rules, its messages, its operations."""
    lines = [
        "# WebSocket reference", "", head("spec/asyncapi.yaml"), "",
        spec["info"]["description"].strip(), "", "## Where", "",
    ]  # fmt: skip
    for name, server in spec["servers"].items():
        (channel,) = spec["channels"].values()
        lines.append(f"- {name}: `{server['protocol']}://{server['host']}{channel['address']}`")
    lines += ["", "## Messages", ""]
    for name, message in spec["components"]["messages"].items():
        lines += [f"### {name}", "", " ".join(message.get("summary", "").split()), ""]
        lines += _message(message.get("payload", {}), spec)
    lines += conversations.page(conversations.recorded())
    schemas = spec["components"].get("schemas", {})
    if schemas:
        lines += ["## Types", ""]
        for name, schema in schemas.items():
            lines += [f"### {name}", ""]
            about = " ".join(str(schema.get("description", "")).split())
            lines += [about, ""] if about else []
            lines += _message(schema, spec)
    return "\n".join(lines).rstrip() + "\n"


def _message(payload: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    parts = [payload, *payload.get("allOf", ())]
    rows = []
    for part in parts:
        if "$ref" in part and part is not payload:
            name = part["$ref"].rsplit("/", 1)[1]
            rows.append(f"| (all of) | | [{name}](#{name.lower()}) |")
        required = set(part.get("required", ()))
        for field, form in part.get("properties", {}).items():
            if not isinstance(form, dict):
                continue  # ``true``: it may be there, and the prose says what it is.
            always = "yes" if field in required else ""
            about = " ".join(str(form.get("description", "")).split())
            shown = rest.form(form) if set(form) - {"description"} else ""
            cell = " · ".join(text for text in (shown, about) if text).replace("|", "\\|")
            rows.append(f"| `{field}` | {always} | {cell} |")
    if rows:
        yield from ("| member | required | type |", "|---|---|---|", *rows, "")


# Postman, which Bruno and Insomnia import too.

SIGNING: Final = """\
// Signs every request that is not public, as spec/REST.md says: four lines, HMAC-SHA256, hex,
// and the Idempotency-Key as a fifth. Set the variable idempotency_key to choose it yourself.
const key = pm.variables.get("key");
const secret = pm.variables.get("secret");
if (key && secret) {
    const timestamp = Date.now().toString();
    const target = pm.request.url.getPathWithQuery();
    const raw = pm.request.body && pm.request.body.raw;
    const body = raw ? pm.variables.replaceIn(raw) : "";
    const hash = CryptoJS.SHA256(body).toString(CryptoJS.enc.Hex);
    const lines = [timestamp, pm.request.method, pm.variables.replaceIn(target), hash];
    const once = pm.variables.get("idempotency_key")
        || (needsKey ? pm.variables.replaceIn("{{$guid}}") : "");
    if (once) {
        lines.push(once);
        pm.request.headers.upsert({ key: "Idempotency-Key", value: once });
    }
    const text = lines.join("\\n");
    const signature = CryptoJS.HmacSHA256(text, secret).toString(CryptoJS.enc.Hex);
    pm.request.headers.upsert({ key: "X-Tandem-Key", value: key });
    pm.request.headers.upsert({ key: "X-Tandem-Timestamp", value: timestamp });
    pm.request.headers.upsert({ key: "X-Tandem-Signature", value: signature });
}
"""
_BODIES: Final[dict[str, Any]] = {"string": "", "integer": 0, "boolean": False}
_EXAMPLES: Final[dict[str, Any]] = {
    "symbol": "BTC-USD", "side": "buy", "quantity": "0.5", "price": "100", "asset": "BTC",
    "network": "bitcoin", "amount": "0.5", "account": "alice", "client_order_id": "example-1",
    "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "status": "halted",
    "client_withdrawal_id": "example-1", "client_transfer_id": "example-1",
    "to_account": "alice:desk", "deposit_id": "example-1", "timeout_s": 30,
    "order": "client:example-1", "withdrawal": "client:example-1", "address_id": "1",
    "op": "create", "key": "tk-0", "name": "example-1", "kind": "hmac", "scopes": ["read"],
}  # fmt: skip
_KEYS: Final = {
    "read": "demo-alice-trade", "trade": "demo-alice-trade", "withdraw": "demo-alice-withdraw",
    "address": "demo-alice-address", "approve": "demo-alice-approve", "keys": "demo-alice-keys",
    "operator": "demo-operator",
}  # fmt: skip


def postman(spec: dict[str, Any]) -> dict[str, Any]:
    """A collection in the format v2.1, one folder for each tag."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, operations in spec["paths"].items():
        for method in rest.METHODS:
            if method in operations:
                operation = operations[method]
                item = _request(method, path, operation, spec)
                folders.setdefault(operation["tags"][0], []).append(item)
    return {
        "info": {
            "name": spec["info"]["title"],
            "description": "Made by `python docs/generate.py` from spec/openapi.yaml.",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "variable": [{"key": "base", "value": "http://127.0.0.1:8080"}],
        "item": [{"name": tag, "item": items} for tag, items in folders.items()],
    }


def _request(
    method: str, path: str, operation: dict[str, Any], spec: dict[str, Any]
) -> dict[str, Any]:
    scope = operation.get("x-scope")
    parts = [
        str(_EXAMPLES.get(part[1:-1], part[1:-1])) if part.startswith("{") else part
        for part in path.strip("/").split("/")
    ]
    query = [
        {"key": one["name"], "value": str(_EXAMPLES.get(one["name"], "")),
         "disabled": not one.get("required")}
        for one in operation.get("parameters") or () if one["in"] == "query"
    ]  # fmt: skip
    needed = "&".join(f"{one['key']}={one['value']}" for one in query if not one["disabled"])
    raw = "{{base}}/" + "/".join(parts) + (f"?{needed}" if needed else "")
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation["description"],
        "header": [],
        "url": {"raw": raw, "host": ["{{base}}"], "path": parts, "query": query},
    }
    if operation.get("requestBody"):
        (content,) = operation["requestBody"]["content"].values()
        body = _example(content["schema"], spec)
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {"mode": "raw", "raw": json.dumps(body, indent=2)}
    item: dict[str, Any] = {"name": operation["summary"], "request": request}
    if scope:
        key = _KEYS[scope]
        needs = any(one["name"] == "Idempotency-Key" and one["required"]
                    for one in operation.get("parameters") or ())  # fmt: skip
        lines = [f'pm.variables.set("key", "{key}");',
                 f'pm.variables.set("secret", "{key}-secret");',
                 f"const needsKey = {json.dumps(needs)};", *SIGNING.splitlines()]  # fmt: skip
        item["event"] = [
            {"listen": "prerequest", "script": {"type": "text/javascript", "exec": lines}}
        ]
    return item


def _example(schema: dict[str, Any], spec: dict[str, Any]) -> Any:
    """A body with the members that are required."""
    if "$ref" in schema:
        return _example(spec["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], spec)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _example(schema[key][0], spec)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [_example(schema.get("items", {}), spec)]
    if "properties" in schema:
        required = schema.get("required", ())
        # An order without a price is a market order; the example should rest.
        wanted = [*required, *(["price"] if "quantity" in required else [])]
        return {
            name: _EXAMPLES.get(name, None) or _example(schema["properties"][name], spec)
            for name in schema["properties"] if name in wanted
        }  # fmt: skip
    return _BODIES.get(str(schema.get("type")), "")


if __name__ == "__main__":
    for name, text in documents().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
