"""`tandem fix-log` and the gateway's messages of a session, of a running gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from config.control import ControlError, ask, socket_path
from tests.fix.processes import Venue, logged_on
from tests.support import pace
from tests.support.processes import ROOT


def messages(venue: Venue, comp_id: str = "ALICE", cursor: str = "-") -> dict[str, object]:
    text = ask(socket_path(venue.data, "fix"), "messages", comp_id, cursor, "100")
    found: dict[str, object] = json.loads(text)
    return found


def fix_log(venue: Venue, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tandem", "fix-log", *arguments], capture_output=True, text=True,
        env=os.environ | venue.environment, timeout=pace.seconds(30), cwd=ROOT,
    )  # fmt: skip


def test_both_directions_are_there_and_no_secret(venue: Venue) -> None:
    alice = logged_on(venue, "ALICE", reset=True)
    alice.order("log-1", price="10")
    assert alice.expect("8")["150"] == "0"
    # A Logon within the session is the one message that has a password behind the door.
    alice.send("A", alice.logon_fields(reset=True), num=1)
    assert alice.expect("A")["34"] == "1"
    alice.num = 2
    alice.order("log-2", price="10")
    assert alice.expect("8")["11"] == "log-2"
    found = messages(venue)
    text = json.dumps(found)
    assert "35=D" in text and "11=log-1" in text and "35=8" in text
    assert "alice-demo" not in text and "554=***" in text and "29999" not in text
    # Behind the cursor there is only what is new.
    alice.send("1", "112=new|")
    assert alice.expect("0")["112"] == "new"
    newer = json.dumps(messages(venue, cursor=str(found["cursor"])))
    assert "112=new" in newer and "log-2" not in newer
    done = fix_log(venue, "ALICE", "--order", "log-2")
    assert done.returncode == 0, done.stderr
    assert "client > venue  NewOrderSingle(D)" in done.stdout
    assert "venue > client  ExecutionReport(8)" in done.stdout
    assert "Side(54) = 1  BUY" in done.stdout
    rows = [json.loads(row) for row in fix_log(venue, "ALICE", "--as", "json").stdout.splitlines()]
    assert {row["direction"] for row in rows} == {"in", "out"}
    raw = fix_log(venue, "ALICE", "--as", "raw", "--type", "D", "--limit", "1").stdout
    assert raw.count("\n") == 1 and "|11=log-2|" in raw
    alice.logout()


def test_what_is_asked_wrongly_is_said_in_a_sentence(venue: Venue) -> None:
    with pytest.raises(ControlError, match="there is no session NOBODY; there are ALICE, BOB"):
        messages(venue, "NOBODY")
    with pytest.raises(ControlError, match="is no cursor of an earlier answer"):
        messages(venue, cursor="x")
    done = fix_log(venue, "NOBODY")
    assert done.returncode == 1 and "there is no session NOBODY" in done.stderr


def test_reading_is_bounded_in_how_often(venue: Venue) -> None:
    with pytest.raises(ControlError, match="read too often at the moment"):
        for _ in range(200):
            messages(venue)
