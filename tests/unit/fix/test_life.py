"""The table of a FIX session's life: every phase with every event, and walks through all of it."""

from __future__ import annotations

import ast
import itertools
import threading
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fix_gateway.session import life
from fix_gateway.session.life import (
    PROGRESS,
    TABLE,
    Action,
    Event,
    Hold,
    Holds,
    Life,
    OutOfOrder,
    Phase,
    Progress,
    Step,
)

FREE, CLAIMED, ENTERING, LIVE, RESETTING = Phase
ROOT = Path(life.__file__).parent.parent
OURS = (
    Event.CLAIM, Event.START, Event.PREPARE, Event.HAND_OVER, Event.GIVE_BACK,
    Event.RESET_BEGINS, Event.RESET_DONE, Event.HELD,
)  # fmt: skip
"""Steps of our own; every other event comes from outside."""

# The same table written from the rules in the docstrings, not from the code: by event, the phase
# that follows each phase in the order FREE, CLAIMED, ENTERING, LIVE, RESETTING; None is refused.
Follows = Phase | None
PHASES: dict[Event, tuple[Follows, Follows, Follows, Follows, Follows]] = {
    Event.CLAIM: (CLAIMED, None, None, None, None),
    Event.START: (FREE, None, None, None, None),
    Event.PREPARE: (None, CLAIMED, None, None, None),
    Event.HAND_OVER: (None, ENTERING, None, None, None),
    Event.GIVE_BACK: (None, FREE, FREE, None, None),
    Event.RESET_BEGINS: (None, CLAIMED, None, None, None),
    Event.RESET_DONE: (None, CLAIMED, None, None, None),
    Event.LOGGED_ON: (FREE, CLAIMED, LIVE, LIVE, RESETTING),
    Event.RESET_ASKED: (FREE, CLAIMED, ENTERING, RESETTING, RESETTING),
    Event.LOGOUT_READ: (FREE, CLAIMED, ENTERING, LIVE, RESETTING),
    Event.LOGGED_OUT: (FREE, CLAIMED, FREE, FREE, CLAIMED),
    Event.DISCONNECTED: (FREE, CLAIMED, FREE, LIVE, RESETTING),
    Event.UNREAD_LIMIT: (FREE, CLAIMED, ENTERING, LIVE, RESETTING),
    Event.READ: (FREE, CLAIMED, ENTERING, LIVE, RESETTING),
    Event.STORE_FAILED: (FREE, CLAIMED, ENTERING, LIVE, RESETTING),
    Event.STORE_REOPENED: (FREE, CLAIMED, ENTERING, LIVE, RESETTING),
    Event.ELSEWHERE: (FREE, CLAIMED, ENTERING, LIVE, RESETTING),
    Event.HELD: (None, CLAIMED, None, None, None),
}
HELD: dict[Event, Holds] = {
    Event.PREPARE: frozenset({Hold.LOGON}),
    Event.HAND_OVER: frozenset({Hold.LOGON}),
    Event.RESET_BEGINS: frozenset({Hold.RESET}),
    Event.STORE_FAILED: frozenset({Hold.STORE}),
    Event.START: frozenset({Hold.AWAY}),
    Event.LOGOUT_READ: frozenset({Hold.AWAY}),
    Event.LOGGED_OUT: frozenset({Hold.AWAY}),
    Event.ELSEWHERE: frozenset({Hold.ELSEWHERE}),
}
"""What an event adds in whatever phase it is allowed, beside UNREAD_LIMIT."""


class Cord:
    """A connection."""


def at(phase: Phase, holds: Holds, *, resets: bool) -> Life[Cord]:
    """A session in this phase with these holds, however it came there."""
    session: Life[Cord] = Life(resets)
    session.phase, session.holds = phase, holds
    if phase is not FREE:
        session.connection = Cord()
        session.free.clear()
    if phase in (CLAIMED, ENTERING, RESETTING):
        session.settled.clear()
    return session


def bring(session: Life[Cord], event: Event) -> tuple[Action, ...]:
    """Let an event happen. Raises OutOfOrder."""
    if event is Event.CLAIM:
        if not session.claim(Cord()):
            raise OutOfOrder("claimed already")
        return ()
    return session.handle(event).does


