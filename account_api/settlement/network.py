"""The interface of a network that settles withdrawals."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol


class SendRequest(NamedTuple):
    """Send ``amount`` atoms of ``asset`` to ``address``; ``key`` is the payment's permanent id."""

    key: str
    asset: str
    network: str
    address: str
    memo: str
    amount: int


class NetworkStatus(NamedTuple):
    """The status of a payment.

    ``unknown``: never requested. ``pending``: accepted, not (or no longer) in the chain.
    ``sent``: in the chain, with its txid and number of confirmations. ``failed``: it was not
    sent and never will be, and ``note`` says why.
    """

    state: Literal["unknown", "pending", "sent", "failed"]
    txid: str = ""
    confirmations: int = 0
    note: str = ""


class NetworkUnavailable(Exception):
    """The network cannot be asked now; nothing can be concluded, so try again later."""


class KeyReused(Exception):
    """A key was used for another payment; nothing was sent, and a person must look at it."""


class Network(Protocol):
    """A chain, a bank or a custodian; every call may raise NetworkUnavailable."""

    def request(self, payment: SendRequest) -> None:
        """Request a payment. Durable when it returns; a known key does nothing.

        Raises KeyReused when the key is known with other terms.
        """
        ...

    def status(self, key: str) -> NetworkStatus:
        """Return where the payment with this key is."""
        ...
