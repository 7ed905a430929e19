"""The private channels of a stream: every event once and in order, across connections.

All channels of an account share its contiguous sequence. A connection that is lost in the middle of
an event's messages is resumed from that event, and what was yielded of it is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tandem_client.messages import Frame, Gap, StreamItem, private_message, read

Wanted = tuple[str | None, frozenset[str], int | None]
"""Account as it was named, channels, and the event to begin with."""


@dataclass(slots=True)
class Position:
    """Where one channel is. ``last`` was yielded; ``link`` is the next message's prev_seq."""

    begun: bool = False
    last: int = 0
    link: int = 0
    waits: bool = False
    """An answer to a subscribe must come first."""


@dataclass(slots=True)
class Subscription:
    """The channels of one account; ``name`` is the account's own once the venue has said it."""

    account: str | None
    from_seq: int | None = None
    name: str = ""
    channels: dict[str, Position] = field(default_factory=dict)
    beaten: int = 0
    """What the last heartbeat said, if it was ahead of what had come."""

    @property
    def newest(self) -> int:
        """The last event of which anything was yielded."""
        return max((one.last for one in self.channels.values() if one.begun), default=0)


class Private:
    """All private subscriptions of a stream."""

    def __init__(self) -> None:
        self._subscriptions: dict[str | None, Subscription] = {}
        self._broken: list[Wanted] = []
        self._epoch = ""

    def want(self, account: str | None, channels: Iterable[str], from_seq: int | None) -> None:
        """Remember what is subscribed."""
        known = self._subscriptions.setdefault(account, Subscription(account))
        known.from_seq = from_seq
        for channel in channels:
            known.channels[channel] = Position(waits=True)

    def forget(self, account: str | None, channels: Iterable[str]) -> None:
        """Forget what is unsubscribed."""
        known = self._subscriptions.get(account)
        if known is None:
            return
        for channel in channels:
            known.channels.pop(channel, None)
        if not known.channels:
            del self._subscriptions[account]

    def resumed(self) -> Iterator[Wanted]:
        """Yield what to subscribe on a new connection."""
        for one in self._subscriptions.values():
            yield from self._again(one)

    def _again(self, one: Subscription) -> Iterator[Wanted]:
        begun = frozenset(name for name, place in one.channels.items() if place.begun)
        fresh = frozenset(one.channels) - begun
        if begun:
            yield one.account, begun, max(1, one.newest)
        if fresh:
            yield one.account, fresh, one.from_seq
        for place in one.channels.values():
            place.waits = True

    def lost(self) -> None:
        """The connection ended."""
        for one in self._subscriptions.values():
            one.beaten = 0
            for place in one.channels.values():
                place.waits = True

    def take_broken(self) -> list[Wanted]:
        """Return what must be subscribed anew, once."""
        found, self._broken = self._broken, []
        return found

    def begun(self, account: str | None, frame: Frame) -> list[StreamItem]:
        """Take the answer to a subscribe."""
        known = self._subscriptions.get(account)
        answer = (read(frame.data, dict[str, Any]) or {}).get("private")
        if known is None or answer is None:
            return []
        known.name = answer["account"]
        places = {
            name: known.channels[name] for name in answer["channels"] if name in known.channels
        }
        for place in places.values():
            place.waits = False
            if not answer["resumed"]:
                place.begun = False
                continue
            place.link = answer["from_seq"] - 1
            if not place.begun:
                place.begun, place.last = True, place.link
        if answer["resumed"] or answer["reason"] == "no_from_seq":
            return []
        return [Gap(tuple(sorted(places)), known.name, "", answer["reason"])]

    def received(self, frame: Frame) -> list[StreamItem]:
        """Take a message of a private channel."""
        found = self._changed_epoch(frame.epoch)
        known = self._named(frame.account)
        place = known.channels.get(frame.channel) if known is not None else None
        if known is None or place is None or place.waits:
            return found
        if frame.type == "snapshot":
            if not place.begun:
                place.begun, place.last, place.link = True, frame.seq, frame.seq
            return [*found, private_message(frame)]
        if not place.begun:
            return found
        if frame.prev_seq != place.link:
            self._broken += self._again(known)
            return found
        place.link = frame.seq
        if frame.seq <= place.last:
            return found  # It was yielded before the connection was lost.
        place.last = frame.seq
        return [*found, private_message(frame)]

    def beat(self, epoch: str, accounts: Mapping[str, int]) -> list[StreamItem]:
        """Compare with a heartbeat: twice behind without a message between means a loss."""
        found = self._changed_epoch(epoch)
        for account, seq in accounts.items():
            known = self._named(account)
            # Only these two channels together have every event.
            if known is None or not {"orders", "transfers"} <= set(known.channels):
                continue
            idle = any(place.waits or not place.begun for place in known.channels.values())
            if idle or seq <= known.newest:
                known.beaten = 0
            elif known.beaten and known.beaten > known.newest:
                known.beaten = 0
                self._broken += self._again(known)
            else:
                known.beaten = seq
        return found

    def _named(self, account: str) -> Subscription | None:
        for one in self._subscriptions.values():
            if one.name == account:
                return one
        return None

    def _changed_epoch(self, epoch: str) -> list[StreamItem]:
        """Begin anew where the journal is another one: its sequences are not comparable."""
        before, self._epoch = self._epoch, epoch
        if not before or before == epoch:
            return []
        found: list[StreamItem] = []
        for one in self._subscriptions.values():
            begun = [name for name, place in one.channels.items() if place.begun]
            if not begun:
                continue
            for name in begun:
                one.channels[name] = Position(waits=True)
            self._broken.append((one.account, frozenset(begun), None))
            found.append(Gap(tuple(sorted(begun)), one.name, "", "new_epoch"))
        return found
