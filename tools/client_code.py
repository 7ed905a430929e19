"""The generated half of the client library: ``python -m tools.client_code``.

Reads spec/openapi.yaml and spec/asyncapi.yaml, and writes ``clients/sdk/tandem_client/generated``:
the types of responses and events, and a method for each operation, for threads and for asyncio. A
test compares what is there with what this would write.
"""

from __future__ import annotations

import functools
import keyword
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tools import client_events
from tools.client_types import docstring, request_type, response_type

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "clients" / "sdk" / "tandem_client" / "generated"
HEAD: Final = (
    "# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.\n"
)
NATURAL_IDS: Final[Mapping[str, str]] = {
    "create_order": "client_order_id",
    "request_withdrawal": "client_withdrawal_id",
    "transfer": "client_transfer_id",
    "report_deposit": "deposit_id",
    "create_key": "name",
}
"""Operation → the id in its body by which the venue recognizes a repeat, also a late one."""
REPEATABLE: Final = frozenset((
    "cancel_order", "set_dead_mans_switch", "set_account_status", "set_instrument_status",
    "set_reference_price",
))  # fmt: skip
"""Operations that state what shall be, so that a repeat changes nothing."""
STREAM_NAMES: Final[Mapping[str, str]] = {"batch": "submit_batch"}
"""Operations whose name on the stream is not that of their REST route."""
PAGED_BY: Final = (("next_cursor", "cursor"), ("next_after_trade_id", "after_trade_id"))

Document = Mapping[str, Any]


class Operation:
    """One operation of the OpenAPI document, as a method needs it."""

    def __init__(self, method: str, path: str, row: Document, schemas: Document) -> None:
        self.name: str = row["operationId"]
        self.method, self.path = method.upper(), path
        self.summary = f"{row['summary'].rstrip('.')}."
        self.description: str = row.get("description", "")
        self.public = not row.get("security")
        answers = [answer for status, answer in row["responses"].items() if status < "300"]
        self.answer = _schema_of(answers[0])
        parameters = row.get("parameters", [])
        self.parts = [one for one in parameters if one["in"] == "path"]
        self.query = [one for one in parameters if one["in"] == "query"]
        self.keyed = any(one["name"] == "Idempotency-Key" for one in parameters)
        self.key_required = any(
            one["name"] == "Idempotency-Key" and one.get("required") for one in parameters
        )
        self.body: dict[str, Any] = {}
        self.required: set[str] = {one["name"] for one in self.query if one.get("required")}
        self.about_body = ""
        if "requestBody" in row:
            shape = schemas[_schema_of(row["requestBody"])]
            self.body = {
                name: kind for name, kind in shape["properties"].items()
                if kind.get("type") != "null"
            }  # fmt: skip
            self.required |= set(shape.get("required", ()))
            self.about_body = shape.get("description", "")
        names = [one["name"] for one in (*self.parts, *self.query)] + list(self.body)
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name} has two parameters of one name: {names}")

    @property
    def repeat(self) -> str:
        """Return by what a repeat is recognized: the member of ``Repeat``."""
        if self.method == "GET":
            return "READ"
        if self.name in NATURAL_IDS:
            return "NATURAL_ID"
        return "SAME" if self.name in REPEATABLE else "KEY"

    def arguments(self, keyed: bool, changed: Mapping[str, str] | None = None) -> Iterator[str]:
        """Yield the parameters of the method, without ``self``."""
        for part in self.parts:
            yield f"{part['name']}: str"
        rows = [(one["name"], one["schema"]) for one in self.query] + list(self.body.items())
        if not rows and not (keyed and self.keyed):
            return
        yield "*"
        for name, kind in sorted(rows, key=lambda row: row[0] not in self.required):
            text, default = request_type(kind, name in self.required)
            if changed and name in changed:
                text, default = text.removesuffix(" | None"), changed[name]
            yield f"{name}: {text}{f' = {default}' if default else ''}"
        if keyed and self.keyed:
            yield "idempotency_key: str | None = None"

    def documentation(self) -> str:
        """Return what the method's docstring says."""
        parts = [self.description or self.summary]
        if self.about_body:
            parts.append(self.about_body)
        return "\n\n".join(parts)