def seen(session: Life[Cord]) -> tuple[object, ...]:
    return (
        session.phase, session.holds, session.connection, session.free.is_set(),
        session.settled.is_set(), session.progress,
    )  # fmt: skip


def check(session: Life[Cord]) -> None:
    """What holds of every session at any time."""
    phase, holds = session.phase, session.holds
    assert (session.connection is None) == (phase is FREE), "who has a session has a connection"
    assert session.free.is_set() == (phase is FREE)
    assert session.settled.is_set() == (phase in (FREE, LIVE))
    if phase in (ENTERING, RESETTING):
        assert Hold.LOGON in holds, "nothing is sent while a Logon is judged or answered"
    if phase in (FREE, LIVE):
        assert not holds & {Hold.LOGON, Hold.RESET}, "these end with the claim"
    if phase is not LIVE:
        assert Hold.UNREAD not in holds, "who is not there leaves nothing unread"
        if session.resets_on_logon:
            assert Hold.AWAY in holds, "what is sent would be dropped"
    if not session.resets_on_logon:
        assert Hold.AWAY not in holds, "the reports wait in the store"


def every_subset() -> list[Holds]:
    sizes = range(len(Hold) + 1)
    return [frozenset(c) for n in sizes for c in itertools.combinations(Hold, n)]


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("phase", Phase)
def test_every_phase_with_every_event(phase: Phase, event: Event) -> None:
    follows = PHASES[event][list(Phase).index(phase)]
    for holds, resets in itertools.product(every_subset(), (False, True)):
        session = at(phase, holds, resets=resets)
        before = seen(session)
        if follows is None:
            with pytest.raises(OutOfOrder):
                bring(session, event)
            assert seen(session) == before, "what is refused changes nothing"
            continue
        bring(session, event)
        assert session.phase is follows
        added = session.holds - holds
        dropped = holds - session.holds
        allowed = HELD.get(event, frozenset())
        if event is Event.UNREAD_LIMIT and phase is LIVE:
            allowed = frozenset({Hold.UNREAD})
        if event is Event.RESET_ASKED and phase is LIVE:
            allowed = frozenset({Hold.LOGON, Hold.AWAY})
        assert added == (allowed if resets else allowed - {Hold.AWAY}) - holds
        for hold in dropped:
            assert event in {
                Hold.AWAY: {Event.LOGGED_ON},
                Hold.LOGON: {
                    Event.LOGGED_ON, Event.LOGGED_OUT, Event.DISCONNECTED, Event.GIVE_BACK,
                },
                Hold.RESET: {Event.RESET_DONE, Event.GIVE_BACK},
                Hold.STORE: {Event.STORE_REOPENED},
                Hold.UNREAD: {Event.READ, Event.LOGGED_OUT, Event.RESET_ASKED},
                Hold.ELSEWHERE: {Event.HELD},
            }[hold]  # fmt: skip
        assert session.free.is_set() == (session.phase is FREE)
        assert session.settled.is_set() == (session.phase in (FREE, LIVE))


def test_what_comes_from_outside_is_refused_in_no_phase() -> None:
    missing = {(p, e) for p in Phase for e in Event if e not in OURS} - set(TABLE)
    assert not missing


def test_a_hold_that_goes_has_delivery_go_on() -> None:
    for (phase, event), move in TABLE.items():
        if move.drops:
            assert Action.RESUME in move.does, f"{event.name} in {phase.name}"


def test_the_engine_hears_of_every_logon_and_every_end() -> None:
    for phase in Phase:
        assert Action.OPEN in TABLE[phase, Event.LOGGED_ON].does
        resets = phase is RESETTING  # The client stays.
        assert (Action.CLOSE in TABLE[phase, Event.LOGGED_OUT].does) is not resets
    others = [m.does for (_, e), m in TABLE.items() if e not in (Event.LOGGED_ON, Event.LOGGED_OUT)]
    assert not any({Action.OPEN, Action.CLOSE} & set(does) for does in others)


