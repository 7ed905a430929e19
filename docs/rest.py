"""docs/reference/rest.md, from the OpenAPI document and the recorded examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from account_api.http.openapi import recorded
from account_api.http.plain_reference import kind
from docs import samples

METHODS: Final = ("get", "post", "put", "patch", "delete")
_EXAMPLES: Final = """\
## How the examples are called

Each operation has a request for curl, for Python and as HTTP, with the response that a demo venue
sends. They were recorded with the demo's public keys in one session: what an example names, an
earlier one created. A test plays them again on a running venue.

In a shell, define these functions once (they are the file `clients/curl/tandem.sh`). Set `api` to
the address of your venue.

```sh
{shell}```

In Python, the [client library](../../clients/sdk/README.md) has a method for each operation:
`pip install clients/sdk`. A key whose name ends with `-read` is a bearer token; the others sign.
"""


def document(spec: dict[str, Any], head: str) -> str:
    """The page: every operation, its parameters, body, examples and responses, and every type."""
    lines = [
        "# REST reference", "", head,
        "The rules of the API, with signing: [REST.md](../../spec/REST.md). Error codes: "
        "[ERRORS.md](../../spec/ERRORS.md).", "", spec["info"]["description"], "",
        _EXAMPLES.format(shell=samples.shell()),
    ]  # fmt: skip
    tags: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in spec["paths"].items():
        for method in METHODS:
            if method in operations:
                tag = operations[method]["tags"][0]
                tags.setdefault(tag, []).append((method, path, operations[method]))
    for tag, rows in tags.items():
        lines += [f"## {tag.capitalize()}", ""]
        for method, path, operation in rows:
            lines += _operation(method, path, operation)
    lines += ["## Types", ""]
    for name, schema in sorted(spec["components"]["schemas"].items()):
        lines += _type(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    scope = operation.get("x-scope")
    needed = f"Scope `{scope}`." if scope else "Public."
    yield from (f"### {method.upper()} {path}", "", f"{operation['description']} {needed}", "")
    parameters = operation.get("parameters") or []
    if parameters:
        yield from ("| parameter | in | required | type |", "|---|---|---|---|")
        for one in parameters:
            required = "yes" if one.get("required") else ""
            about = f" · {one['description']}" if one.get("description") else ""
            yield f"| `{one['name']}` | {one['in']} | {required} | {form(one['schema'])}{about} |"
        yield ""
    body = operation.get("requestBody")
    if body:
        (content,) = body["content"].values()
        optional = "" if body.get("required") else ", which may be left out"
        yield from (f"Body: {form(content['schema'])}{optional}.", "")
    yield from _examples(operation["operationId"])
    yield from ("| status | body | error codes |", "|---|---|---|")
    for status, answer in sorted(operation["responses"].items()):
        content = next(iter(answer.get("content", {}).values()), {"schema": {}})
        about = answer["description"] if int(status) >= 400 else ""
        yield f"| {status} | {form(content['schema'])} | {about} |"
    yield ""


def _examples(name: str) -> Iterator[str]:
    for number, example in enumerate(recorded()[name]):
        request = example["request"]
        yield from (f"*{example['title']}:*", "")
        if number == 0 or "body" in request:
            yield from _block("sh", samples.curl(request))
            if example["response"]["status"] < 400:
                yield from _block("python", samples.python(name, request))
        if number == 0:
            yield from _block("http", samples.http(example))
        yield from ("Response:", "")
        yield from _block("http", samples.answer(example))


def _block(language: str, text: str) -> Iterator[str]:
    yield from (f"```{language}", text.rstrip("\n"), "```", "")


def _type(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    if schema.get("description"):
        yield from (" ".join(schema["description"].split()), "")
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    if not properties:
        yield from (form(schema), "")
        return
    yield from ("| member | required | type |", "|---|---|---|")
    for field, one in properties.items():
        always = "yes" if field in required else ""
        about = " ".join(str(one.get("description", "")).split())
        yield f"| `{field}` | {always} | {form(one)}{' · ' + about if about else ''} |"
    yield ""


def form(schema: dict[str, Any]) -> str:
    """A schema in a cell of a table."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(form(choice) for choice in schema[key])
    if schema.get("type") == "array":
        return f"list of {form(schema.get('items', {}))}"
    return kind(schema).replace("|", "\\|")