def _schema_of(holder: Document) -> str:
    found: str = holder["content"]["application/json"]["schema"]["$ref"]
    return found.rpartition("/")[2]


def operations(openapi: Document) -> list[Operation]:
    """Return every operation of the document, in its order."""
    schemas = openapi["components"]["schemas"]
    return [
        Operation(method, path, row, schemas)
        for path, rows in openapi["paths"].items()
        for method, row in rows.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]


def models(openapi: Document) -> str:
    """Return the module with the types of responses."""
    schemas = openapi["components"]["schemas"]
    rows = operations(openapi)
    changing = {one.answer for one in rows if one.method != "GET"}
    responses = _reached({one.answer for one in rows}, schemas)
    lines = [
        '"""What the venue responds: amounts are Decimal, times are datetime in UTC."""\n',
        "from __future__ import annotations\n",
        "from datetime import datetime",
        "from decimal import Decimal\n",
        "from tandem_client.document import Document",
        "from tandem_client.values import Side\n",
    ]
    for name, shape in schemas.items():
        if name not in responses:
            continue
        lines += ["", f"class {name}(Document, frozen=True, kw_only=True):"]
        lines += [*docstring(shape.get("description", name), "    "), ""]
        required = set(shape.get("required", ()))
        for field, kind in shape["properties"].items():
            text = response_type(field, kind)
            if field in required and text.endswith(" | None"):
                # A venue of an earlier version does not have it yet.
                lines.append(f"    {field}: {text} = None")
            elif field in required:
                lines.append(f"    {field}: {text}")
            else:
                lines.append(f"    {field}: {text} = {_default(kind)}")
        if name in changing and "replayed" not in shape["properties"]:
            lines += [
                "    replayed: bool = False",
                '    """The request had been executed before; this is its result."""',
            ]
        lines.append("")
    return _module(lines)


def _reached(names: set[str], schemas: Document) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += _references(schemas[name])
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner.rpartition("/")[2]
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _default(kind: Document) -> str:
    default = kind.get("default")
    return "[]" if default == [] else repr(default)


def requests(openapi: Document) -> str:
    """Return the module with the types of objects inside of request bodies."""
    schemas = openapi["components"]["schemas"]
    bodies = {
        _schema_of(row["requestBody"])
        for rows in openapi["paths"].values() for row in rows.values()
        if isinstance(row, dict) and "requestBody" in row
    }  # fmt: skip
    lines = [
        '"""Objects inside of requests; they are plain dictionaries."""\n',
        "from __future__ import annotations\n",
        "from typing import Literal, NotRequired, TypedDict\n",
        "from tandem_client.values import Amount, Instant, Side\n",
    ]
    inner = [name for name in schemas if name in _reached(bodies, schemas) - bodies]
    for name in inner:
        shape = schemas[name]
        required = set(shape.get("required", ()))
        lines += ["", f"class {name}(TypedDict):"]
        lines += [*docstring(shape.get("description", name), "    "), ""]
        for field, kind in shape["properties"].items():
            if kind.get("type") == "null":
                continue
            text, _ = request_type(kind, True)
            # ``op`` names the kind of the object: the document's validator implies it.
            must = field in required or field == "op"
            lines.append(f"    {field}: {text if must else f'NotRequired[{text}]'}")
        lines.append("")
    return _module(lines)


def table(openapi: Document) -> str:
    """Return the module with the table of operations."""
    lines = [
        '"""Every operation of the account API."""\n',
        "from __future__ import annotations\n",
        "from typing import Final\n",
        "from tandem_client.operation import Operation, Repeat\n",
        "OPERATIONS: Final[dict[str, Operation]] = {",
    ]
    for one in operations(openapi):
        natural = NATURAL_IDS.get(one.name, "")
        lines += [
            f'    "{one.name}": Operation(',
            f'        "{one.name}", "{one.method}", "{one.path}",',
            f"        Repeat.{one.repeat}, public={one.public}, natural_id={natural!r},".replace(
                "'", '"'
            ),
            "    ),",
        ]
    lines.append("}")
    return _module(lines)


