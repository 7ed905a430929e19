"""Keys of a FIX session that came with signed Logons and the throttle."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from config.model import SessionTable
from config.settings import DEMO_FILE, SessionSettings, SettingsError, load

DEMO = DEMO_FILE.read_text(encoding="utf-8")
KEY = base64.b64encode(bytes(range(32))).decode()
ALICE = 'comp_id = "ALICE"\n'
HASH = re.compile(r'password_hash = "[^"]*"\n')


def alice(folder: Path, more: str, text: str = DEMO) -> SessionSettings:
    path = folder / "venue.toml"
    path.write_text(text.replace(ALICE, ALICE + more, 1), encoding="utf-8")
    return load(path, env={}).sessions[0]


def test_neither_is_on_unless_it_is_set(tmp_path: Path) -> None:
    session = alice(tmp_path, "")
    assert (session.public_key, session.throttle_rate, session.throttle_burst) == ("", 0, 0)


def test_a_burst_that_is_not_given_is_the_rate(tmp_path: Path) -> None:
    assert alice(tmp_path, "throttle_rate = 50\n").throttle_burst == 50
    assert alice(tmp_path, "throttle_rate = 50\nthrottle_burst = 80\n").throttle_burst == 80


def test_a_public_key_may_stand_for_the_password(tmp_path: Path) -> None:
    line = f'public_key = "{KEY}"\n'
    assert alice(tmp_path, line).password_hash
    assert alice(tmp_path, line, HASH.sub("", DEMO, count=1)).password_hash == ""


@pytest.mark.parametrize(
    ("more", "text", "key"),
    [
        ("", HASH.sub("", DEMO, count=1), "sessions[0].password_hash"),
        ('public_key = "c2hvcnQ="\n', DEMO, "sessions[0].public_key"),
        ("throttle_burst = 5\n", DEMO, "sessions[0].throttle_burst"),
        ("throttle_rate = -1\n", DEMO, "sessions[0].throttle_rate"),
    ],
)
def test_what_is_wrong_is_refused_with_its_key(
    tmp_path: Path, more: str, text: str, key: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(key)):
        alice(tmp_path, more, text)


def test_the_venues_grace_is_that_of_a_session_that_has_none_of_its_own(tmp_path: Path) -> None:
    text = DEMO.replace("[fix]\n", "[fix]\ngrace_default_s = 10\n", 1)
    assert text != DEMO
    assert alice(tmp_path, "", text).grace_s == 10
    assert alice(tmp_path, "grace_s = 0\n", text).grace_s == 0


def test_a_scope_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    wanted = re.escape("sessions[0].cancel_on_disconnect: expected one of 0, 1, 2, 3, got 7")
    with pytest.raises(SettingsError, match=wanted):
        alice(tmp_path, "cancel_on_disconnect = 7\n")


def test_a_session_adds_nothing_to_its_table_but_what_other_tables_say(tmp_path: Path) -> None:
    """So that a setting of a session is one line of one struct."""
    added = set(SessionSettings.__struct_fields__) - set(SessionTable.__struct_fields__)
    assert added == {"firm", "accounts"}
    assert alice(tmp_path, "").accounts == {"alice", "alice:desk"}
