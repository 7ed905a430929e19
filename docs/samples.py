"""How a recorded request reads in curl, in Python and as HTTP; docs/generate.py puts it on a page.

The samples of a page share two definitions at its top: the shell functions of
``clients/curl/tandem.sh``, and the function ``call`` of PYTHON below.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

SHELL: Final = Path(__file__).resolve().parent.parent / "clients" / "curl" / "tandem.sh"
HOST: Final = "127.0.0.1:8080"
WIDTH: Final = 90
PYTHON: Final = '''\
import hashlib, hmac, json, time
import requests

API = "http://127.0.0.1:8080"

def call(key, method, target, body=None, once=""):
    """Send a request; a key that ends with -read is a bearer token, any other signs."""
    raw = b"" if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if raw else {}
    if key.endswith("-read"):
        headers["Authorization"] = f"Bearer {key}"
    elif key:
        now = str(time.time_ns() // 1_000_000)
        lines = [now, method, target, hashlib.sha256(raw).hexdigest()]
        if once:
            lines.append(once)
            headers["Idempotency-Key"] = once
        secret = f"{key}-secret".encode()  # of the demo's keys
        sign = hmac.new(secret, "\\n".join(lines).encode(), hashlib.sha256).hexdigest()
        headers |= {"X-Tandem-Key": key, "X-Tandem-Timestamp": now, "X-Tandem-Signature": sign}
    answer = requests.request(method, API + target, data=raw, headers=headers, timeout=10)
    return answer.json()
'''


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


def python(request: dict[str, Any]) -> str:
    """A request by the function ``call``."""
    key, method, target = request["key"], request["method"], request["target"]
    words = [f'"{key}"', f'"{method}"', f'"{target}"']
    if "body" in request:
        words.append(_literal(request["body"]))
    once = request["headers"].get("Idempotency-Key")
    if once:
        words.append(f'once="{once}"')
    return f"answer = call({', '.join(words)})"


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


def _literal(body: Any) -> str:
    """A body as Python; JSON's true, false and null do not occur in the examples' requests."""
    text = repr(body).replace("'", '"')
    if len(text) <= WIDTH:
        return text
    return json.dumps(body, indent=4)
