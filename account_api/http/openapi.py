"""OpenAPI 3.1 from the table of routes and the types that validate.

``spec/openapi.yaml`` is written from here by ``python -m account_api.documents``.
"""

from __future__ import annotations

import inspect
import json
import re
import urllib.parse
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from account_api.errors import CATALOGUE, PROBLEM_TYPE
from account_api.http.routing import Route

API_VERSION: Final = "1.0"
_REF: Final = "#/components/schemas/{name}"
TITLE: Final = "Tandem account API"
ABOUT: Final = (
    "Balances, orders, fills, deposits and withdrawals of the venue. Amounts, prices and "
    "quantities are decimal text. Every response has `as_of_seq`, the engine's sequence as of "
    "which it is true; pass it as `min_seq` to a later read to see at least as much. Errors "
    "are RFC 9457 documents; spec/ERRORS.md lists their codes."
)
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "An RFC 9457 problem document. Further members depend on the code.",
    "required": [
        "type", "title", "status", "detail", "code", "request_id", "retryable", "outcome",
    ],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(CATALOGUE)},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
        "outcome": {"type": "string", "enum": ["not_applied", "applied", "unknown"]},
        "field": {"type": "string"},
    },
}  # fmt: skip
_SECURITY: Final[dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A read-only token of an account.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Tandem-Signature",
        "description": (
            "HMAC-SHA256 (or Ed25519) as lower-case hex over four lines joined by newlines: "
            "the timestamp in ms, the METHOD, the target with its query, the hex SHA-256 of "
            "the body, and the Idempotency-Key as a fifth where that header is sent. With it go "
            "X-Tandem-Key and X-Tandem-Timestamp."
        ),
    },
}
_ALWAYS: Final = ("malformed_http", "invalid_request", "internal_error")
_SIGNED: Final = (
    "unauthorized", "outside_window", "insufficient_scope", "source_not_allowed",
    "rate_limited", "key_pending", "key_expired", "keys_unavailable", "no_leader",
)  # fmt: skip
_KEYED: Final = (
    "idempotency_key_reused", "idempotency_key_in_flight", "idempotency_outcome_unknown",
    "idempotency_unavailable",
)  # fmt: skip
_WITH_BODY: Final = ("invalid_json", "body_too_large", "unsupported_media_type")
_LINKS: Final = {
    "create_order": ("order_id", "order", ("get_order", "replace_order", "cancel_order")),
    "request_withdrawal": (
        "withdrawal_id",
        "withdrawal",
        ("get_withdrawal", "approve_withdrawal", "reject_withdrawal", "cancel_withdrawal"),
    ),
    "create_key": ("key", "key", ("approve_key", "revoke_key")),
    "create_webhook": (
        "webhook_id",
        "webhook",
        ("get_webhook", "change_webhook", "delete_webhook", "rotate_webhook_secret",
         "ping_webhook", "resend_webhook", "get_webhook_deliveries"),
    ),
    "add_address": ("address_id", "address_id", ("remove_address",)),
}
"""Operation → (member of its answer, path parameter, operations that take it there)."""
_LOCAL: Final = ("/v1/time", "/healthz", "/v1/api-keys", "/v1/webhooks")
_EXAMPLES: Final = Path(__file__).parent.parent / "examples" / "rest.json"


