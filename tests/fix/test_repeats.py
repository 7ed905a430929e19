"""Reports that are sent a second time say so, also when the gateway is killed amid them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.client import Outcome, Transaction, queries
from engine.core.commands import StartEpoch
from engine.core.events import SessionChanged
from engine.core.types import CancelScope, SessionRow
from fix_gateway.session.epochs import restore
from fix_gateway.session.session import Session
from fix_gateway.session.store import LAST_INDEX, NO_REPEATS, GatewayState, boot_id
from fix_gateway.settings import GatewaySettings
from tests.fix.test_store import Acceptor
from tests.support.fix_settings import session_settings

SEQ = 9
"""How far the engine is."""
BEGUN = (0, LAST_INDEX, 0)
EPOCH = 3


class Engine:
    """Knows the session of the store, and records epochs."""

    def __init__(self) -> None:
        self.row = SessionRow(
            "fix:ALICE", "alice", EPOCH, 5, False, CancelScope.NONE, 0, BEGUN, 0
        )

    def connect(self) -> Any:
        return SimpleNamespace(seq=SEQ)

    def fetch(self, query: queries.Query[Any]) -> Any:
        return SimpleNamespace(value=self.row)

    def submit(self, command: StartEpoch) -> Outcome:
        epoch, cursor = command.origin.epoch, command.cursor
        self.row = self.row._replace(epoch=epoch, last_num_applied=0, cursor=cursor)
        event = SessionChanged(
            "alice", 1, "fix:ALICE", "epoch", epoch, 0, CancelScope.NONE, cursor, command.cause
        )
        return Outcome(Transaction(SEQ, 1, command, (event,)), False)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def started(folder: Path, engine: Any, delivered: int = 8, *, boot: str = "") -> Session:
    """A session as a gateway has it that starts on what another, which was killed, has left."""
    gateway = GatewaySettings("127.0.0.1", 0, "TANDEM", folder, folder, unclean_margin=100)
    session = Session(session_settings(), gateway)
    last = GatewayState(boot or boot_id(), False, False, {"ALICE": delivered})
    session.sender = restore(session, engine, last).sender  # type: ignore[attr-defined]
    return session


def stored(folder: Path, root: Path, *seqs: int, sender: int = 0) -> None:
    """Have QuickFIX store reports, from this number on if one is given, and end."""
    acceptor = Acceptor(folder, root)
    if sender:
        acceptor.session.setNextSenderMsgSeqNum(sender)
    for seq in seqs:
        acceptor.report(seq)


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """A store with the reports of seq 1 to 8, in epoch 3."""
    stored(tmp_path, root, *range(1, 9))
    (tmp_path / "FIX.4.4-TANDEM-ALICE.epoch").write_text(f"{EPOCH}\n")
    return tmp_path


def lose(folder: Path, number: int) -> None:
    """Take a message out of the store whose triple stays, as a full disk may."""
    body, header = (folder / f"FIX.4.4-TANDEM-ALICE.{name}" for name in ("body", "header"))
    rows = [list(map(int, row.split(b","))) for row in header.read_bytes().split()]
    (_, start, size) = rows[number - 1]
    data = body.read_bytes()
    body.write_bytes(data[:start] + data[start + size :])
    for row in rows[number:]:
        row[1] -= size
    header.write_text("".join(f"{n},{o},{length} " for n, o, length in rows))


def test_what_was_delivered_is_not_repeated(folder: Path, engine: Engine) -> None:
    session = started(folder, engine)
    assert session.delivery.repeats == NO_REPEATS
    assert session.delivery.cursor == (8, LAST_INDEX, 0)


def test_a_gateway_killed_amid_repeats_after_a_full_disk_goes_on_with_them_marked(
    folder: Path, root: Path, engine: Engine
) -> None:
    lose(folder, 4)
    place = started(folder, engine).delivery
    assert (place.cursor, place.repeats.until) == ((3, 0, 0), SEQ)
    # It was killed before it had sent any, ...
    place = started(folder, engine).delivery
    assert (place.cursor, place.repeats.until) == ((3, 0, 0), SEQ)
    # ... and once more when two of them were out, under numbers 9 and 10.
    stored(folder, root, 4, 5)
    place = started(folder, engine).delivery
    assert (place.cursor, place.repeats.until) == ((5, 0, 0), SEQ)
    # What came after is told for the first time.
    stored(folder, root, 6, 7, 8, 12)
    place = started(folder, engine, 12).delivery
    assert place.cursor >= (12, 0, 0) and not place.repeating


def test_a_message_lost_amid_repeats_is_repeated_from_there(
    folder: Path, root: Path, engine: Engine
) -> None:
    lose(folder, 4)
    started(folder, engine)
    stored(folder, root, 4, 5, 6)  # Numbers 9 to 11, whose triples follow those that are left.
    rows = (folder / "FIX.4.4-TANDEM-ALICE.header").read_bytes().split()
    lose(folder, 1 + [row.split(b",")[0] for row in rows].index(b"10"))
    place = started(folder, engine).delivery
    assert (place.cursor, place.repeats.until, place.repeats.number) == ((4, 0, 0), SEQ, 12)
    assert started(folder, engine).delivery.cursor == (4, 0, 0)


def test_a_gateway_killed_amid_repeats_after_a_power_cut_goes_on_with_them_marked(
    folder: Path, root: Path, engine: Engine
) -> None:
    session = started(folder, engine, boot="another")
    assert (session.sender, session.delivery.repeats.until) == (109, SEQ)  # type: ignore[attr-defined]
    # The state is of this boot by now, but QuickFIX had not been given the number.
    session = started(folder, engine)
    assert (session.sender, session.delivery.repeats.until) == (109, SEQ)  # type: ignore[attr-defined]
    stored(folder, root, 9, sender=109)
    place = started(folder, engine).delivery
    assert (place.cursor, place.repeats.until) == ((9, 0, 0), SEQ)


def test_a_gateway_killed_amid_repeats_of_a_lost_store_goes_on_with_them_marked(
    folder: Path, root: Path, engine: Engine
) -> None:
    for path in folder.glob("FIX.4.4-TANDEM-ALICE.*"):
        path.unlink()
    session = started(folder, engine)
    assert session.epoch == EPOCH + 1 and session.delivery.repeats.until == SEQ
    stored(folder, root, 1, 2)
    engine.row = engine.row._replace(last_num_applied=2)
    place = started(folder, engine).delivery
    assert (place.cursor, place.repeats.until) == ((2, 0, 0), SEQ)


def test_repeats_are_carried_into_a_new_epoch(folder: Path, root: Path, engine: Engine) -> None:
    """A reset was recorded by the engine amid repeats, and the gateway was killed."""
    lose(folder, 4)
    started(folder, engine)
    engine.row = engine.row._replace(epoch=EPOCH + 1, last_num_applied=0, cursor=(3, 0, 0))
    for _ in range(2):
        place = started(folder, engine).delivery
        assert (place.cursor, place.repeats.until) == ((3, 0, 0), SEQ)
    stored(folder, root, 4)
    place = started(folder, engine).delivery
    assert (place.cursor, place.repeats.until) == ((4, 0, 0), SEQ)