def methods(openapi: Document, waits: bool) -> str:
    """Return the module with a method for each operation; ``waits`` for the one of asyncio."""
    rows = operations(openapi)
    schemas = openapi["components"]["schemas"]
    kind, iterator = ("asyncio", "AsyncIterator") if waits else ("threads", "Iterator")
    body = [
        "",
        f"class {'Async' if waits else ''}Operations(ABC):",
        f'    """Every operation of the account API, for {kind}."""',
        "",
        "    @abstractmethod",
        f"    {_def(waits)} _call(",
        "        self, operation: str, answer: type[D], parts: Members, query: Members,",
        "        body: Members | None, idempotency_key: str | None,",
        "    ) -> D: ...",
        "",
        "    @abstractmethod",
        "    def _pages(",
        "        self, operation: str, answer: type[D], rows: str, query: Members, following: str,",
        f"    ) -> {iterator}[Any]: ...",
    ]
    for one in rows:
        body += ["", *_method(one, waits)]
        body += _iterator(one, schemas, iterator)
    text = "\n".join(body)
    lines = _imports(text, rows, schemas, [f"{iterator}", "Mapping"])
    return _module([
        f'"""A method for each operation of the account API, for {kind}."""\n',
        *lines, *body,
    ])  # fmt: skip


def stream_methods(openapi: Document, asyncapi: Document, waits: bool) -> str:
    """Return the module with the operations that the stream has."""
    by_name = {one.name: one for one in operations(openapi)}
    kind = "asyncio" if waits else "threads"
    rows = [
        (op, by_name[STREAM_NAMES.get(op, op)]) for op in client_events.stream_operations(asyncapi)
    ]
    body = [
        "",
        f"class {'Async' if waits else ''}StreamOperations(ABC):",
        f'    """The operations of the account API that the stream has too, for {kind}."""',
        "",
        "    @abstractmethod",
        f"    {_def(waits)} _operate(",
        "        self, op: str, operation: str, answer: type[D], params: Members",
        "    ) -> D: ...",
    ]
    for op, one in rows:
        body += ["", *_stream_method(op, one, waits)]
    text = "\n".join(body)
    schemas = openapi["components"]["schemas"]
    lines = _imports(text, [one for _, one in rows], schemas, ["Mapping"])
    return _module([
        f'"""A method for each operation of the stream, for {kind}."""\n', *lines, *body,
    ])  # fmt: skip


def _imports(
    text: str, rows: list[Operation], schemas: Document, abstract: list[str]
) -> list[str]:
    found = ["from __future__ import annotations\n", "from abc import ABC, abstractmethod"]
    found.append(f"from collections.abc import {', '.join(abstract)}")
    typing = ["Any"] + [name for name in ("Literal",) if f"{name}[" in text] + ["TypeVar"]
    found.append(f"from typing import {', '.join(typing)}\n")
    found.append("from tandem_client.document import Document")
    models_used = sorted({
        name for name in _reached({one.answer for one in rows}, schemas)
        if f"{name}]" in text or f"{name}:" in text or f", {name}," in text
    })  # fmt: skip
    found += ["from tandem_client.generated.models import (",
              *(f"    {name}," for name in models_used), ")"]  # fmt: skip
    inner = [name for name in ("BatchCancel", "BatchCreate", "BatchReplace") if name in text]
    if inner:
        found.append(f"from tandem_client.generated.requests import {', '.join(inner)}")
    values = [name for name in ("Amount", "Instant", "Side") if re.search(rf": {name}\b", text)]
    if values:
        found.append(f"from tandem_client.values import {', '.join(values)}")
    found += ["", 'D = TypeVar("D", bound=Document)', "Members = Mapping[str, Any]", ""]
    return found


def _def(waits: bool) -> str:
    return "async def" if waits else "def"


def _await(waits: bool) -> str:
    return "await " if waits else ""


