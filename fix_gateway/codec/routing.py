"""Committed transactions to FIX messages: who is told what. Pure; spec/FIX.md has the rules.

A session is told of an order that it entered, and of what it asked for itself. A session
with reports "firm" also gets the ExecutionReports of the firm's other orders, and drop copy
everything of the firm. A body is the same for all who get it; the fields of third-party routing
in the header are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from engine.core.events import (
    BatchDone,
    CancelRejected,
    Event,
    InstrumentStatusChanged,
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
    Refused,
    StatusReported,
)
from engine.core.instruments import Instrument
from fix_gateway.codec import execution_reports, list_reports
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.execution_reports import Committed, Frame, frame_of
from fix_gateway.codec.third_party import event_header, has_route


class OutMessage(NamedTuple):
    """A message for a session: its place (event, part) in the transaction, type and body.

    ``header`` are fields of the header, each ended by SOH.
    """

    event_index: int
    part: int
    msg_type: str
    body: str
    header: str = ""


_Builder = Callable[[Any, int, Frame], str]
_REPORTS: Final[dict[type[Event], _Builder]] = {
    OrderAccepted: execution_reports.accepted,
    OrderFilled: execution_reports.filled,
    OrderCanceled: execution_reports.canceled,
    OrderReplaced: execution_reports.replaced,
    OrderRestated: execution_reports.restated,
    OrderTriggered: execution_reports.triggered,
}
"""Events of an order's life: for its owner, and for whoever asked."""
_ANSWERS: Final[frozenset[type[Event]]] = frozenset(
    (OrderRejected, CancelRejected, StatusReported, MassCanceled, BatchDone, Refused)
)
"""Events that answer a request: for whoever asked."""


def _render(event: Event, index: int, frame: Frame) -> list[OutMessage]:
    """Return the messages of one event, for whomever they are."""
    builder = _REPORTS.get(type(event))
    if builder is not None:
        return [OutMessage(index, 0, "8", builder(event, index, frame))]
    if isinstance(event, OrderRejected):
        return [OutMessage(index, 0, "8", execution_reports.rejected(event, index, frame))]
    if isinstance(event, StatusReported):
        return [OutMessage(index, 0, "8", execution_reports.status_reported(event, index, frame))]
    if isinstance(event, CancelRejected):
        return [OutMessage(index, 0, "9", execution_reports.cancel_rejected(event, index, frame))]
    if isinstance(event, MassCanceled):
        if not event.complete:
            return []  # The report comes when it is true: with the last of the orders.
        parts = list_reports.mass_canceled(event, index, frame)
        return [OutMessage(index, part, "r", body) for part, body in enumerate(parts)]
    if isinstance(event, BatchDone):
        return [OutMessage(index, 0, *list_reports.batch_done(event, index, frame))]
    if isinstance(event, InstrumentStatusChanged):
        return [OutMessage(index, 0, "f", list_reports.status_changed(event, index, frame))]
    if isinstance(event, Refused):
        body = list_reports.refused(event, index, frame)
        return [] if body is None else [OutMessage(index, 0, "j", body)]
    return []


def _is_recipient(event: Event, session: SessionContext, source: str) -> bool:
    """Return True if a session is told of an event of a command that came from ``source``."""
    kind = type(event)
    if kind is InstrumentStatusChanged:
        return True
    settings = session.settings
    if settings.kind == "drop_copy":
        return event.account in settings.accounts and (kind in _REPORTS or kind in _ANSWERS)
    if kind in _REPORTS:
        if event.order.session == session.source:  # type: ignore[union-attr]
            return True
        by_request = kind is OrderCanceled or kind is OrderReplaced
        if by_request and event.requester == session.source:  # type: ignore[union-attr]
            return True
    elif kind in _ANSWERS:
        if source == session.source or _asked_for(event, session.source):
            return True
        if kind is not OrderRejected:
            return False
    else:
        return False
    return settings.reports == "firm" and event.account in settings.accounts


def _asked_for(event: Event, source: str) -> bool:
    """Return True if a session asked for what an event of a later command answers."""
    return isinstance(event, MassCanceled) and event.requester == source


def messages(
    transaction: Committed, session: SessionContext, instruments: Mapping[str, Instrument]
) -> list[OutMessage]:
    """Return what a session is told of a transaction, in order."""
    origin = transaction.command.origin
    source, route = origin.source, origin.route
    frame: Frame | None = None
    found: list[OutMessage] = []
    for index, event in enumerate(transaction.events):
        if _is_recipient(event, session, source):
            if frame is None:
                frame = frame_of(transaction, instruments)
            rendered = _render(event, index, frame)
            if route is not None or has_route(event):
                header = event_header(event, session.source, source, route)
                rendered = [message._replace(header=header) for message in rendered]
            found += rendered
    return found


class Router:
    """Deliveries of a transaction to many sessions at once, each body made only once.

    The result is the same as ``messages`` for each session; the cost does not grow with the
    number of sessions that are not concerned.
    """

    def __init__(self, sessions: Iterable[SessionContext]) -> None:
        self._sessions = {session.source: session for session in sessions}
        self._watchers: dict[str, list[SessionContext]] = {}
        for session in self._sessions.values():
            settings = session.settings
            if settings.kind == "drop_copy" or settings.reports == "firm":
                for account in settings.accounts:
                    self._watchers.setdefault(account, []).append(session)

    def deliveries(
        self, transaction: Committed, instruments: Mapping[str, Instrument]
    ) -> list[tuple[str, OutMessage]]:
        """Return (source of a session, message) pairs in order of events."""
        origin = transaction.command.origin
        requester, route = origin.source, origin.route
        frame: Frame | None = None
        found: list[tuple[str, OutMessage]] = []
        for index, event in enumerate(transaction.events):
            sources = self._recipients(event, requester)
            if sources:
                if frame is None:
                    frame = frame_of(transaction, instruments)
                routed = route is not None or has_route(event)
                for message in _render(event, index, frame):
                    for source in sources:
                        if routed:
                            header = event_header(event, source, requester, route)
                            message = message._replace(header=header)
                        found.append((source, message))
        return found

    def _recipients(self, event: Event, requester: str) -> list[str]:
        """Return the sources of the sessions that are told of an event, each once."""
        kind = type(event)
        sessions = self._sessions
        if kind is InstrumentStatusChanged:
            return list(sessions)
        if kind in _REPORTS:
            asked = [event.order.session]  # type: ignore[union-attr]
            if kind is OrderCanceled or kind is OrderReplaced:
                asked.append(event.requester)  # type: ignore[union-attr]
        elif kind in _ANSWERS:
            asked = [requester]
            if kind is MassCanceled:
                asked.append(event.requester)  # type: ignore[union-attr]
        else:
            return []
        found: list[str] = []
        for source in asked:
            session = sessions.get(source)
            if session is not None and session.settings.kind == "order" and source not in found:
                found.append(source)
        for watcher in self._watchers.get(event.account, ()):
            if watcher.source not in found and _is_recipient(event, watcher, requester):
                found.append(watcher.source)
        return found
