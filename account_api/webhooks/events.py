"""What happened, from the history, as the body of a delivery.

An event is named by its place in the venue's sequence of events, ``evt_<seq>_<index>``, which is
the same for every endpoint, attempt and repeat, also after the history was rebuilt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from account_api.schema.from_orders import fill_view
from account_api.schema.from_rows import deposit_view, instant_text, withdrawal_view
from account_api.webhooks.kinds import FILL, PING
from account_api.webhooks.store import Endpoint
from engine.core.instruments import Instrument
from engine.core.types import Deposit, Withdrawal
from engine.history import reader as history

if TYPE_CHECKING:
    import sqlalchemy

    from engine.history.rows import Notice

PAGE: Final = 100
"""Events that are read at once for one endpoint."""
_EVENT_ID: Final = re.compile(r"evt_([0-9]{1,18})_([0-9]{1,9})\Z")
_encoder: Final = msgspec.json.Encoder()
Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Event:
    """One event, ready to be signed and sent."""

    place: Place
    id: str
    type: str
    time_us: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Events of an endpoint, and up to which place they are all."""

    events: tuple[Event, ...]
    read_to: Place
    more: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What a rendering needs in order to write amounts as text."""

    scales: Mapping[str, int]
    instruments: Mapping[str, Instrument]


def event_id(place: Place) -> str:
    """Name the event at a place."""
    return f"evt_{place[0]}_{place[1]}"


def place_of(event: str) -> Place | None:
    """Return the place of the event with an id; None if it is no event's id."""
    found = _EVENT_ID.match(event)
    return None if found is None else (int(found[1]), int(found[2]))


def ping(endpoint: Endpoint, number: int, now_us: int) -> Event:
    """Make the event of a test."""
    return Event(
        (0, 0), f"ping_{number}", PING, now_us,
        _body(f"ping_{number}", PING, endpoint.account, now_us, None,
              {"webhook_id": endpoint.id, "name": endpoint.name}),
    )  # fmt: skip


class Source:
    """Reads events of the history. Thread-safe."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database
        self._listing: Listing | None = None

    def newest(self) -> tuple[int, int]:
        """Return the newest transaction and trade of the history."""
        with self._database.connect() as connection:
            return history.last_seq(connection), history.newest_trade(connection)

    def touched(self, after: tuple[int, int]) -> tuple[set[str], tuple[int, int]]:
        """Return the accounts to which something happened behind a transaction and a trade, and
        up to which transaction and trade these are all."""
        with self._database.connect() as connection:
            seq = history.last_seq(connection)
            if seq == after[0]:
                return set(), after
            trade = history.newest_trade(connection)
            return history.touched(connection, *after), (seq, trade)

    def page(
        self, endpoint: Endpoint, after: Place, until: Place | None = None, *, again: bool = False
    ) -> Page:
        """Return the endpoint's next events behind a place, up to ``until``.

        ``again``: those that it was sent before it chose their type, or before it was made, too.
        """
        chosen = endpoint.events
        with self._database.connect() as connection:
            accounts = [endpoint.account]
            if endpoint.firm_wide:
                accounts = history.firm_accounts(connection, endpoint.firm)
            fills_after: Place | None = None
            if FILL in chosen:
                fills_after = (0, 0) if again else (chosen[FILL], 1 << 62)
            rows = history.notices(
                connection, accounts, after=after, until=until, fills_after=fills_after,
                limit=PAGE,
            )  # fmt: skip
            listing = self._known(connection, rows)
        events = []
        for row in rows:
            kind = type_of(row)
            since = chosen.get(kind)
            if since is not None and (again or row.seq > since):
                events.append(_event(row, kind, listing))
        more = len(rows) == PAGE
        return Page(tuple(events), rows[-1].place if rows else after, more)

    def _known(self, connection: sqlalchemy.Connection, rows: list[Notice]) -> Listing:
        """Return assets and instruments, read again if the rows name one that is not known."""
        listing = self._listing
        if listing is None or not all(_renders(row, listing) for row in rows):
            listing = Listing(history.scales(connection), history.instruments(connection))
            self._listing = listing
        return listing


def type_of(row: Notice) -> str:
    """Return the type of an event."""
    about = row.about
    if isinstance(about, Withdrawal):
        return f"withdrawal.{about.state.name.lower()}"
    if isinstance(about, Deposit):
        if about.credited:
            return "deposit.credited"
        return "deposit.detected" if about.created_at == row.time_us else "deposit.confirming"
    return FILL


def _renders(row: Notice, listing: Listing) -> bool:
    about = row.about
    if isinstance(about, Withdrawal | Deposit):
        return about.asset in listing.scales
    return about.symbol in listing.instruments


def _event(row: Notice, kind: str, listing: Listing) -> Event:
    about = row.about
    data: msgspec.Struct
    if isinstance(about, Withdrawal):
        data = withdrawal_view(about, listing.scales[about.asset])
    elif isinstance(about, Deposit):
        data = deposit_view(about, listing.scales[about.asset])
    else:
        data = fill_view(about, listing)
    name = event_id(row.place)
    body = _body(name, kind, row.account, row.time_us, row.seq, data)
    return Event(row.place, name, kind, row.time_us, body)


def _body(
    name: str, kind: str, account: str, time_us: int, seq: int | None, data: Any
) -> bytes:
    return _encoder.encode(
        {
            "id": name,
            "type": kind,
            "timestamp": instant_text(time_us),
            "account": account,
            "seq": seq,
            "data": data,
        }
    )
