"""One case against a FIX 4.4 acceptor under test: this program plays the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from certification.attempt import CaseFailure, CounterpartyFault, ScriptPlayer
from certification.fix.client import FixClient, Identity
from certification.fix.counterparty import Counterparty
from certification.fix.matching import cause, check, missing, unexpected
from certification.fix.messages import MessageBuilder
from certification.fix.wire import Message, garbled, now, time_text
from certification.report.results import Transcript
from certification.scenarios.scenario import Scenario, Step, walk
from certification.scenarios.values import ValueFault

SETTLE_S: Final = 0.25
_PASSED_OVER: Final = frozenset({"0", "1", "2", "4", "B", "f"})
"""MsgTypes that may come in between: Heartbeats, gap fills, News."""
_PENDING: Final = frozenset({"6", "A", "E"})
"""ExecTypes by which some venues report pending states."""


@dataclass(frozen=True, slots=True)
class Target:
    """The address, sessions and symbol of the venue under test.

    ``peer``, ``desk`` and ``drop_copy`` are further sessions; a case that needs one that is not
    given is not run. ``extra`` are fields that the venue requires in every message of a MsgType.
    """

    host: str
    port: int
    main: Identity
    peer: Identity | None = None
    desk: Identity | None = None
    drop_copy: Identity | None = None
    symbol: str = "CERT-USD"
    price: str = "100"
    bad_price: str = "100.005"
    qty: str = "1"
    seconds: float = 5.0
    extensions: bool = False
    extra: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @property
    def sessions(self) -> set[str]:
        """Return the further sessions that were given."""
        named = {"peer": self.peer, "desk": self.desk, "drop_copy": self.drop_copy}
        return {name for name, identity in named.items() if identity is not None}


class ConformCase(ScriptPlayer):
    """Plays one scenario."""

    def __init__(self, target: Target, scenario: Scenario, run_id: str) -> None:
        parameters = {
            "run": run_id, "symbol": target.symbol, "price": target.price,
            "bad_price": target.bad_price, "qty": target.qty,
            "stale_time": time_text(now() - timedelta(minutes=10)),
        }  # fmt: skip
        super().__init__(scenario, "conform", parameters)
        self._target = target
        self._run_id = run_id
        self._builder = MessageBuilder(scenario.id, self.memory, target.extra)
        self._clients: dict[str, FixClient] = {}
        self._traders: dict[str, Counterparty] = {}
        self._held: dict[str, list[Message]] = {}

    async def run(self) -> None:
        """Play every step. Raises CaseFailure."""
        if any(step.peer for step in walk(self.script)):
            await self.trader("peer")
        if self.script[0].do not in ("connect", "logon"):
            await self._do_logon(Step(do="logon"))
        await super().run()

    async def end(self) -> None:
        """Cancel the open orders and log out, as far as the venue permits."""
        for trader in self._traders.values():
            try:
                await trader.clear()
            except CounterpartyFault as fault:
                self.transcript.note(f"the counterparty could not cancel: {fault}")
        await self._cancel_rest()
        for client in self._clients.values():
            try:
                await client.logout(self._target.seconds)
            except TimeoutError:
                await client.close()

    async def _cancel_rest(self) -> None:
        """Cancel the orders that the case has left open: the next one begins with an empty book."""
        main = self._clients.get("main")
        left = open_orders(self.transcript)
        if not left:
            return
        if main is None or not main.open:
            main = await self._again()
        if main is None:
            return
        for order in left:
            fields = {
                11: self._builder.new_id(), 41: order[11], 37: order[37], 55: order[55],
                54: order[54], 60: time_text(now()),
            }  # fmt: skip
            sent = main.send("F", fields)
            try:
                while (answer := await main.next(self._target.seconds)) is not None:
                    if answer.get(11) == sent.get(11):
                        break
            except TimeoutError:
                return

    async def _again(self) -> FixClient | None:
        """Log on once more, to clean up."""
        client = FixClient(
            self._target.host, self._target.port, self._target.main, self.transcript
        )
        try:
            if await client.logon(reset=True, seconds=self._target.seconds) is None:
                return None
        except (OSError, TimeoutError):
            return None
        self._clients["main"] = client
        return client

    # The four kinds of steps.

    async def client(self, step: Step, following: Step | None) -> None:
        """Send a message."""
        client = self._of(step)
        if step.again:
            message = self._once_more(step)
        else:
            fields: Iterable[tuple[int, str]] = self._builder.body(step)
            if step.client == "A":
                fields = self._logon_fields(client, dict(fields), step)
            number = int(self.memory.value(step.number)) if step.number else None
            if step.garbled:
                number = client.num
            message = Message(client.compose(step.client.split("|")[0], fields, number))
        if step.name:
            self.memory.named[step.name] = message
        for first in step.first:
            await self.act(first)
        if step.swallowed:
            self.transcript.message(">", message, "not sent, as if it had got lost")
        elif step.garbled:
            self.transcript.message(">", message, "sent with a wrong CheckSum(10)")
            client.put_raw(garbled(message))
        else:
            client.put(message)

    def _once_more(self, step: Step) -> Message:
        """Return the message that was sent before, with PossDupFlag(43)=Y."""
        before = self.memory.named[step.again]
        assert isinstance(before, Message)
        client = self._of(step)
        fields = [(tag, value) for tag, value in before.pairs if tag not in (8, 9, 10, 52)]
        fields += [(43, "Y"), (122, before[52])]
        return Message(client.compose(before.type, fields, before.num))

    def _logon_fields(
        self, client: FixClient, more: dict[int, str], step: Step
    ) -> Iterable[tuple[int, str]]:
        """Return the body of a Logon, with 141=Y unless the step omits it."""
        fresh = step.send.get("141", "Y") == "Y"
        if fresh:
            client.num = client.incoming = 1
        # What is only checked in a Logon (553=*) has no value of its own here.
        fields = client.identity.logon_fields(reset=fresh) | more
        return fields.items()

    async def venue(self, step: Step) -> None:
        """Wait for a message of the venue and check it."""
        client = self._of(step)
        seconds = self._seconds(step)
        deadline = time.monotonic() + seconds
        wanted = set(step.venue.split("|"))
        held = self._held.setdefault(step.session, [])
        while True:
            message: Message | None
            if held:
                message = held.pop(0)
            else:
                try:
                    message = await client.next(max(0.0, deadline - time.monotonic()))
                except TimeoutError:
                    raise CaseFailure(missing(step, seconds)) from None
            if message is None:
                raise CaseFailure(missing(step, seconds, closed=True))
            if message.type in wanted:
                if self._passed_over(step, message):
                    continue
                check(step, message, self.memory)
                return
            if message.type not in _PASSED_OVER:
                raise CaseFailure(unexpected(step, message), cause(message))

    def _passed_over(self, step: Step, message: Message) -> bool:
        """Return whether a step skips this: a Heartbeat that is not an answer, a pending state."""
        if message.type == "0":
            return "112" in step.fields and 112 not in message
        pending = message.type == "8" and message.get(150) in _PENDING
        return pending and step.fields.get("150") not in _PENDING

    async def do(self, step: Step) -> None:
        """Carry out the verb of ``do``. Raises ValueFault for an unknown verb."""
        verb: Callable[[Step], Awaitable[None]] | None = getattr(self, f"_do_{step.do}", None)
        if verb is None:
            raise ValueFault(f"there is no verb {step.do} for a client")
        await verb(step)

    # Verbs.

    async def _do_connect(self, step: Step) -> None:
        """Open a connection; a second one continues the sequence numbers of the first."""
        old = self._clients.get(step.session)
        if old is not None:
            await old.close()
        client = FixClient(
            self._target.host, self._target.port, self._identity(step), self.transcript,
            "" if step.session == "main" else f"{step.session}:",
        )  # fmt: skip
        if old is not None:
            client.num, client.incoming = old.num, old.incoming
        self._clients[step.session] = client
        await client.connect()

    async def _do_logon(self, step: Step) -> None:
        """Connect and log on with numbers that begin at 1."""
        identity = self._identity(step)
        if step.send:
            more = tuple((int(tag), value) for tag, value in step.send.items())
            identity = replace(identity, logon=identity.logon + more)
        client = FixClient(
            self._target.host, self._target.port, identity, self.transcript,
            "" if step.session == "main" else f"{step.session}:",
        )  # fmt: skip
        self._clients[step.session] = client
        try:
            answer = await client.logon(reset=True, seconds=self._target.seconds)
        except TimeoutError:
            answer = None
        if answer is None:
            said = f" It answered with Logout(5): {client.told}" if client.told else ""
            raise CaseFailure(
                f"The venue did not accept the Logon with which the case begins.{said}"
            )

    async def _do_close(self, step: Step) -> None:
        await self._of(step).close()

    async def _do_settle(self, step: Step) -> None:
        """Wait SETTLE_S for work of the venue that causes no message to wait for."""
        await asyncio.sleep(SETTLE_S)

    async def _do_logout(self, step: Step) -> None:
        try:
            await self._of(step).logout(self._target.seconds)
        except TimeoutError:
            raise CaseFailure("The venue did not end the session after Logout(5).") from None

    async def _do_closed(self, step: Step) -> None:
        """Wait until the venue closes; check that it sends no Logon. A Logout may come before."""
        client = self._of(step)
        seconds = self._seconds(step)
        deadline = time.monotonic() + seconds
        came: list[Message] = []
        try:
            while True:
                message = await client.next(max(0.0, deadline - time.monotonic()))
                if message is None:
                    break
                came.append(message)
        except TimeoutError:
            raise CaseFailure(
                f"The venue did not close the connection within {seconds:.0f} s. {step.why}"
            ) from None
        if any(message.type == "A" for message in came):
            raise CaseFailure(f"The venue answered with Logon(A). {step.why}")

    async def _do_mute(self, step: Step) -> None:
        """From here on send no Heartbeats and answer no TestRequests."""
        client = self._of(step)
        client.heartbeats = client.answer_tests = False

    async def _do_asked(self, step: Step) -> None:
        """From here on do not answer ResendRequests; the steps do."""
        self._of(step).fill_gaps = False

    async def _do_quiet(self, step: Step) -> None:
        """Check that nothing more comes: a TestRequest is answered, and nothing else is sent."""
        client = self._of(step)
        test = client.send("1", {112: f"QUIET-{self._run_id}-{client.num}"})
        deadline = time.monotonic() + self._target.seconds
        while True:
            try:
                message = await client.next(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise CaseFailure(f"TestRequest(1) was not answered. {step.why}") from None
            if message is None:
                raise CaseFailure(f"The venue closed the connection. {step.why}")
            if message.type == "0" and message.get(112) == test.get(112):
                return
            if message.type not in _PASSED_OVER or message.type == "2":
                raise CaseFailure(f"{message.type} came: {message!r}. {step.why}")

    # Sessions.

    def _of(self, step: Step) -> FixClient:
        try:
            return self._clients[step.session]
        except KeyError:
            raise ValueFault(f"session {step.session} is not connected") from None

    def _identity(self, step: Step) -> Identity:
        if step.session == "drop_copy" and self._target.drop_copy is not None:
            return self._target.drop_copy
        return self._target.main

    async def trader(self, name: str) -> Counterparty:
        """Return the trader ``peer`` or ``desk``, logged on."""
        if name not in self._traders:
            identity = self._target.peer if name == "peer" else self._target.desk
            assert identity is not None
            client = FixClient(
                self._target.host, self._target.port, identity, self.transcript, f"{name}:"
            )
            self._clients[name] = client
            if await client.logon(reset=True, seconds=self._target.seconds) is None:
                raise CounterpartyFault(
                    f"{identity.sender} was not let in{f': {client.told}' if client.told else ''}"
                )
            run = f"{name}-{self.scenario.id}-{self._run_id}"
            self._traders[name] = Counterparty(
                client, self._target.symbol, run, self._target.seconds
            )
        return self._traders[name]

    def order_price(self) -> str:
        """Return the price of the case's order; before there is one, that of the run."""
        order = self.memory.named.get("order")
        return (order.look_up("44") if order else None) or self._target.price

    def _seconds(self, step: Step) -> float:
        return step.seconds(self._target.main.heartbeat_s, self._target.seconds)


def open_orders(transcript: Transcript) -> list[Mapping[int, str]]:
    """Return tags 11, 37, 54 and 55 of each order of the transcript that is still open."""
    orders: dict[str, Message] = {}
    for entry in transcript.entries:
        if entry.way != "<" or not entry.text.startswith("8="):
            continue
        message = Message(entry.text.replace("|", "\x01").encode("latin-1"))
        if message.type == "8" and message.get(150) != "I":
            orders[message.get(37)] = message
    return [
        {tag: m.get(tag) for tag in (11, 37, 54, 55)}
        for order_id, m in orders.items()
        if order_id not in ("", "NONE") and m.get(39) in ("0", "1")
    ]
