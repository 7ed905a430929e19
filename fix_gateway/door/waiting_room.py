"""Places for connections whose Logon has not passed. Pure.

Few for each address and a bound for all. Who comes last gets in: when the places of an address
are taken its oldest connection goes, and when all are taken, the oldest of the address that has
the most. So whoever holds connections open without a word only makes room for others, and a
good Logon, which stays here for an instant, always finds a place.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Pending = TypeVar("Pending", bound=Hashable)


class WaitingRoom(Generic[Pending]):
    """Who waits, by address and in the order of coming; for one thread.

    An address "" is not known yet (the PROXY header has not come) and counts for none.
    """

    def __init__(self, places: int, places_of_address: int) -> None:
        self._places = places
        self._places_of_address = places_of_address
        self._by_address: dict[str, dict[Pending, None]] = {}
        self._addresses: dict[Pending, str] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def enter(self, pending: Pending, address: str) -> Pending | None:
        """Give somebody a place; return who has lost one for it and has to go.

    Looks through all addresses where every place is taken.
    """
        goes = self._oldest_of(address) if self._full(address) else None
        if goes is None and len(self._addresses) >= self._places:
            most = max(self._by_address, key=lambda each: len(self._by_address[each]))
            goes = self._oldest_of(most)
        if goes is not None:
            self.leave(goes)
        self._by_address.setdefault(address, {})[pending] = None
        self._addresses[pending] = address
        return goes

    def move(self, pending: Pending, address: str) -> Pending | None:
        """Count somebody for this address, which is known by now; as ``enter``."""
        self.leave(pending)
        return self.enter(pending, address)

    def leave(self, pending: Pending) -> None:
        """Take somebody's place back; may be called twice."""
        address = self._addresses.pop(pending, None)
        if address is None:
            return
        others = self._by_address[address]
        del others[pending]
        if not others:
            del self._by_address[address]

    def _full(self, address: str) -> bool:
        return bool(address) and len(self._by_address.get(address, ())) >= self._places_of_address

    def _oldest_of(self, address: str) -> Pending:
        return next(iter(self._by_address[address]))
