"""Check whether a message matches a step, and explain to the client why it does not."""

from __future__ import annotations

from collections.abc import Mapping

from certification.attempt import CaseFailure
from certification.fix.wire import Message, tag_name, type_name
from certification.scenarios.scenario import Step
from certification.scenarios.values import Memory, shown

_OPTIONAL_TEXT = {"8", "9", "r", "N", "UC", "j", "3", "5"}


def check(step: Step, message: Message, memory: Memory) -> None:
    """Store the message under the step's name if it matches. Raises CaseFailure if it does not."""
    wanted_types = (step.client or step.venue).split("|")
    if message.type not in wanted_types:
        raise CaseFailure(unexpected(step, message))
    for key, pattern in step.fields.items():
        value = message.look_up(key)
        wanted = memory.wanted(pattern, value)
        if wanted:
            raise CaseFailure(_wrong(step, message, key, value, wanted))
    if step.entries:
        _check_entries(step, message, memory)
    if step.name:
        memory.named[step.name] = message


def _check_entries(step: Step, message: Message, memory: Memory) -> None:
    first = int(next(iter(step.entries[0])))
    found = message.entries(int(step.group), first)
    for number, wanted_fields in enumerate(step.entries):
        entry: Mapping[int, str] = found[number] if number < len(found) else {}
        for key, pattern in wanted_fields.items():
            wanted = memory.wanted(pattern, entry.get(int(key)))
            if wanted:
                raise CaseFailure(
                    f"{type_name(message.type)}, entry {number + 1}: {tag_name(int(key))} is "
                    f"{shown(entry.get(int(key)))}, expected {wanted}."
                )


def _wrong(step: Step, message: Message, tag: str, value: str | None, wanted: str) -> str:
    text = f"{type_name(message.type)}: {tag_name(int(tag))} is {shown(value)}, expected {wanted}."
    return _sentences(text, step.explain.get(tag, "") or step.why, _says(message))


def unexpected(step: Step, message: Message) -> str:
    """Return the sentence for a message that came in place of the expected one."""
    names = " or ".join(type_name(name) for name in (step.client or step.venue).split("|"))
    return _sentences(
        f"{type_name(message.type)} came where {names} was expected.", step.why, _says(message)
    )


def cause(message: Message) -> str:
    """Return what a rejection says whatever the case: which message, and the reason; else ""."""
    rejected = message.get(372)
    if message.type not in ("3", "j") or not rejected:
        return ""
    tag = message.get(371)
    where = f" for {tag_name(int(tag))}" if tag.isdigit() else ""
    text = f": {message.get(58)}" if message.get(58) else ""
    return f"{type_name(rejected)} is answered with {type_name(message.type)}{where}{text}"


def missing(step: Step, seconds: float, closed: bool = False) -> str:
    """Return the sentence for an expected message that did not come."""
    what = step.client or step.venue
    names = what if step.http else " or ".join(type_name(name) for name in what.split("|"))
    how = "the connection was closed" if closed else f"{seconds:.0f} s passed"
    return _sentences(f"{names} was expected and did not come: {how}.", step.why)


def _says(message: Message) -> str:
    """Return the reason that the message itself has in Text(58)."""
    if message.type in _OPTIONAL_TEXT and message.get(58):
        return f"Its Text(58): {message.get(58)}."
    return ""


def _sentences(*texts: str) -> str:
    return " ".join(text for text in texts if text)
