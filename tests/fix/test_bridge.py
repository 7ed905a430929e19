"""The compiled bridge to QuickFIX: its store is QuickFIX's, and a burst is stored as one.

All other tests of the gateway run with it as well where it is built (``make test-compiled``).
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import quickfix

from fix_gateway import bridge
from fix_gateway.session.store import Numbers, SessionStore
from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import Message, RawFix
from tests.fix.test_store import BRIDGE, SOH, Acceptor, with_bridge

pytestmark = with_bridge


@pytest.fixture
def acceptor(tmp_path: Path, root: Path) -> Iterator[Acceptor]:
    made = Acceptor(tmp_path, root, BRIDGE)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path, "TANDEM", "ALICE")


def report(seq: int) -> str:
    body = f"17={seq}-0{SOH}20001={seq}{SOH}20002=0{SOH}20007=0{SOH}"
    return f"8=FIX.4.4{SOH}9=0{SOH}35=8{SOH}{body}10=000{SOH}"


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file of this process become longer; the write that would fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_burst_has_numbers_in_a_row_and_is_stored(
    acceptor: Acceptor, store: SessionStore
) -> None:
    assert acceptor.together(*map(report, range(1, 40))) == (39, 40)
    assert acceptor.together(report(40)) == (1, 41)
    assert store.numbers() == Numbers(41, 1)
    stored = store.newest(0, 100, 1 << 20)
    assert [number for number, _ in stored] == list(range(1, 41))
    assert all(f"\x0134={n}\x01".encode() in text for n, text in stored)
    assert store.newest_cursor() == (40, 0, 0)
    assert store.survey().whole


def test_a_text_that_is_no_message_is_named_and_nothing_is_done(
    acceptor: Acceptor, store: SessionStore
) -> None:
    with pytest.raises(IndexError) as error:
        acceptor.together(report(1), f"8=FIX.4.4{SOH}no field{SOH}", report(2))
    assert error.value.args == (1,)
    assert store.numbers() == Numbers(1, 1)
    assert store.path(".body").stat().st_size == 0


@pytest.mark.parametrize("bytes_left", [0, 50, 300, 1000])
def test_a_burst_that_cannot_be_stored_leaves_nothing(
    acceptor: Acceptor, store: SessionStore, bytes_left: int
) -> None:
    acceptor.together(*map(report, range(1, 30)))
    before = {each: store.path(each).read_bytes() for each in (".body", ".header", ".seqnums")}
    with files_up_to(len(before[".body"]) + bytes_left):
        assert acceptor.together(*map(report, range(30, 60)))[0] == 0
    assert {each: store.path(each).read_bytes() for each in before} == before
    assert acceptor.session.getExpectedSenderNum() == 30
    assert acceptor.together(report(30)) == (1, 31), "with room again it goes on by itself"
    assert store.newest_cursor() == (30, 0, 0)
    assert store.survey().whole


def test_one_message_that_cannot_be_stored_leaves_nothing(
    acceptor: Acceptor, store: SessionStore
) -> None:
    acceptor.together(report(1))
    before = {each: store.path(each).read_bytes() for each in (".body", ".header", ".seqnums")}
    with files_up_to(len(before[".body"]) + 10):
        assert not acceptor.session.send(quickfix.Message(report(2), False))
    assert {each: store.path(each).read_bytes() for each in before} == before
    assert acceptor.session.send(quickfix.Message(report(2), False))
    assert store.newest_cursor() == (2, 0, 0)


def test_reset_and_refresh_open_the_files_again(acceptor: Acceptor, store: SessionStore) -> None:
    acceptor.together(report(1), report(2))
    store.path(".seqnums").write_text(f"{7:020} : {9:020}")
    acceptor.session.refresh()
    assert (acceptor.session.getExpectedSenderNum(), acceptor.session.getExpectedTargetNum()) == (
        7, 9,
    )  # fmt: skip
    acceptor.session.reset()
    assert store.numbers() == Numbers(1, 1)
    assert store.path(".body").stat().st_size == store.path(".header").stat().st_size == 0
    acceptor.together(report(3))
    assert store.newest_cursor() == (3, 0, 0)


def test_a_bridge_for_another_quickfix_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "made_for", lambda: "1.15.0 1")
    assert bridge.load() is None


def resent(venue: Venue, alice: RawFix) -> tuple[RawFix, list[Message]]:
    """Log on and ask for everything again: the client, and the reports that came, by number."""
    back = RawFix(venue.address, "ALICE", num=alice.num)
    back.logon()
    back.send("2", "7=1|16=0|")
    back.send("1", "112=all|")
    while back.receive().get("112") != "all":
        pass
    return back, [message for message in back.received if message["35"] == "8"]


@pytest.mark.timeout(120)
def test_each_goes_on_in_the_store_of_the_other(own_venue: Venue) -> None:
    """kill -9 between: with the bridge, as QuickFIX comes, with the bridge."""
    own_venue.start_engine()
    entered: list[str] = []
    alice: RawFix | None = None
    for turn, switch in enumerate(("1", "0", "1")):
        own_venue.environment[bridge.SWITCH] = switch
        gateway = own_venue.start_gateway()
        if alice is None:
            alice = logged_on(own_venue, "ALICE")
        else:
            alice, reports = resent(own_venue, alice)
            again = [message for message in reports if message.get("43") == "Y"]
            assert [message["11"] for message in again] == entered
        for number in range(40):
            name = f"{turn}-{number}"
            entered.append(name)
            alice.order(name, price="10")
        alice.collect(40)
        gateway.kill()
        alice.close()
