"""What clients have sent is kept by session, bounded, and shown without secrets."""

from __future__ import annotations

import pytest

from fix_gateway.runtime import message_log
from fix_gateway.runtime.message_log import MessageLog, shown

MARK = b", FIX.4.4:own->"


def line(comp_id: str, text: str, kind: str = "incoming") -> bytes:
    return f"<20261130-20:30:14.039973000, FIX.4.4:own->{comp_id}, {kind}>\n  ({text})\n".encode()


def test_messages_are_found_by_session_whatever_pieces_they_came_in() -> None:
    log = MessageLog(MARK, ["ALICE", "BOB"])
    whole = b"".join((
        line("ALICE", "8=FIX.4.4|35=D|11=a1|10=1|"), line("BOB", "8=FIX.4.4|35=0|10=1|"),
        line("ALICE", "an event", "event"), line("MALLORY", "35=D|"),
        line("ALICE", "8=FIX.4.4|35=F|11=a2|58=(x)\n|10=1|"),
    ))  # fmt: skip
    for start in range(0, len(whole), 7):
        log.take(whole[start : start + 7])
        log.settle()
    found = log.newest("ALICE", 0, 10)
    assert [row.text for row in found] == [
        "8=FIX.4.4|35=D|11=a1|10=1|", "8=FIX.4.4|35=F|11=a2|58=(x)\n|10=1|",
    ]  # fmt: skip
    assert found[0].stamp.startswith("20261130-20:30:14.039973")
    assert [row.text for row in log.newest("ALICE", found[0].number, 10)] == [found[1].text]
    assert [row.text for row in log.newest("ALICE", 0, 1)] == [found[1].text]
    assert log.newest("MALLORY", 0, 10) == []


def test_what_is_kept_is_bounded_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    log = MessageLog(MARK, ["ALICE"])
    for number in range(5_000):
        log.take(line("ALICE", f"35=D|11={number}|"))
    assert len(log.newest("ALICE", 0, 9_999)) == message_log.MESSAGES_MAX
    assert log.newest("ALICE", 0, 1)[0].text == "35=D|11=4999|"
    for number in range(40):
        log.take(line("ALICE", f"35=D|58={'x' * 60_000}|11={number}|"))
    found = log.newest("ALICE", 0, 9_999)
    assert sum(len(row.text) for row in found) <= message_log.SESSION_BYTES_MAX
    assert found[-1].text.endswith("|11=39|")
    # While much comes in nothing is taken apart, and the oldest of it is lost.
    monkeypatch.setattr(message_log, "BACKLOG_BYTES_MAX", 10_000)
    for number in range(1_000):
        log.take(line("ALICE", f"35=D|11=late-{number}|"))
    late = [row.text for row in log.newest("ALICE", found[-1].number, 9_999)]
    assert 50 < len(late) < 200 and late[-1] == "35=D|11=late-999|"


@pytest.mark.parametrize("secret", ["hunter2", "a|b", "x|12=hunter2", "x|1137=hunter2|y"])
def test_a_secret_is_never_shown(secret: str) -> None:
    logon = f"8=FIX.4.4|9=99|35=A|34=1|49=ALICE|98=0|108=30|553=alice|554={secret}|29999=st|10=1|"
    text = shown(logon)
    assert "hunter2" not in text and "st|" not in text
    assert text.startswith("8=FIX.4.4|9=99|35=A|34=1|49=ALICE|98=0|108=30|553=alice|554=***|")
    assert "sig" not in shown("8=FIX.4.4|35=A|95=3|96=sig|10=1|")
