"""The actions of the certifier on a session under test: the verbs of ``do`` in scenarios."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from certification.attempt import CaseFailure
from certification.fix.attempt import Attempt, Verb
from certification.fix.wire import Message, changed, exact_time_text, now, type_name
from certification.scenarios.scenario import Step
from certification.scenarios.values import ValueFault

QUIET_S: Final = 0.3
CLOSE_S: Final = 10.0
_CLOSING: Final = frozenset({"F", "q"})


def _message(attempt: Attempt, name: str) -> Message:
    thing = attempt.memory.named.get(name)
    if not isinstance(thing, Message):
        raise ValueFault(f"nothing is called {name}")
    return thing


def _fields(attempt: Attempt, step: Step) -> dict[int, str]:
    return {int(tag): attempt.memory.value(text) for tag, text in step.fields.items()}


async def _refuse(attempt: Attempt, step: Step) -> None:
    """Close the next connections without a message."""
    attempt.session(step).refusals = step.times


async def _cut(attempt: Attempt, step: Step) -> None:
    """Abort the client's connection."""
    attempt.session(step).cut(keep_venue=step.keep)


async def _cut_venue(attempt: Attempt, step: Step) -> None:
    """Close the connection to the venue, too."""
    await attempt.session(step).cut_venue()


async def _missed(attempt: Attempt, step: Step) -> None:
    """Wait until the venue has sent a matching message after the connection was cut."""
    session, wanted = attempt.session(step), _fields(attempt, step)
    async with asyncio.timeout(attempt.stage.venue_s):
        while not any(_has(message, wanted) for message in session.missed):
            session.missing.clear()
            await session.missing.wait()


def _has(message: Message, wanted: Mapping[int, str]) -> bool:
    return all(message.get(tag) == value for tag, value in wanted.items())


async def _hole(attempt: Attempt, step: Step) -> None:
    """Use a sequence number without sending a message."""
    message = attempt.session(step).hole()
    if step.name:
        attempt.memory.named[step.name] = message


async def _drop(attempt: Attempt, step: Step) -> None:
    """Drop the venue's next message with these fields."""
    attempt.session(step).drops.append(_fields(attempt, step))


async def _send(attempt: Attempt, step: Step) -> None:
    """Send the client a message; one with MsgSeqNum(34) does not use the next number."""
    session = attempt.session(step)
    fields = _fields(attempt, step)
    if 34 in fields:
        message = session.composed(fields)
        session.put(message)
    else:
        message = session.add(fields)
    if step.name:
        attempt.memory.named[step.name] = message


async def _again(attempt: Attempt, step: Step) -> None:
    """Resend a message under its number, with PossDupFlag(43)=Y."""
    old = _message(attempt, step.again)
    moment = exact_time_text(now())
    attempt.session(step).put(Message(changed(old, {43: "Y", 122: old[52], 52: moment})))


async def _resend(attempt: Attempt, step: Step) -> None:
    """Resend a message under a new number, with PossResend(97)=Y, as after a crash."""
    old = _message(attempt, step.again)
    session = attempt.session(step)
    number = str(session.add_number())
    moment = exact_time_text(now())
    values: Mapping[int, str | None] = {34: number, 97: "Y", 122: old[52], 52: moment}
    session.put(Message(changed(old, values)))


async def _garble(attempt: Attempt, step: Step) -> None:
    """Send a message with a wrong CheckSum(10), under the next number."""
    session = attempt.session(step)
    values: dict[int, str | None] = {34: str(session.numbering.next_visible)}
    values |= _fields(attempt, step)
    session.put_garbled(Message(changed(_message(attempt, step.again), values)))


async def _silence(attempt: Attempt, step: Step) -> None:
    """Hold the venue's messages until ``speak``."""
    attempt.session(step).speaking.clear()
    attempt.transcript.note("the venue is silent from here on")


async def _speak(attempt: Attempt, step: Step) -> None:
    attempt.session(step).speak()
    attempt.transcript.note("the venue speaks again")


async def _calm(attempt: Attempt, step: Step) -> None:
    """Hold the venue's messages from its first TestRequest on, until ``speak``."""
    attempt.session(step).calm = True


async def _closed(attempt: Attempt, step: Step) -> None:
    """Wait until the client's connection ends."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await attempt.session(step).gone.wait()
    except TimeoutError:
        raise CaseFailure(f"The connection was not closed. {step.why}") from None


async def _clock(attempt: Attempt, step: Step) -> None:
    """Check that the last SendingTime(52) of the client was right within ``times`` seconds."""
    held = attempt.last
    if held is None:
        raise ValueFault("no message of the client came before")
    if held.skew_s is None:
        raise CaseFailure(f"SendingTime(52) {held.message.get(52)!r} is no UTCTimestamp.")
    if abs(held.skew_s) > step.times:
        way = "ahead of" if held.skew_s > 0 else "behind"
        raise CaseFailure(
            f"{step.why} {held.message.get(52)} is {abs(held.skew_s):.1f} s {way} our clock."
        )


async def _pause(attempt: Attempt, step: Step) -> None:
    """Check that the client waited at least ``times`` ms after its last refusal."""
    waited_ms = attempt.session(step).logon_pause_s * 1000
    if waited_ms < step.times:
        raise CaseFailure(f"The client came back {waited_ms:.0f} ms after a refusal. {step.why}")


async def _online(attempt: Attempt, step: Step) -> None:
    """Check that a session of the client is logged on."""
    session = attempt.session(step)
    if not session.live:
        raise CaseFailure(f"{session.comp_id} is not logged on. {step.why}")


async def _flat(attempt: Attempt, step: Step) -> None:
    """Wait until the client has no open order, however it closes them."""
    queue = attempt.inboxes[step.session].client

    def closed() -> bool | None:
        while queue:
            held = queue.popleft()
            held.release()
            if not attempt.ignored(held.message) and held.message.type not in _CLOSING:
                raise CaseFailure(f"{held.message!r} came. {step.why}")
        return True if not attempt.open_orders else None

    await attempt.wait_for_step(step, attempt.stage.patience_s, closed)


async def _quiet(attempt: Attempt, step: Step) -> None:
    """Wait QUIET_S for a message that no step expects, which then fails the case."""
    await asyncio.sleep(QUIET_S)


async def _still(attempt: Attempt, step: Step) -> None:
    """Check that the client has nothing to say yet."""
    await asyncio.sleep(QUIET_S)
    for held in attempt.inboxes[step.session].client:
        if not attempt.ignored(held.message):
            attempt.offending = held
            raise CaseFailure(f"{type_name(held.message.type)} came too early. {step.why}")


VERBS: Final[Mapping[str, Verb]] = {
    "refuse": _refuse, "cut": _cut, "cut_venue": _cut_venue, "hole": _hole,
    "missed": _missed, "drop": _drop,
    "send": _send, "again": _again, "resend": _resend, "garble": _garble, "silence": _silence,
    "speak": _speak, "calm": _calm, "closed": _closed, "clock": _clock, "pause": _pause,
    "online": _online, "flat": _flat, "quiet": _quiet, "still": _still,
}  # fmt: skip