@given(resets=st.booleans(), events=st.lists(st.sampled_from(Event), max_size=60))
def test_who_was_there_for_the_engine_is_gone_for_it_when_nobody_has_the_session(
    resets: bool, events: list[Event]
) -> None:
    """Else orders would stay that cancel on disconnect should take, whatever ended a reset."""
    session: Life[Cord] = Life(resets)
    told = False
    for event in events:
        if not legal(session, event):
            continue
        before = session.phase
        try:
            does = bring(session, event)
        except OutOfOrder:
            continue
        told = (told or Action.OPEN in does) and Action.CLOSE not in does
        if session.phase is FREE and before is not FREE:
            assert not told, f"{event.name} in {before.name}"


def test_a_reset_within_a_session_is_neither_an_end_nor_a_chance_for_another_client() -> None:
    session: Life[Cord] = Life()
    mine = Cord()
    assert session.claim(mine)
    for event in (Event.PREPARE, Event.HAND_OVER, Event.LOGGED_ON):
        session.handle(event)
    walk = (
        (Event.RESET_ASKED, RESETTING), (Event.LOGGED_OUT, CLAIMED), (Event.PREPARE, CLAIMED),
        (Event.RESET_BEGINS, CLAIMED), (Event.RESET_DONE, CLAIMED), (Event.HAND_OVER, ENTERING),
        (Event.LOGGED_ON, LIVE),
    )  # fmt: skip
    for event, follows in walk:
        move = session.handle(event)
        assert Action.CLOSE not in move.does
        assert (session.phase, session.connection) == (follows, mine)
        assert bool(session.holds) is (follows is not LIVE), "nothing is delivered meanwhile"
        assert not session.claim(Cord())
    session.handle(Event.RESET_ASKED)
    session.handle(Event.LOGGED_OUT)
    assert session.handle(Event.GIVE_BACK, mine).does[0] is Action.CLOSE, "refused: it has gone"


def test_a_lost_store_or_session_ends_whatever_connection_there_is() -> None:
    cuts = {key for key, move in TABLE.items() if Action.CUT in move.does}
    there = (CLAIMED, ENTERING, LIVE, RESETTING)
    events = (Event.STORE_FAILED, Event.ELSEWHERE)
    assert cuts == {(phase, event) for phase in there for event in events}


def legal(session: Life[Cord], event: Event) -> bool:
    """Whether our own threads bring this event here: a reset is done before anything else."""
    return Hold.RESET not in session.holds or event not in (Event.HAND_OVER, Event.GIVE_BACK)


@given(resets=st.booleans(), events=st.lists(st.sampled_from(Event), max_size=60))
def test_walks_keep_the_invariants(resets: bool, events: list[Event]) -> None:
    session: Life[Cord] = Life(resets)
    session.handle(Event.START)
    check(session)
    for event in events:
        if not legal(session, event):
            continue
        before = seen(session)
        try:
            bring(session, event)
        except OutOfOrder:
            assert seen(session) == before and event in OURS
        check(session)


def reachable(resets: bool) -> dict[tuple[Phase, Holds], set[tuple[Phase, Holds]]]:
    """Every state that a session can come into, with those that follow each."""
    start: Life[Cord] = Life(resets)
    start.handle(Event.START)
    follows: dict[tuple[Phase, Holds], set[tuple[Phase, Holds]]] = {}
    waiting = deque([(start.phase, start.holds)])
    while waiting:
        state = waiting.popleft()
        if state in follows:
            continue
        follows[state] = set()
        for event in Event:
            session = at(*state, resets=resets)
            if not legal(session, event):
                continue
            try:
                bring(session, event)
            except OutOfOrder:
                continue
            check(session)
            follows[state].add((session.phase, session.holds))
            waiting.append((session.phase, session.holds))
    return follows


@pytest.mark.parametrize("resets", [False, True])
def test_every_state_leads_to_a_live_session_without_a_restart(resets: bool) -> None:
    follows = reachable(resets)
    assert len(follows) > 10
    good = {(LIVE, frozenset())}
    while True:
        more = {state for state, after in follows.items() if after & good} - good
        if not more:
            break
        good |= more
    assert good == set(follows)


