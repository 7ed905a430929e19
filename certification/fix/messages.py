"""Messages that the runner sends as a client: a scenario's fields and the defaults of the type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from certification.fix.wire import SOH, Pairs, in_order, now, time_text
from certification.scenarios.scenario import Step
from certification.scenarios.values import Memory, ValueFault

_ORDER: Final = (11, 55, 54, 60, 38, 40, 44, 59)
_NEEDED: Final[Mapping[str, tuple[int, ...]]] = {
    "D": _ORDER,
    "F": (11, 41, 55, 54, 60),
    "G": (11, 41, 55, 54, 60, 38, 40, 44),
    "H": (11, 55, 54),
    "q": (11, 530, 60),
    "AF": (584, 585),
    "UB": (60,),
}
"""Fields by MsgType that have a default, so that a scenario may omit them."""


@dataclass(slots=True)
class MessageBuilder:
    """Builds messages for one case. ``extra`` are fields that the venue requires, by MsgType."""

    case: str
    memory: Memory
    extra: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def new_id(self) -> str:
        """Return a new unique ClOrdID: case, run, number."""
        return f"{self.case}-{self.memory.parameters['run']}-{next(self._ids)}"

    def body(self, step: Step) -> Pairs:
        """Return the fields of a message, header fields first."""
        msg_type = step.client.split("|")[0]
        values: dict[int, str | None] = {
            tag: self._default(tag, {}) for tag in _NEEDED.get(msg_type, ())
        }
        for tag, text in self.extra.get(msg_type, {}).items():
            values[tag] = text
        for key, pattern in step.fields.items():
            if int(key) != 34:
                self._take(values, int(key), pattern)
        for key, pattern in step.send.items():
            self._take(values, int(key), pattern)
        self._of_the_order(msg_type, values)
        pairs = in_order({tag: value for tag, value in values.items() if value is not None})
        for entry in step.entries:
            pairs += self._entry(entry)
        return tuple(pairs)

    def _take(self, values: dict[int, str | None], tag: int, pattern: str) -> None:
        """Set a field to the value of ``pattern``, or to its default if that is only a bound."""
        try:
            values[tag] = self.memory.made(pattern)
        except ValueFault:
            if pattern[:1] not in ("*", "!", ">", "<", "^"):
                raise
            values.setdefault(tag, self._default(tag, values))

    def _default(self, tag: int, values: Mapping[int, str | None]) -> str | None:
        defaults: dict[int, str] = {
            40: "2", 44: self.memory.parameters["price"], 54: "1", 59: "1",
            55: self.memory.parameters["symbol"], 60: time_text(now()), 530: "7",
        }  # fmt: skip
        if tag == 11:
            return self.new_id()
        return defaults.get(tag)

    def _of_the_order(self, msg_type: str, values: dict[int, str | None]) -> None:
        """Fill in the fields that a cancel or replace repeats from its order."""
        if msg_type not in ("F", "G"):
            return
        orig = values.get(41)
        known = [n for n in self.memory.named.values() if n.look_up("11") == orig]
        if known and values.get(54) != known[0].look_up("54"):
            values[54] = known[0].look_up("54") or values.get(54)
        if msg_type == "G" and values.get(38) is None and known:
            values[38] = known[0].look_up("38")

    def _entry(self, entry: Mapping[str, str]) -> list[tuple[int, str]]:
        values: dict[int, str | None] = {}
        for key, pattern in entry.items():
            self._take(values, int(key), pattern)
        return [(tag, value) for tag, value in values.items() if value is not None]


def parse_fields(text: str) -> dict[int, str]:
    """Parse ``21=1|100=XNAS`` as fields. Raises ValueError."""
    fields = {}
    for part in text.replace(SOH, "|").split("|"):
        if part:
            tag, equals, value = part.partition("=")
            if not equals or not tag.isdigit() or not value:
                raise ValueError(f"{part!r} is not like 21=1")
            fields[int(tag)] = value
    return fields
