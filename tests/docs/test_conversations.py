"""The recorded conversations on the stream are current, and are the examples of its documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from docs import conversations
from tests.api.stream import described
from tests.docs.blocks import ROOT
from tests.docs.conversations import constant, kept, record
from tests.docs.examples import differs, shape


def lines(recording: list[dict[str, Any]]) -> list[tuple[str, str, str, Any]]:
    """The conversation, operation or channel, kind and shape of each line."""
    found = []
    for one in recording:
        for line in one["lines"]:
            payload = line.get("request") or line["message"]
            kind = f"{payload.get('type', '')} {payload.get('ok', '')} {'request' in line}"
            place = payload.get("op") or payload["channel"]
            found.append((one["title"], place, kind, shape(payload)))
    return found


def test_a_venue_still_speaks_as_in_the_recording(tmp_path: Path) -> None:
    was, now = lines(kept()), lines(record(tmp_path))
    assert [row[:3] for row in was] == [row[:3] for row in now], "run: make documents"
    for old, new in zip(was, now, strict=True):
        found = differs(old[3], new[3], f"{old[0]}, {old[1]}")
        assert not found, f"{found}; run: make documents"


def test_what_is_replaced_is_the_same_once_more() -> None:
    assert constant(kept()) == kept()


def test_every_example_is_a_message_as_it_is_described() -> None:
    document = yaml.safe_load((ROOT / "spec" / "asyncapi.yaml").read_text(encoding="utf-8"))
    for name, message in document["components"]["messages"].items():
        assert message["examples"], name
        for one in message["examples"]:
            described.hold(name, one["payload"])
    recorded = conversations.examples(kept())
    shown = {
        name: {one["name"]: one["payload"] for one in message["examples"]}
        for name, message in document["components"]["messages"].items()
    }
    assert shown == recorded


def test_what_is_laid_out_over_lines_is_the_same_json() -> None:
    for one in kept():
        for line in one["lines"]:
            payload = line.get("request") or line["message"]
            text = conversations.laid_out(payload)
            assert json.loads(text) == payload
            assert max(map(len, text.splitlines())) <= conversations.WIDTH + 4
