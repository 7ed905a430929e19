"""QuickFIX's log, in which clients' bytes stand between QuickFIX's own lines."""

from __future__ import annotations

import pytest

from fix_gateway.door.logon import LogonError, framed
from fix_gateway.runtime.quickfix_log import QuickfixLog
from tests.fix.rawfix import encode

FAULT = "(Incorrect data format for value with tag: 34: x)\n"


def line(log: QuickfixLog, comp_id: str, kind: str, text: str, name: str = "") -> bytes:
    """What QuickFIX writes; ``name`` another than the one that it was given."""
    named = name or log.server
    shown = text.replace("\x01", "|")
    return (
        f"<20261130-17:38:28.142600000, FIX.4.4:{named}->{comp_id}, {kind}>\n  ({shown})\n"
    ).encode("latin-1")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def log(told: list[str]) -> QuickfixLog:
    return QuickfixLog(told.append)


LOGON = encode("35=A|34=1|49=ALICE|52=20260105-09:30:00|56=TANDEM|98=0|554=a(b)|141=Y|")


def test_the_newest_message_of_a_session_is_the_one_that_quickfix_is_at(log: QuickfixLog) -> None:
    other = encode("35=0|34=2|49=BOB|56=TANDEM|")
    log.take(line(log, "ALICE", "incoming", encode("35=0|34=9|").decode()))
    log.take(line(log, "ALICE", "incoming", LOGON.decode()))
    assert framed(log.message("ALICE"), 4096) == LOGON
    log.take(line(log, "ALICE", "event", "Message 1 Rejected: Required tag missing:29999"))
    log.take(line(log, "BOB", "incoming", other.decode()))
    assert framed(log.message("ALICE"), 4096) == LOGON
    assert framed(log.message("BOB"), 4096) == other
    assert log.message("CAROL") == b""


def test_a_message_comes_in_pieces_and_behind_much_else(log: QuickfixLog) -> None:
    whole = b"x" * 200_000 + line(log, "ALICE", "incoming", LOGON.decode())
    for start in range(0, len(whole), 777):
        log.take(whole[start : start + 777])
        log.look()
    assert framed(log.message("ALICE"), 4096) == LOGON
    assert len(log._newest) <= 1 << 15 and len(log._unread) < 1 << 10


def test_a_bar_in_a_value_is_kept_or_told_by_the_checksum(log: QuickfixLog) -> None:
    kept = LOGON.replace(b"a(b)", b"a|b)")
    kept = kept[:-4] + b"%03d\x01" % (sum(kept[: kept.rindex(b"10=")]) % 256)
    log.take(line(log, "ALICE", "incoming", kept.decode()))
    assert framed(log.message("ALICE"), 4096) == kept
    mistaken = encode("35=A|34=1|49=ALICE|56=TANDEM|58=a\x02141=Y|")
    text = mistaken.replace(b"\x02", b"|")
    text = text[:-4] + b"%03d\x01" % (sum(text[: text.rindex(b"10=")]) % 256)
    log.take(line(log, "ALICE", "incoming", text.decode()))
    with pytest.raises(LogonError, match="CheckSum"):
        framed(log.message("ALICE"), 4096)


@pytest.mark.parametrize("size", [1, 7, 50, 5_000])
def test_each_message_without_a_number_is_told_once(
    log: QuickfixLog, told: list[str], size: int
) -> None:
    text = b"".join(
        line(log, name, "event", FAULT[1:-2]) + line(log, name, "incoming", "8=FIX|35=0|" * 40)
        for name in ("ALICE", "BOB", "ALICE")
    )
    for start in range(0, len(text), size):
        log.take(text[start : start + size])
        log.look()
    assert told == ["ALICE", "BOB", "ALICE"]


def test_no_client_writes_a_line_in_another_ones_name(log: QuickfixLog, told: list[str]) -> None:
    """A value may hold whatever stands in the log but the name that this process has drawn."""
    for name in ("TANDEM", "0" * 32):
        forged = line(log, "BOB", "event", FAULT[1:-2], name).decode()
        log.take(line(log, "ALICE", "incoming", f"8=FIX|58=)\n{forged}|"))
        forged = line(log, "BOB", "incoming", LOGON.decode(), name).decode()
        log.take(line(log, "ALICE", "incoming", f"8=FIX|58=)\n{forged}|"))
        log.look()
    assert told == [] and log.message("BOB") == b""
    assert len(QuickfixLog(told.append).server) == 32 != log.server
