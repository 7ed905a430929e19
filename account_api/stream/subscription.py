"""A private subscription: it sends a replay or a snapshot, then goes live without a gap."""

from __future__ import annotations

from collections import deque

from account_api.stream.catalogue import LiveCatalogue
from account_api.stream.messages import envelope, text_of
from account_api.stream.peer import CLOSE_SLOW, Peer
from account_api.stream.private_channels import AccountEvent, channels_of, data_of


class Rendered:
    """An event whose data is encoded at most once for each channel, for all subscribers."""

    __slots__ = ("_catalogue", "_data", "channels", "account_event")

    def __init__(self, account_event: AccountEvent, catalogue: LiveCatalogue) -> None:
        self.account_event = account_event
        self.channels = channels_of(account_event)
        self._catalogue = catalogue
        self._data: dict[str, str] = {}

    def data(self, channel: str) -> str:
        """Return the data of a channel as JSON text."""
        found = self._data.get(channel)
        if found is None:
            found = text_of(data_of(channel, self.account_event, self._catalogue))
            self._data[channel] = found
        return found


class PrivateSubscription:
    """Some private channels of one account for one peer.

    While it loads, new events are kept in a backlog, which ``go_live`` sends first. Events at or
    below ``position`` have already been sent or are part of the snapshot.
    """

    def __init__(
        self, peer: Peer, account: str, channels: frozenset[str], epoch: str, backlog_max: int
    ) -> None:
        self.peer = peer
        self.account = account
        self.channels = channels
        self.position = 0
        self._epoch = epoch
        self._backlog_max = backlog_max
        self._backlog: deque[Rendered] | None = deque()
        self._previous: dict[str, int] = {}

    def start_after(self, account_seq: int) -> None:
        """Start after ``account_seq``, up to which the client is about to have everything."""
        self.position = account_seq
        self._previous = dict.fromkeys(self.channels, account_seq)

    def push(self, rendered: Rendered) -> None:
        """Send an event, or keep it until the subscription is live."""
        if self._backlog is None:
            for _, text in self._messages(rendered):
                self.peer.write(text)
        elif len(self._backlog) < self._backlog_max:
            self._backlog.append(rendered)
        else:
            self.peer.fail(CLOSE_SLOW, "too slow: events wait while an earlier part is read")

    def _messages(self, rendered: Rendered) -> list[tuple[str, str]]:
        """Render the (channel, message) pairs of an event for this subscription."""
        account_event = rendered.account_event
        if account_event.seq <= self.position:
            return []
        self.position = account_event.seq
        found = []
        for channel in rendered.channels:
            if channel in self.channels:
                text = envelope(
                    channel, self._epoch, "update", account_event.seq,
                    self._previous[channel], account_event.as_of_seq, account_event.time_us,
                    rendered.data(channel), self.account,
                )  # fmt: skip
                found.append((channel, text))
                self._previous[channel] = account_event.seq
        return found

    async def send(self, rendered: Rendered) -> None:
        """Send the messages of an event at the peer's pace, while its channels are subscribed."""
        for channel, text in self._messages(rendered):
            # An unsubscribe may have been answered while the previous message was being sent.
            if channel in self.channels:
                await self.peer.send(text)

    async def go_live(self) -> None:
        """Send the backlog at the peer's pace; from then on events are written at once."""
        while self._backlog and not self.peer.closing:
            await self.send(self._backlog.popleft())
        self._backlog = None
