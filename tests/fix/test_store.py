"""The reader of QuickFIX's file store, against one that QuickFIX has written and the bridge's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import quickfix

from fix_gateway.bridge import Bridge, load
from fix_gateway.session.store import GatewayState, Numbers, SessionStore, read_state, write_state
from tests.support.quickfix_application import SilentApplication

SOH = "\x01"
BRIDGE = load()


class Acceptor:
    """QuickFIX with one session that is never logged on: it stores what is sent."""

    def __init__(self, folder: Path, root: Path, bridge: Bridge | None = None) -> None:
        settings = quickfix.SessionSettings()
        values = {
            "ConnectionType": "acceptor", "SocketAcceptPort": "1", "NonStopSession": "Y",
            "FileStorePath": str(folder), "DataDictionary": str(root / "spec" / "FIX44.xml"),
        }  # fmt: skip
        dictionary = quickfix.Dictionary()
        for key, value in values.items():
            dictionary.setString(key, value)
        self.id = quickfix.SessionID("FIX.4.4", "TANDEM", "ALICE")
        settings.set(self.id, dictionary)
        application, factory = SilentApplication(), quickfix.FileStoreFactory(settings)
        self.kept = (settings, application, factory)
        self.bridge = bridge
        self.dictionary = quickfix.DataDictionary(values["DataDictionary"])
        if bridge is None:
            self.acceptor = quickfix.SocketAcceptor(application, factory, settings)
        else:
            self.acceptor = bridge.acceptor(application, print, settings, folder, "NAME")
        self.session = quickfix.Session.lookupSession(self.id)

    def close(self) -> None:
        """End its session, so that another can have that name in this process."""
        del self.acceptor

    def report(self, seq: int, index: int = 0, part: int = 0) -> None:
        self.send(f"8{SOH}17={seq}-{index}{SOH}20001={seq}{SOH}20002={index}{SOH}20007={part}")

    def send(self, content: str) -> None:
        text = f"8=FIX.4.4{SOH}9=0{SOH}35={content}{SOH}10=000{SOH}"
        if self.bridge is None:
            assert self.session.send(quickfix.Message(text, False))
        else:
            assert self.together(text)[0] == 1

    def together(self, *texts: str) -> tuple[int, int]:
        """Send by the bridge, in one piece."""
        assert self.bridge is not None
        return self.bridge.send(self.session, self.dictionary, list(texts))


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path, "TANDEM", "ALICE")


with_bridge = pytest.mark.skipif(BRIDGE is None, reason="the bridge is not built (make compiled)")


@pytest.fixture(params=["as it comes", pytest.param("bridge", marks=with_bridge)])
def acceptor(request: pytest.FixtureRequest, tmp_path: Path, root: Path) -> Iterator[Acceptor]:
    made = Acceptor(tmp_path, root, BRIDGE if request.param == "bridge" else None)
    yield made
    made.close()


def test_no_store_begins_at_1(store: SessionStore) -> None:
    assert store.numbers() == Numbers(1, 1)
    assert store.newest_cursor() is None


def test_newest_cursor_is_that_of_the_last_report(acceptor: Acceptor, store: SessionStore) -> None:
    for seq in range(1, 2001):
        acceptor.report(seq, seq % 3, seq % 2)
    assert store.numbers().sender == 2001
    assert store.newest_cursor() == (2000, 2, 0)


def test_admin_messages_and_answers_without_a_cursor_are_passed(
    acceptor: Acceptor, store: SessionStore
) -> None:
    acceptor.report(7, 4, 1)
    acceptor.send(f"8{SOH}17=0{SOH}20001=99")
    acceptor.send("0")
    acceptor.send(f"B{SOH}148=20001=5{SOH}58=20002=1")
    assert store.newest_cursor() == (7, 4, 1)


def test_a_message_in_the_body_that_does_not_count_yet_is_passed(
    acceptor: Acceptor, store: SessionStore
) -> None:
    acceptor.report(1)
    numbers = store.path(".seqnums").read_bytes()
    acceptor.report(2)
    store.path(".seqnums").write_bytes(numbers)
    assert store.newest_cursor() == (1, 0, 0)


def test_of_two_messages_with_one_number_the_later_counts(
    acceptor: Acceptor, store: SessionStore, tmp_path: Path
) -> None:
    acceptor.report(1)
    acceptor.report(2)
    acceptor.session.setNextSenderMsgSeqNum(2)
    acceptor.report(3)
    assert store.newest_cursor() == (3, 0, 0)
    acceptor.session.setNextSenderMsgSeqNum(2)
    acceptor.send("0")
    assert store.newest_cursor() == (1, 0, 0)


def test_a_torn_header_is_read_as_far_as_it_is_whole(
    acceptor: Acceptor, store: SessionStore
) -> None:
    for seq in range(1, 50):
        acceptor.report(seq)
    header = store.path(".header").read_bytes()
    last = header.rstrip().rfind(b" ")
    for cut in range(last + 2, len(header)):
        store.path(".header").write_bytes(header[:cut])
        assert store.newest_cursor() == (48, 0, 0), f"cut at {cut}"


def test_a_torn_body_is_read_as_far_as_it_is_whole(
    acceptor: Acceptor, store: SessionStore
) -> None:
    for seq in range(1, 50):
        acceptor.report(seq)
    body = store.path(".body").read_bytes()
    store.path(".body").write_bytes(body[:-3])
    assert store.newest_cursor() == (48, 0, 0)
    store.path(".body").write_bytes(b"")
    assert store.newest_cursor() is None


def test_torn_numbers_begin_at_1(acceptor: Acceptor, store: SessionStore) -> None:
    acceptor.report(1)
    store.path(".seqnums").write_bytes(b"")
    assert store.numbers() == Numbers(1, 1)


def test_a_header_of_many_blocks_is_read_from_its_end(
    acceptor: Acceptor, store: SessionStore
) -> None:
    acceptor.report(5, 1, 2)
    for _ in range(6000):
        acceptor.send("0")
    assert store.path(".header").stat().st_size > 1 << 16
    assert store.newest_cursor() == (5, 1, 2)


def test_epoch_mark_is_kept_and_survives_the_reset(store: SessionStore) -> None:
    assert store.epoch() == 0
    store.set_epoch(7)
    store.reset()
    assert store.epoch() == 7


@pytest.mark.parametrize("durable", [True, False])
def test_state_is_read_back(tmp_path: Path, durable: bool) -> None:
    assert read_state(tmp_path) is None
    state = GatewayState("boot", True, False, {"ALICE": 5})
    write_state(tmp_path, state, durable=durable)
    assert read_state(tmp_path) == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot_id": 1}', '{"delivered": 3}'])
def test_state_that_cannot_be_read_is_no_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "gateway.state").write_text(text)
    assert read_state(tmp_path) is None


def mended(store: SessionStore) -> int:
    found = store.survey()
    store.mend_index(found)
    return found.lost


def test_a_number_whose_message_a_full_disk_kept_from_being_written_leaves_the_index(
    acceptor: Acceptor, store: SessionStore
) -> None:
    """Its triple points into the next message; QuickFIX would answer no resend that comes to it."""
    for seq in range(1, 6):
        acceptor.report(seq)
    body = store.path(".body").read_bytes()
    rows = [tuple(map(int, row.split(b","))) for row in store.path(".header").read_bytes().split()]
    assert mended(store) == 0, "a whole store stays as it is"
    (_, second, size) = rows[1]
    store.path(".body").write_bytes(body[:second] + body[second + size :])
    moved = [(num, offset - size if num > 2 else offset, length) for num, offset, length in rows]
    store.path(".header").write_text("".join(f"{n},{o},{length} " for n, o, length in moved))
    assert mended(store) == 2
    left = [int(row.split(b",")[0]) for row in store.path(".header").read_bytes().split()]
    assert left == [1, 3, 4, 5]
    assert store.newest_cursor(below=2) == (1, 0, 0)
    assert store.newest_cursor() == (5, 0, 0)
    assert mended(store) == 0


def test_a_triple_that_a_later_one_of_its_number_supersedes_is_no_loss(
    acceptor: Acceptor, store: SessionStore
) -> None:
    """A number whose message could not be written is used again: the later triple counts."""
    for seq in range(1, 4):
        acceptor.report(seq)
    rows = store.path(".header").read_bytes().split()
    _, offset, length = map(int, rows[1].split(b","))
    stale = f"2,{offset},{length + 100}".encode()
    store.path(".header").write_bytes(b" ".join([rows[0], stale, *rows[1:]]) + b" ")
    assert mended(store) == 0
    assert store.path(".header").read_bytes().split() == rows
    assert store.newest_cursor() == (3, 0, 0)
