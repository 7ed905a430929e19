"""Rules S-7 and S-8: which gateway holds a session, and the numbers that it may use."""

from __future__ import annotations

from engine.core.commands import (
    CloseSession,
    DefineVenue,
    OpenSession,
    ReserveNumbers,
    StartEpoch,
    TakeSession,
)
from engine.core.events import OrderCanceled, Refused, SessionChanged, SessionHeld
from engine.core.types import CancelScope, Origin, RejectReason, Side
from tests.support.venue import DAY_US, ENGINE, Venue, all_of, kinds, new_exchange, only

SECOND = 1_000_000
SOURCE = "fix:ALICE"


def origin(term: int, number: int = 0, epoch: int = 1) -> Origin:
    return Origin(SOURCE, epoch, number, term=term)


def take(venue: Venue, holder: str) -> SessionHeld:
    return only(venue.do(TakeSession(Origin(SOURCE), "alice", holder)), SessionHeld)


def held_by(venue: Venue, holder: str) -> int:
    """Take the session, begin its first epoch if there is none, and return the term."""
    taken = take(venue, holder)
    if taken.epoch == 0:
        only(venue.do(StartEpoch(origin(taken.term), "alice", (0, 0, 0), "first")), SessionChanged)
    return taken.term


def connect(venue: Venue, term: int, grace: int = 0) -> list[str]:
    return kinds(venue.do(OpenSession(origin(term), "alice", CancelScope.SESSION, grace)))


def test_S7_each_change_of_the_holder_raises_the_term(core_venue: Venue) -> None:
    first = take(core_venue, "A")
    assert (first.what, first.before, first.holder, first.term) == ("taken", "", "A", 1)
    again = take(core_venue, "A")
    assert (again.what, again.before, again.term) == ("taken", "A", 1)
    second = take(core_venue, "B")
    assert (second.before, second.holder, second.term) == ("A", "B", 2)
    assert take(core_venue, "A").term == 3


def test_S7_a_connected_session_is_not_taken_by_another(core_venue: Venue) -> None:
    term = held_by(core_venue, "A")
    connect(core_venue, term)
    refused = take(core_venue, "B")
    assert (refused.what, refused.holder, refused.term) == ("refused", "A", term)
    assert refused.text == "fix:ALICE is connected through another gateway"
    assert take(core_venue, "A").what == "taken"
    core_venue.do(CloseSession(Origin(SOURCE)))
    assert take(core_venue, "B").what == "taken"


def test_S7_an_unknown_account_and_an_empty_holder_are_refused(core_venue: Venue) -> None:
    unknown = core_venue.do(TakeSession(Origin(SOURCE), "nobody", "A"))
    assert only(unknown, SessionHeld).text == "there is no account 'nobody'"
    assert take(core_venue, "").what == "refused"
    assert SOURCE not in core_venue.exchange.sessions  # type: ignore[attr-defined]


def test_S7_a_message_of_the_last_holder_is_never_applied(core_venue: Venue) -> None:
    """It is as if the message had been lost on its way to that gateway: nobody is told of it."""
    exchange = core_venue.exchange
    term = held_by(core_venue, "A")
    late = core_venue.new_command("alice", Side.BUY, 1, 10, origin=origin(term, 5))
    assert exchange.find_duplicate(late) is None  # type: ignore[attr-defined]
    term = held_by(core_venue, "B")
    assert exchange.find_duplicate(late) == 0  # type: ignore[attr-defined]
    repeated = core_venue.new_command("alice", Side.BUY, 1, 10, origin=origin(term, 5))
    assert exchange.find_duplicate(repeated) is None  # type: ignore[attr-defined]


def test_S7_what_the_last_holder_says_of_the_session_has_no_effect(core_venue: Venue) -> None:
    before = held_by(core_venue, "A")
    term = held_by(core_venue, "B")
    assert connect(core_venue, before) == []
    assert connect(core_venue, term) == ["SessionChanged"]
    assert core_venue.do(CloseSession(origin(before))) == []
    refused = only(
        core_venue.do(StartEpoch(origin(before, epoch=2), "alice", (9, 0, 0), "late")), Refused
    )
    assert refused.reason is RejectReason.NOT_PERMITTED
    late = only(core_venue.do(ReserveNumbers(origin(before), 9_000, (9, 0, 0))), SessionHeld)
    assert (late.what, late.reserved, late.cursor) == ("refused", 0, (0, 0, 0))
    assert late.text == "fix:ALICE is held by another gateway"
    # The engine closes it without knowing of terms.
    assert kinds(core_venue.do(CloseSession(Origin(SOURCE)))) == ["SessionChanged"]


