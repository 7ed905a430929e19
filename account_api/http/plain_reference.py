"""The API reference as one page without scripts: ``/docs/api/plain``."""

from __future__ import annotations

import html
import json
import re
from typing import Any, Final

from account_api.errors import CATALOGUE
from account_api.http.openapi import ABOUT, TITLE
from account_api.schema.requests import FORMS

_WORDS: Final = {
    pattern.replace("\\Z", "$"): words.removeprefix("must be ") for pattern, words in FORMS.items()
} | {"^[0-9]+(\\.[0-9]+)?$": "decimal text", "^[1-9][0-9]{0,17}$": "an id"}
"""What a pattern means to a reader."""
_BOUNDS: Final = (
    ("minimum", "≥"), ("maximum", "≤"), ("minLength", "length ≥"), ("maxLength", "length ≤"),
    ("minItems", "items ≥"), ("maxItems", "items ≤"), ("default", "default"),
)  # fmt: skip
_PLACES: Final = (
    "<a href=/>Trading page</a> · <a href=/docs/>Documentation</a> · "
    "<a href=/docs/api>Try it out</a> · <a href=/openapi.json>openapi.json</a>"
)
_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2430;background:#fff}
h1{margin-bottom:.2rem}h2{border-bottom:1px solid #d5dbe3;margin-top:2.5rem}
summary{cursor:pointer;padding:.35rem 0}code,.m{font-family:ui-monospace,monospace;font-size:.92em}
.m{display:inline-block;min-width:4.2rem;font-weight:700;color:#0b5cad}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}
td,th{border:1px solid #d5dbe3;padding:.25rem .5rem;text-align:left;vertical-align:top}
th{background:#f3f5f8}.s{color:#5b6675}nav a{margin-right:1rem}
@media (prefers-color-scheme:dark){body{background:#12161c;color:#dfe5ec}
th{background:#1d242e}td,th,h2{border-color:#323c49}.m{color:#6db3ff}a{color:#6db3ff}}
"""


def page(content: dict[str, Any]) -> str:
    """Render a page that needs no script, font or style from elsewhere."""
    tags: dict[str, list[str]] = {}
    for path, operations in content["paths"].items():
        for method, operation in operations.items():
            rows = tags.setdefault(operation["tags"][0], [])
            rows.append(_operation_html(method, path, operation))
    links = "".join(f'<a href="#{tag}">{tag}</a>' for tag in [*tags, "types", "errors"])
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>{TITLE}</title><style>{_STYLE}</style><h1>{TITLE}</h1>",
        f"<p>{_markup(ABOUT)}<p>{_PLACES}<nav>{links}</nav>",
    ]
    for tag, rows in tags.items():
        parts.append(f"<h2 id={tag}>{tag}</h2>{''.join(rows)}")
    parts.append(f"<h2 id=types>types</h2>{_types_html(content['components']['schemas'])}")
    parts.append(f"<h2 id=errors>errors</h2>{_errors_html()}")
    return "".join(parts)


def _markup(text: str) -> str:
    """Escape a text in which `this` is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))


def _operation_html(method: str, path: str, operation: dict[str, Any]) -> str:
    scope = operation.get("x-scope", "public")
    parts = [
        f"<details><summary><span class=m>{method.upper()}</span> <code>{html.escape(path)}"
        f"</code> {html.escape(operation['summary'])} <span class=s>({scope})</span></summary>",
        f"<p>{_markup(operation['description'])}",
    ]
    if operation["parameters"]:
        rows = "".join(
            f"<tr><td><code>{one['name']}</code><td>{one['in']}"
            f"<td>{'yes' if one['required'] else ''}<td>{_schema_html(one['schema'])}"
            for one in operation["parameters"]
        )
        parts.append(f"<table><tr><th>parameter<th>in<th>required<th>type{rows}</table>")
    body = operation.get("requestBody")
    if body is not None:
        parts.append(f"<p>Body: {_schema_html(body['content']['application/json']['schema'])}")
    rows = "".join(
        f"<tr><td>{status}<td>{_markup(response['description'])}<td>"
        + _schema_html(next(iter(response["content"].values()))["schema"])
        for status, response in sorted(operation["responses"].items())
    )
    parts.append(f"<table><tr><th>status<th>meaning<th>body{rows}</table></details>")
    return "".join(parts)


def _schema_html(schema: dict[str, Any]) -> str:
    reference = schema.get("$ref")
    if reference is not None:
        name = reference.rsplit("/", 1)[1]
        return f'<a href="#type-{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_schema_html(choice) for choice in schema[key])
    if schema.get("type") == "array":
        return f"list of {_schema_html(schema.get('items', {}))}"
    return _markup(kind(schema))


def kind(schema: dict[str, Any]) -> str:
    """Say in words what a plain value is: its type, what its pattern means, and its bounds."""
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("properties") and schema.get("type") == "object":
        return "object with " + ", ".join(f"`{name}`" for name in schema["properties"])
    named = schema.get("type", "anything")
    facts = [" or ".join(named) if isinstance(named, list) else str(named)]
    if "format" in schema:
        facts.append(str(schema["format"]))
    if "pattern" in schema:
        facts.append(_WORDS.get(schema["pattern"], f"`{schema['pattern']}`"))
    facts += [
        f"{word} {json.dumps(schema[key])}"
        for key, word in _BOUNDS if schema.get(key) is not None
    ]  # fmt: skip
    return ", ".join(facts)


def _types_html(schemas: dict[str, Any]) -> str:
    parts = []
    for name, schema in sorted(schemas.items()):
        required = set(schema.get("required", ()))
        rows = "".join(
            f"<tr><td><code>{html.escape(field)}</code><td>"
            f"{'yes' if field in required else ''}<td>{_schema_html(form)}"
            for field, form in schema.get("properties", {}).items()
        )
        about = _markup(" ".join(schema.get("description", "").split()))
        parts.append(
            f'<details id="type-{name}"><summary><code>{name}</code></summary><p>{about}'
            f"<table><tr><th>field<th>required<th>type{rows}</table></details>"
        )
    return "".join(parts)


def _errors_html() -> str:
    rows = "".join(
        f"<tr><td><code>{kind.code}</code><td>{kind.status}<td>{kind.outcome}"
        f"<td>{'yes' if kind.retryable else 'no'}<td>{_markup(kind.meaning)}"
        for kind in sorted(CATALOGUE.values(), key=lambda kind: (kind.status, kind.code))
    )
    return f"<table><tr><th>code<th>status<th>outcome<th>retryable<th>meaning{rows}</table>"
