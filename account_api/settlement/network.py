"""What a network must be able to do to settle withdrawals."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol


class SendRequest(NamedTuple):
    """Send ``amount`` atoms of ``asset`` to ``address``; ``key`` names this payment for ever."""

    key: str
    asset: str
    network: str
    address: str
    memo: str
    amount: int


class NetworkStatus(NamedTuple):
    """Where a payment is.

    ``unknown``: never asked for. ``pending``: accepted, not (or no longer) in the chain.
    ``sent``: in the chain, with its txid and number of confirmations. ``failed``: it was not
    sent and never will be, and ``note`` says why.
    """

    state: Literal["unknown", "pending", "sent", "failed"]
    txid: str = ""
    confirmations: int = 0
    note: str = ""


class NetworkUnavailable(Exception):
    """The network cannot be asked now; nothing can be concluded, ask again later."""


class KeyReused(Exception):
    """A key was used for another payment; somebody must look at it, nothing was sent."""


class Network(Protocol):
    """A chain, a bank or a custodian; every call may raise NetworkUnavailable."""

    def request(self, payment: SendRequest) -> None:
        """Ask for a payment. Durable when it returns; a known key does nothing.

        Raises KeyReused when the key is known with other terms.
        """
        ...

    def status(self, key: str) -> NetworkStatus:
        """Where the payment with this key is."""
        ...