@cache
def recorded() -> dict[str, list[dict[str, Any]]]:
    """Return the recorded requests and responses of each operation, for examples."""
    found: dict[str, list[dict[str, Any]]] = json.loads(_EXAMPLES.read_text(encoding="utf-8"))
    return found


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the OpenAPI document as plain data."""
    table = tuple(routes)
    types = {route.answer for route in table}
    types |= {route.body for route in table if route.body is not None}
    _, components = msgspec.json.schema_components(
        sorted(types, key=lambda kind: kind.__name__), ref_template=_REF
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    content = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": API_VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": _SECURITY,
        },
    }
    portable: dict[str, Any] = _portable(content)
    return portable


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": " ".join((route.handler.__doc__ or "").split()),
        "tags": [route.tag],
        "parameters": [
            *_path_parameters(route), *_query_parameters(route), *_key_parameter(route),
        ],
        "responses": _responses(route),
        "security": [],
    }
    if route.scope is not None:
        signed: dict[str, list[str]] = {"signature": []}
        both = [{"bearer": []}, signed] if route.scope == "read" else [signed]
        operation["security"] = both
        operation["x-scope"] = route.scope
    if route.body is not None:
        reference = {"$ref": _REF.format(name=route.body.__name__)}
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": {"schema": reference}},
        }
    _add_examples(route, operation)
    return operation


def _add_examples(route: Route, operation: dict[str, Any]) -> None:
    """Add what was recorded of an operation: bodies, responses, and values of its parameters."""
    for number, example in enumerate(recorded().get(route.name, ())):
        request, response = example["request"], example["response"]
        name = re.sub(r"[^a-z0-9]+", "_", example["title"].lower()).strip("_")
        if "body" in request:
            (content,) = operation["requestBody"]["content"].values()
            shown = {"summary": example["title"], "value": request["body"]}
            content.setdefault("examples", {})[name] = shown
        (content,) = operation["responses"][str(response["status"])]["content"].values()
        shown = {"summary": example["title"], "value": response["body"]}
        content.setdefault("examples", {})[name] = shown
        if number == 0:
            _add_values(operation["parameters"], route.path, request)


def _add_values(parameters: list[dict[str, Any]], path: str, request: dict[str, Any]) -> None:
    """Add the values of a recorded request to the parameters that it has."""
    target, _, query = request["target"].partition("?")
    form = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    match = re.fullmatch(form, target)
    values: dict[str, str] = dict(urllib.parse.parse_qsl(query)) | request["headers"]
    if match is not None:
        values |= match.groupdict()
    for one in parameters:
        value = values.get(one["name"])
        if value is not None:
            one["example"] = int(value) if one["schema"].get("type") == "integer" else value


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    about = {
        "order": "An order id, or `client:` and any client order id of the order.",
        "withdrawal": "A withdrawal id, or `client:` and the client withdrawal id.",
        "symbol": "A symbol such as BTC-USD.",
        "address_id": "An id in the address book.",
        "key": "An API key.",
        "webhook": "The id of a webhook endpoint.",
        "account": "The name of an account.",
        "session": "A FIX session: `fix:` and its CompID, or the CompID.",
    }
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": about[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([route.query], ref_template=_REF)
    schema = components[route.query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _without_null(property_schema),
        }
        for name, property_schema in schema.get("properties", {}).items()
    ]


def _key_parameter(route: Route) -> list[dict[str, Any]]:
    """Describe the Idempotency-Key header, for requests that change something."""
    if not _changes(route):
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": route.needs_key,
            "description": "Any text of the client; part of what is signed when it is sent.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
        }
    ]


def _changes(route: Route) -> bool:
    return route.scope is not None and route.method != "GET"


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove null from a schema: a query parameter is absent or has a value."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if not choices:
        return schema
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _responses(route: Route) -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": _REF.format(name=route.answer.__name__)}}}
    responses: dict[str, Any] = {
        str(route.status): {"description": "Done.", "content": answer}
    }
    if route.status == 201:
        responses["200"] = {
            "description": "Done before by an earlier copy of the request, or an update.",
            "content": answer,
        }
    if route.name in _LINKS:
        member, parameter, followers = _LINKS[route.name]
        links = {
            name: {"operationId": name, "parameters": {parameter: f"$response.body#/{member}"}}
            for name in followers
        }
        for done in {"200", str(route.status)}:
            responses[done]["links"] = links
    if route.replays:
        for done in {"200", str(route.status)}:
            responses[done]["headers"] = {
                "Idempotent-Replayed": {
                    "description": "`true` where this repeats what was done before.",
                    "schema": {"type": "string", "enum": ["true"]},
                }
            }
    by_status: dict[int, set[str]] = {}
    for code in codes_of(route):
        status = CATALOGUE[code].status
        named = route.body is None or "{symbol}" in route.path
        if code in ("unknown_symbol", "unknown_asset") and named:
            status = 404  # Named by the path or the query: there is no such thing to read.
        by_status.setdefault(status, set()).add(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {
            "description": ", ".join(f"`{code}`" for code in sorted(codes)),
            "content": {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
        }
    return responses


def codes_of(route: Route) -> set[str]:
    """Return every error code that the route can answer."""
    codes = {*_ALWAYS, *route.errors}
    if route.scope is not None:
        codes.update(_SIGNED)
    if _changes(route):
        codes.update(_KEYED)
    if route.needs_key:
        codes.add("idempotency_key_missing")
    codes.update(_WITH_BODY if route.body is not None else ("body_not_allowed", "body_too_large"))
    if route.path not in _LOCAL:
        codes.update(("engine_unavailable", "engine_refused", "no_leader"))
    fields = route.query.__struct_fields__ + (route.body.__struct_fields__ if route.body else ())
    if "{" in route.path or "account" in fields:
        codes.add("not_found")
    return codes


def _portable(value: Any) -> Any:
    """Write patterns as ECMA does (``$`` for Python's ``\\Z``), and everything else in one form.

    Releases of msgspec differ in whether a docstring keeps the indentation of the source, and in
    the position of null among choices; the published document must not change with them.
    """
    if isinstance(value, dict):
        return {key: _portable_member(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    return value


def _portable_member(key: str, item: Any) -> Any:
    if key == "pattern" and isinstance(item, str) and item.endswith("\\Z"):
        return item[:-2] + "$"
    if key == "description" and isinstance(item, str):
        return inspect.cleandoc(item)
    if key == "anyOf":
        return sorted(_portable(item), key=lambda choice: choice.get("type") == "null")
    return _portable(item)


def yaml_text(value: Any, depth: int = 0) -> str:
    """Write plain data as block YAML, with scalars as JSON, which YAML contains."""
    pad = "  " * depth
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            nested = isinstance(item, dict | list) and item
            shown = f"\n{yaml_text(item, depth + 1)}" if nested else f" {json.dumps(item)}\n"
            lines.append(f"{pad}{json.dumps(key)}:{shown}")
        return "".join(lines)
    if isinstance(value, list) and value:
        parts = []
        for item in value:
            if isinstance(item, dict | list) and item:
                inner = yaml_text(item, depth + 1)
                parts.append(f"{pad}- {inner.lstrip(' ')}")
            else:
                parts.append(f"{pad}- {json.dumps(item)}\n")
        return "".join(parts)
    return f"{pad}{json.dumps(value)}\n"
