"""The messages of the stream as spec/asyncapi.yaml describes them, for real ones to be held to."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

SPEC = Path(__file__).parent.parent.parent.parent / "spec"
HERE = "tandem:///asyncapi.yaml"
seen: set[str] = set()
"""Kinds of messages that were held to the description in this process."""


@cache
def documents() -> dict[str, Any]:
    """AsyncAPI, and OpenAPI, to which it refers."""
    return {
        f"tandem:///{name}": yaml.safe_load((SPEC / name).read_text(encoding="utf-8"))
        for name in ("asyncapi.yaml", "openapi.yaml")
    }


@cache
def validator(message: str) -> Any:
    """What checks messages of one name."""
    registry = jsonschema_rs.Registry(list(documents().items()))
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"{HERE}#/components/messages/{message}/payload"}, registry=registry
    )


def hold(name: str, message: dict[str, Any]) -> None:
    """Raise AssertionError unless the message is as it is described."""
    for error in validator(name).iter_errors(message):
        raise AssertionError(f"{name} is not as described: {error}")
    seen.add(name)


def hold_received(message: dict[str, Any]) -> None:
    """A message of the server, by what it says of itself."""
    hold(message.get("channel", "answer"), message)