def _method(one: Operation, waits: bool) -> list[str]:
    lines = _signature(f"{_def(waits)} {one.name}", one.arguments(keyed=True), one.answer)
    lines += docstring(one.documentation(), "        ")
    lines += [
        f"        return {_await(waits)}self._call(",
        f'            "{one.name}", {one.answer},',
        *_members("parts", [part["name"] for part in one.parts]),
        *_members("query", [row["name"] for row in one.query]),
    ]
    if one.about_body or one.body:
        lines += _members("body", list(one.body))
    else:
        lines.append("            body=None,")
    lines += [f"            idempotency_key={'idempotency_key' if one.keyed else 'None'},",
              "        )"]  # fmt: skip
    return lines


def _iterator(one: Operation, schemas: Document, iterator: str) -> list[str]:
    answer = schemas[one.answer]["properties"]
    for next_name, parameter in PAGED_BY:
        names = [row["name"] for row in one.query]
        if next_name not in answer or parameter not in names:
            continue
        ((rows, kind),) = [
            (name, kind) for name, kind in answer.items() if kind.get("type") == "array"
        ]
        item = kind["items"]["$ref"].rpartition("/")[2]
        changed = {"limit": "1000"}
        if parameter == "after_trade_id":
            changed[parameter] = "0"  # Without it the newest are meant.
        arguments = [
            text for text in one.arguments(keyed=False, changed=changed)
            if not text.startswith("cursor:")
        ]  # fmt: skip
        lines = ["", *_signature(
            f"def iter_{one.name.removeprefix('get_')}", iter(arguments), f"{iterator}[{item}]"
        )]  # fmt: skip
        lines += docstring(
            f"Yield every row of `{one.name}`, however many pages that takes, "
            "``limit`` at a time.", "        ",
        )  # fmt: skip
        return [
            *lines,
            "        return self._pages(",
            f'            "{one.name}", {one.answer}, "{rows}",',
            *_members("query", [name for name in names if name != "cursor"]),
            f'            following="{parameter}",',
            "        )",
        ]
    return []


def _stream_method(op: str, one: Operation, waits: bool) -> list[str]:
    lines = _signature(f"{_def(waits)} {one.name}", one.arguments(keyed=False), one.answer)
    lines += docstring(one.documentation(), "        ")
    names = [part["name"] for part in one.parts] + [row["name"] for row in one.query]
    return [
        *lines,
        f"        return {_await(waits)}self._operate(",
        f'            "{op}", "{one.name}", {one.answer},',
        *_members("params", names + list(one.body)),
        "        )",
    ]


def _signature(start: str, arguments: Iterator[str], answer: str) -> list[str]:
    given = list(arguments)
    if not given:
        return [f"    {start}(self) -> {answer}:"]
    found = [f"    {start}(", "        self,"]
    return [*found, *(f"        {argument}," for argument in given), f"    ) -> {answer}:"]


def _members(name: str, members: list[str]) -> list[str]:
    for member in members:
        if keyword.iskeyword(member) or not member.isidentifier():
            raise ValueError(f"{member} cannot be a parameter")
    if not members:
        return [f"            {name}={{}},"]
    return [
        f"            {name}={{",
        *(f'                "{member}": {member},' for member in members),
        "            },",
    ]


def _module(lines: list[str]) -> str:
    text = "\n".join(lines).rstrip() + "\n"
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return HEAD + text


@functools.cache
def document(name: str) -> Document:
    """Return a document of the specification."""
    text = (ROOT / "spec" / f"{name}.yaml").read_text(encoding="utf-8")
    # The loader in C reads ten times as fast, where there is one.
    found: Document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found


def generated() -> dict[str, str]:
    """Return the text of each generated module by its file name."""
    openapi, asyncapi = document("openapi"), document("asyncapi")
    return {
        "__init__.py": HEAD + '"""Made from the specification; not edited by hand."""\n',
        "models.py": models(openapi),
        "requests.py": requests(openapi),
        "operations.py": table(openapi),
        "methods.py": methods(openapi, waits=False),
        "methods_async.py": methods(openapi, waits=True),
        "stream_methods.py": stream_methods(openapi, asyncapi, waits=False),
        "stream_methods_async.py": stream_methods(openapi, asyncapi, waits=True),
        "events.py": _module(client_events.module(asyncapi)),
    }


def main() -> None:
    """Write the modules."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in generated().items():
        (TARGET / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
