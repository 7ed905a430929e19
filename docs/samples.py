"""How a recorded request reads in curl, in Python and as HTTP; docs/generate.py puts it on a page.

Samples for the shell share the functions of ``clients/curl/tandem.sh``, which stand at the top of
the page. Those in Python are for ``tandem_client`` and stand by themselves.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from account_api.routes import ROUTES

SHELL: Final = Path(__file__).resolve().parent.parent / "clients" / "curl" / "tandem.sh"
HOST: Final = "127.0.0.1:8080"
WIDTH: Final = 90
_ROUTES: Final = {route.name: route for route in ROUTES}


def shell() -> str:
    """The shell functions, without the comment at their top."""
    return SHELL.read_text(encoding="utf-8").partition("\n\n")[2]


def curl(request: dict[str, Any]) -> str:
    """A request in the shell, by curl alone where it needs no signature."""
    method, target, key = request["method"], request["target"], request["key"]
    if not key:
        return f"curl -s \"$api{target}\""
    if key.endswith("-read"):
        return f"curl -s -H 'Authorization: Bearer {key}' \"$api{target}\""
    words = [f"call {method} {_quoted(target)}"]
    once = request["headers"].get("Idempotency-Key")
    if "body" in request:
        words.append(f"'{_body(request['body'])}'")
    elif once:
        words.append("''")
    if once:
        words.append(once)
    return f"key={key}\n{' '.join(words)}"


def python(operation: str, request: dict[str, Any]) -> str:
    """A request by the client library: the client, and the method of the operation."""
    key, body = request["key"], request.get("body", {})
    names, credentials = ["Client"], ""
    if key.endswith("-read"):
        names = ["BearerToken", "Client"]
        credentials = f', credentials=BearerToken("{key}")'
    elif key:
        credentials = f', "{key}", "{key}-secret"'
    words = [*_of_target(operation, request["target"])]
    words += [f"{name}={_literal(value)}" for name, value in body.items()]
    once = request["headers"].get("Idempotency-Key")
    if once:
        words.append(f'idempotency_key="{once}"')
    return "\n".join([
        f"from tandem_client import {', '.join(sorted(names))}", "",
        f'client = Client("http://{HOST}"{credentials})',
        _call(operation, words),
    ])  # fmt: skip


def _of_target(operation: str, target: str) -> list[str]:
    """The arguments for the variable parts of the path and for the query."""
    path, _, query = target.partition("?")
    form = re.sub(r"\{\w+\}", r"([^/]+)", _ROUTES[operation].path)
    match = re.fullmatch(form, path)
    assert match is not None, (operation, target)
    types = _ROUTES[operation].query.__annotations__
    return [
        *(f'"{part}"' for part in match.groups()),
        *(f'{name}={value}' if value.isdigit() and name in types else f'{name}="{value}"'
          for name, value in urllib.parse.parse_qsl(query)),
    ]  # fmt: skip


def _call(operation: str, words: list[str]) -> str:
    line = f"answer = client.{operation}({', '.join(words)})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    inner = "".join(f"    {word},\n" for word in words)
    return f"answer = client.{operation}(\n{inner})"


def http(example: dict[str, Any]) -> str:
    """The request as it is sent; its signature is that of the bytes shown."""
    request = example["request"]
    lines = [f"{request['method']} {request['target']} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {value}" for name, value in request["headers"].items()]
    if "body" in request:
        raw = json.dumps(request["body"])
        lines += [f"Content-Length: {len(raw)}", "", raw]
    return "\n".join(lines)


def answer(example: dict[str, Any]) -> str:
    """The response: status, headers, and the body with an indent."""
    response = example["response"]
    lines = [f"HTTP/1.1 {response['status']} {HTTPStatus(response['status']).phrase}"]
    lines += [f"{name}: {value}" for name, value in response["headers"].items()]
    body = json.dumps(response["body"], indent=2, ensure_ascii=False)
    return "\n".join([*lines, "", body])


def _quoted(target: str) -> str:
    return f"'{target}'" if set(target) & set("?&") else target


def _body(body: Any) -> str:
    text = json.dumps(body)
    return text if len(text) <= WIDTH else json.dumps(body, indent=2)


def _literal(value: Any) -> str:
    """A member of a body as Python; the operations of a batch stand on lines of their own."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        inner = "".join(f"        {json.dumps(one)},\n" for one in value)
        return f"[\n{inner}    ]"
    return json.dumps(value) if isinstance(value, str | list) else repr(value)