def test_what_quickfix_says_of_the_last_connection_does_not_touch_a_claim() -> None:
    """Else a client that returns at once would be live without a connection that can be cut."""
    session: Life[Cord] = Life()
    mine = Cord()
    assert session.claim(mine)
    session.handle(Event.PREPARE)
    assert session.handle(Event.LOGGED_ON).does == (Action.OPEN,)
    assert session.handle(Event.LOGGED_OUT).does == (Action.CLOSE,)
    assert (session.phase, session.connection, session.holds) == (CLAIMED, mine, {Hold.LOGON})
    session.handle(Event.HAND_OVER)
    session.handle(Event.LOGGED_ON)
    assert (session.phase, session.connection, session.holds) == (LIVE, mine, frozenset())


def test_an_event_of_another_connection_is_too_late() -> None:
    session: Life[Cord] = Life()
    first, second = Cord(), Cord()
    assert session.claim(first)
    session.handle(Event.GIVE_BACK, first)
    assert session.claim(second) and not session.claim(first)
    session.handle(Event.PREPARE)
    session.handle(Event.HAND_OVER)
    before = seen(session)
    for late in (Event.DISCONNECTED, Event.GIVE_BACK):
        assert session.handle(late, first).does == ()
        assert seen(session) == before
    session.handle(Event.DISCONNECTED, second)
    assert session.phase is FREE


def test_one_of_many_threads_claims_a_session() -> None:
    session: Life[Cord] = Life()
    won: list[bool] = []
    together = threading.Barrier(8)

    def claim() -> None:
        together.wait()
        won.append(session.claim(Cord()))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("progress", Progress)
def test_every_progress_with_every_step(progress: Progress, step: Step) -> None:
    follows = {
        Step.STOP: {
            Progress.IN_STEP: Progress.BEHIND,
            Progress.BEHIND: Progress.BEHIND,
            Progress.LAGGING: Progress.LAGGING,
        },
        Step.OVERFLOW: {Progress.BEHIND: Progress.LAGGING},
        Step.CATCH_UP: {
            Progress.BEHIND: Progress.IN_STEP,
            Progress.LAGGING: Progress.IN_STEP,
        },
    }[step].get(progress)
    session: Life[Cord] = Life()
    session.progress = progress
    assert PROGRESS.get((progress, step)) is follows
    if follows is None:
        with pytest.raises(OutOfOrder):
            session.advance(step)
        assert session.progress is progress
    else:
        session.advance(step)
        assert session.progress is follows


def strays(text: str) -> list[int]:
    """The lines of a source that change a session's life past its table."""
    attributes = {"phase", "holds", "progress", "connection"}
    events = {"free", "settled"}
    lines = []
    for node in ast.walk(ast.parse(text)):
        changed = isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
        if changed and node.attr in attributes | events:  # type: ignore[attr-defined]
            lines.append(node.lineno)  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            on, named = node.func, [a.value for a in node.args if isinstance(a, ast.Constant)]
            if isinstance(on, ast.Name) and on.id == "setattr" and attributes & set(named):
                lines.append(node.lineno)
            if isinstance(on, ast.Attribute) and on.attr in ("set", "clear"):
                if isinstance(on.value, ast.Attribute) and on.value.attr in events:
                    lines.append(node.lineno)
    return lines


def test_the_style_test_sees_every_way_past_the_table() -> None:
    ways = (
        "s.life.phase = 1", "s.holds |= {1}", "s.life.progress: int = 1", "del s.phase",
        "a, s.life.holds = 1, 2", "setattr(s, 'phase', 1)", "s.life.free.set()",
        "s.settled.clear()", "s.connection = None",
    )  # fmt: skip
    for way in ways:
        assert strays(way) == [1], way
    assert strays("x = s.phase; s.other.set(); s.life.free.wait(1)") == []


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.name)
def test_nothing_changes_a_session_past_the_table(path: Path) -> None:
    if path != Path(life.__file__):
        assert strays(path.read_text(encoding="utf-8")) == []
