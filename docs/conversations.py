"""Recorded conversations on the stream, as examples of the AsyncAPI document and on a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

FILE: Final = (
    Path(__file__).resolve().parent.parent / "account_api" / "examples" / "stream.json"
)
WIDTH: Final = 96
_ABOUT: Final = """\
They were recorded from a running venue with the demo's public keys; times, sequence numbers and
random ids are replaced. `→` is what the client sends, `←` what the venue sends. Answers and events
are sent independently of each other: an event may arrive before the answer to the request that
caused it, and the messages of several channels in any order.
"""
_MESSAGE: Final = re.compile(r"^    (\w+):\n((?:      .*\n|\n)*)", re.MULTILINE)
_EXAMPLES: Final = re.compile(r"^      examples:\n(?:       +.*\n)*", re.MULTILINE)


def recorded() -> list[dict[str, Any]]:
    """The conversations, in their order."""
    found: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def page(conversations: list[dict[str, Any]]) -> Iterator[str]:
    """A section of the reference."""
    yield from ("## Conversations", "", _ABOUT)
    for one in conversations:
        yield from (f"### {one['title']}", "", one["about"], "", "```text")
        for line in one["lines"]:
            if "request" in line:
                yield f"→ {laid_out(line['request'])}"
            else:
                yield f"← {laid_out(line['message'])}"
        yield from ("```", "")


def laid_out(value: Any, indent: int = 2, before: int = 2) -> str:
    """JSON whose objects and lists stand on one line where they fit, one member a line if not."""
    line = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, (dict, list)) or len(line) + before <= WIDTH:
        return line
    margin = " " * (indent + 2)
    if isinstance(value, dict):
        opening, closing = "{", "}"
        parts = [
            (f"{json.dumps(name)}: ", part) for name, part in value.items()
        ]
    else:
        opening, closing = "[", "]"
        parts = [("", part) for part in value]
    rows = [
        head + laid_out(part, indent + 2, indent + 3 + len(head)) for head, part in parts
    ]
    packed: list[str] = []
    for row in rows:
        # Short members share a line.
        if packed and "\n" not in packed[-1] + row and (
            len(margin) + len(packed[-1]) + len(row) + 3 <= WIDTH
        ):
            packed[-1] += f", {row}"
        else:
            packed.append(row)
    inner = f",\n{margin}".join(packed)
    return f"{opening}\n{margin}{inner}\n{' ' * indent}{closing}"


def examples(conversations: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Payloads by their name, by the message of the AsyncAPI document: the first of each kind."""
    found: dict[str, dict[str, Any]] = {}
    for conversation in conversations:
        refused = {
            line["message"]["req_id"] for line in conversation["lines"]
            if not line.get("message", {}).get("ok", True)
        }  # fmt: skip
        for line in conversation["lines"]:
            payload = line.get("request") or line["message"]
            if "request" in line and payload["req_id"] in refused:
                continue
            message, name = _kind(line)
            found.setdefault(message, {}).setdefault(name, payload)
    return found


def _kind(line: dict[str, Any]) -> tuple[str, str]:
    if "request" in line:
        return "request", line["request"]["op"]
    message = line["message"]
    if "channel" not in message:
        return "answer", message["op"] if message["ok"] else f"{message['op']}_refused"
    data = message["data"]
    event = data.get("event") if isinstance(data, dict) else None
    return message["channel"], event or message["type"]


def with_examples(text: str, conversations: list[dict[str, Any]]) -> str:
    """The AsyncAPI document with these examples in place of those that it has."""
    kinds = examples(conversations)
    head, mark, rest = text.partition("\n  messages:\n")
    messages, end, schemas = rest.partition("\n  schemas:\n")
    assert mark and end

    def put(match: re.Match[str]) -> str:
        rows = "".join(_example(*row) for row in kinds.pop(match[1], {}).items())
        own = _EXAMPLES.sub("", match[2])
        return f"    {match[1]}:\n{own}" + (f"      examples:\n{rows}" if rows else "")

    changed = _MESSAGE.sub(put, f"{messages}\n")[:-1]
    assert not kinds, f"the document has no messages {sorted(kinds)}"
    return f"{head}{mark}{changed}{end}{schemas}"


def _example(name: str, payload: dict[str, Any]) -> str:
    flow = yaml.safe_dump(
        payload, sort_keys=False, default_flow_style=True, width=WIDTH - 12, allow_unicode=True
    )
    rows = "".join(f"            {line.strip()}\n" for line in flow.splitlines())
    return f"        - name: {name}\n          payload:\n{rows}"
