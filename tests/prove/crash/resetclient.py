"""A FIX client that begins its numbers again within its session, over and over, amid kills.

Between two resets it enters an order and cancels one that an earlier epoch knows. Whose order was
accepted must be able to cancel it once, whatever was killed since, and each epoch's messages are
numbered from 1 without a gap. Its Logons at connect begin at 1 as well: a client that got no
answer to a reset cannot know which numbers hold.
"""

from __future__ import annotations

import time
from typing import Final

from tests.fix.rawfix import Closed, Message, RawFix, now_text
from tests.prove.crash.told import Client, Told

PRICE: Final = "0.5"
"""Below whatever the other clients sweep."""
PACE_S: Final = 0.05
ANSWER_S: Final = 30.0
TOO_LATE: Final = ("stale_resend", "request_expired")
"""Why an order is refused that has waited for the engine for long."""


class ResetClient(Client):
    """Session CERT."""

    def __init__(self, address: tuple[str, int], told: Told) -> None:
        super().__init__("CERT resets", told)
        self.address = address
        self.resets = 0
        self.canceled = 0
        self._ids = 0
        self._open: list[str] = []
        """Orders that were accepted and not asked to be canceled."""
        self._doubtful: list[str] = []
        """Orders of which a connection ended before it was said what became of them."""
        self._client: RawFix | None = None
        self._expected = 1
        self._finished = False

    @property
    def busy(self) -> bool:
        return not self._finished

    def state(self) -> str:
        return (
            f"CERT: {self.resets} resets, {self.canceled} canceled, open {self._open}, in doubt "
            f"{self._doubtful}, {self.reconnects} reconnects"
        )

    def life(self) -> None:
        try:
            with RawFix(self.address, "CERT") as client:
                self._client = client
                self._begin()
                while not self.over.is_set():
                    self._turn()
        except (OSError, Closed):
            pass  # Killed, or logged out because the engine is away; the next life goes on.

    def _turn(self) -> None:
        if self.told.ending.is_set():
            if not self._open and not self._doubtful:
                self._finished = True
                self.over.wait(PACE_S)
                return
        elif len(self._open) < 3:
            self._enter()
        self._begin(within=True)
        if self._doubtful:
            self._cancel(self._doubtful, certain=False)
        elif self._open:
            self._cancel(self._open, certain=True)
        self.over.wait(PACE_S)

    def _begin(self, *, within: bool = False) -> None:
        """Begin at 1, on both sides."""
        client = self._client
        assert client is not None
        client.num = 1
        client.received.clear()
        client.send("A", client.logon_fields(reset=True))
        self._expected = 1
        while (answer := client.receive(ANSWER_S))["35"] != "A":
            self._ends(answer)
        self.resets += within
        if (answer["34"], answer.get("141")) != ("1", "Y"):
            self.told.found(f"CERT: a reset was answered by {answer!r}")
        self._expected = 2

    @staticmethod
    def _ends(message: Message) -> None:
        if message["35"] == "5":
            raise Closed(message.get("58", ""))

    def _answer(self, name: str) -> Message:
        """Read to the answer to a request, and check that no number is missing."""
        client = self._client
        assert client is not None
        while True:
            message = client.receive(ANSWER_S)
            if message.get("43") != "Y" and int(message["34"]) != self._expected:
                self.told.found(f"CERT: number {self._expected} is missing: {message!r}")
            self._expected = int(message["34"]) + 1
            self._ends(message)
            if message.get("11") == name:
                self.told.progress("FIX")
                return message

    def _enter(self) -> None:
        client = self._client
        assert client is not None
        self._ids += 1
        name = f"cert-{self._ids}-{time.time_ns()}"
        self._doubtful.append(name)
        client.order(name, price=PRICE)
        report = self._answer(name)
        self._doubtful.remove(name)
        if report["150"] == "0":
            self._open.append(name)
        elif report.get("20016") not in TOO_LATE:
            self.told.found(f"CERT: an order was answered by {report!r}")

    def _cancel(self, orders: list[str], *, certain: bool) -> None:
        client, name = self._client, orders.pop(0)
        assert client is not None
        self._doubtful.insert(0, name)
        self._ids += 1
        request = f"cert-c-{self._ids}-{time.time_ns()}"
        client.send("F", f"11={request}|41={name}|55=BTC-USD|54=1|60={now_text()}|")
        answer = self._answer(request)
        self._doubtful.remove(name)
        self.canceled += answer.get("150") == "4"
        if certain and answer.get("150") != "4":
            self.told.found(f"CERT: {name} was accepted, and its cancel got {answer!r}")