def test_S7_a_move_within_the_grace_period_cancels_nothing(core_venue: Venue) -> None:
    core_venue.do(DefineVenue(ENGINE, 3_600_000_000, 100, 20, DAY_US, 500))
    term = held_by(core_venue, "A")
    connect(core_venue, term, grace=5 * SECOND)
    core_venue.buy("alice", 1, 10, origin=origin(term, 2))
    core_venue.do(CloseSession(Origin(SOURCE)))
    core_venue.tick(3 * SECOND)
    term = held_by(core_venue, "B")
    connect(core_venue, term, grace=5 * SECOND)
    assert all_of(core_venue.tick(60 * SECOND), OrderCanceled) == []
    core_venue.do(CloseSession(Origin(SOURCE)))
    held_by(core_venue, "C")
    assert len(all_of(core_venue.tick(5 * SECOND), OrderCanceled)) == 1, "a take is no return"


def test_S7_a_session_without_numbers_is_kept_while_it_has_a_holder(core_venue: Venue) -> None:
    term = take(core_venue, "A").term
    core_venue.do(OpenSession(origin(term, epoch=0), "alice", CancelScope.SESSION, 0))
    core_venue.do(CloseSession(Origin(SOURCE)))
    assert take(core_venue, "A").term == term


def test_S8_numbers_are_reserved_and_never_given_back(core_venue: Venue) -> None:
    term = held_by(core_venue, "A")
    first = only(core_venue.do(ReserveNumbers(origin(term), 2_000, (7, 1, 0))), SessionHeld)
    assert (first.what, first.reserved, first.cursor) == ("reserved", 2_000, (7, 1, 0))
    lower = only(core_venue.do(ReserveNumbers(origin(term), 10, (6, 9, 9))), SessionHeld)
    assert (lower.reserved, lower.cursor) == (2_000, (7, 1, 0))
    moved = take(core_venue, "B")
    assert (moved.reserved, moved.cursor) == (2_000, (7, 1, 0))


def test_S8_a_new_epoch_begins_without_reserved_numbers(core_venue: Venue) -> None:
    term = held_by(core_venue, "A")
    core_venue.do(ReserveNumbers(origin(term), 2_000, (7, 1, 0)))
    core_venue.do(StartEpoch(origin(term, epoch=2), "alice", (8, 0, 0), "141=Y"))
    old = only(core_venue.do(ReserveNumbers(origin(term), 3_000, (9, 0, 0))), SessionHeld)
    assert (old.what, old.text) == ("refused", "fix:ALICE is in epoch 2")
    taken = take(core_venue, "A")
    assert (taken.epoch, taken.reserved, taken.cursor) == (2, 0, (8, 0, 0))


def test_S8_only_a_number_is_reserved(core_venue: Venue) -> None:
    term = held_by(core_venue, "A")
    for wrong in (-1, 2**63):
        refused = only(core_venue.do(ReserveNumbers(origin(term), wrong, (0, 0, 0))), SessionHeld)
        assert refused.what == "refused"


def test_S7_S8_an_export_has_the_holder_and_its_numbers(core_venue: Venue) -> None:
    term = held_by(core_venue, "A")
    before = core_venue.exchange.state_hash()  # type: ignore[attr-defined]
    core_venue.do(ReserveNumbers(origin(term), 2_000, (7, 1, 0)))
    exchange = core_venue.exchange
    assert exchange.state_hash() != before  # type: ignore[attr-defined]
    restored = type(new_exchange()).restore(exchange.export_state())  # type: ignore[attr-defined]
    assert restored.state_hash() == exchange.state_hash()  # type: ignore[attr-defined]
    row = restored.sessions[SOURCE].row()
    assert (row.holder, row.term, row.reserved, row.cursor) == ("A", 1, 2_000, (7, 1, 0))
