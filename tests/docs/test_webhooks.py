"""The page about webhooks: its programs accept what the venue signs and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from account_api.webhooks.signing import secret_text, signed_headers
from tests.docs.blocks import ROOT, blocks
from tests.support import pace

PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
NODE = shutil.which("node")
OLD, NEW = b"o" * 32, b"n" * 32
BODY = '{"id":"evt_7_0","data":{"note":"größer"}}'.encode()
AT = 1_900_000_000
CASES = [
    ("right", [NEW], AT, BODY, AT + 10, True),
    ("rotated, the old one known", [NEW, OLD], AT, BODY, AT, True),
    ("other secret", [OLD], AT, BODY, AT, False),
    ("too old", [NEW], AT, BODY, AT + 301, False),
    ("from the future", [NEW], AT, BODY, AT - 301, False),
]


def deliveries() -> list[dict[str, object]]:
    """Deliveries and whether they are genuine to who knows the new secret."""
    found = []
    for name, secrets, at, body, now, right in CASES:
        headers = dict(signed_headers(secrets, "evt_7_0", at, body))
        found.append({"name": name, "headers": headers, "body": body.decode(), "now": now,
                      "right": right})  # fmt: skip
    changed = {**found[0], "name": "other body", "body": BODY.decode() + " ", "right": False}
    headers = {**dict(signed_headers([NEW], "evt_7_0", AT, BODY)), "webhook-id": "evt_8_0"}
    renamed = {**found[0], "name": "other id", "headers": headers, "right": False}
    return [*found, changed, renamed]


PROGRAM = """
import json, sys
for one in json.load(sys.stdin):
    print(verified(SECRET, one["headers"], one["body"].encode(), one["now"]))
"""
SCRIPT = """
import { readFileSync } from "node:fs";
for (const one of JSON.parse(readFileSync(0)))
  console.log(verified(SECRET, one.headers, Buffer.from(one.body), one.now) ? "True" : "False");
"""


def judged(command: list[str]) -> list[bool]:
    done = subprocess.run(
        command, input=json.dumps(deliveries()), capture_output=True, text=True, check=True,
        timeout=pace.seconds(30),
    )  # fmt: skip
    return [line == "True" for line in done.stdout.split()[-len(deliveries()) :]]


def code(language: str) -> str:
    (text,) = (block.text for block in blocks(PAGE) if block.language == language)
    return text


def test_the_program_in_python_accepts_what_the_venue_signs(tmp_path: Path) -> None:
    path = tmp_path / "verify.py"
    path.write_text(f"SECRET = {secret_text(NEW)!r}\n{code('python')}\n{PROGRAM}")
    assert judged([sys.executable, str(path)]) == [one["right"] for one in deliveries()]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_program_in_node_accepts_what_the_venue_signs(tmp_path: Path) -> None:
    assert NODE is not None
    path = tmp_path / "verify.mjs"
    text = code("js").replace("export function", "function")
    path.write_text(f"const SECRET = {secret_text(NEW)!r};\n{text}\n{SCRIPT}")
    assert judged([NODE, str(path)]) == [one["right"] for one in deliveries()]
