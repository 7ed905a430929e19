"""Records the examples of the WebSocket reference: ``python -m tests.docs.conversations``.

The conversations below are held with a real stream service in front of a real engine process. What
differs from one recording to the next (times, sequence numbers of the engine, ids drawn at random)
is replaced by a value of the same form, in the same order, and each login is signed anew for the
time that it shows then. The result is ``account_api/examples/stream.json``, from which
docs/generate.py takes the examples of ``spec/asyncapi.yaml`` and of the reference page.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from account_api.schema.from_rows import instant_text
from engine.core.commands import Deposit
from engine.core.types import Origin
from tests.api.stream.harness import Client, Stream, running_stream, signed
from tests.docs.blocks import ROOT
from tests.docs.recorded import in_order
from tests.support.processes import EngineProcess

FILE: Final = ROOT / "account_api" / "examples" / "stream.json"
TRADER: Final = "demo-alice-trade"
HEARTBEAT_S: Final = 0.5
BEGIN_US: Final = 1_900_000_000_000_000
STEP_US: Final = 1_000_250
"""The times that a recording shows: the first, and from one to the next."""
FIRST_SEQ: Final = 4_711
"""The first sequence number of the engine that a recording shows."""
_PRIVATE: Final = ("orders", "executions", "balances", "ledger", "transfers")
_PLACES: Final = ("", "book", "trades", *_PRIVATE, "heartbeat")
Conversation = dict[str, Any]


class Recorder:
    """Speaks for a reader of the documents, and writes down what both sides say.

    The server sends answers and events independently of each other. So that a recording reads the
    same each time, what is waited for together is put into one order: the answer, then channels.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.lines: list[dict[str, Any]] = []

    async def ask(self, op: str, params: dict[str, Any], **events: int) -> None:
        """Send a request; wait for its answer, and for so many messages of each channel."""
        number = sum("request" in line for line in self.lines) + 1
        request = {"op": op, "req_id": number, "params": params}
        self.lines.append({"request": request})
        await self._client.connection.send(json.dumps(request))
        await self.wait(answers=1, **events)

    async def wait(self, answers: int = 0, **events: int) -> None:
        """Wait for messages; of an order and its money each channel tells by itself."""
        left = {"": answers, **events}
        came: list[dict[str, Any]] = []
        while any(count > 0 for count in left.values()):
            message = await self._client.receive()
            channel = message.get("channel", "")
            if channel != "heartbeat" or channel in events:
                assert left.get(channel, 0) > 0, message
                left[channel] -= 1
                came.append(message)
        came.sort(key=lambda message: _PLACES.index(message.get("channel", "")))
        self.lines += [{"message": message} for message in came]

    def conversation(self, title: str, about: str) -> Conversation:
        return {"title": title, "about": about, "lines": self.lines}


def _order(name: str, side: str, quantity: str, price: str) -> dict[str, Any]:
    return {"client_order_id": name, "symbol": "BTC-USD", "side": side, "type": "limit",
            "quantity": quantity, "price": price}  # fmt: skip


class Venue:
    """The running service, with somebody who trades with the reader."""

    def __init__(self, engine: EngineProcess, stream: Stream, other: Client) -> None:
        self.engine = engine
        self.other = other
        self._stream = stream

    @contextlib.asynccontextmanager
    async def reader(self, key: str = "") -> AsyncIterator[Recorder]:
        """A connection of the reader, logged in where a key is given."""
        async with self._stream.client() as client:
            recorder = Recorder(client)
            if key:
                await recorder.ask("login", dict(signed(key)))
            yield recorder

    async def trade(self, op: str, **params: Any) -> None:
        """Let the other firm do something; returns when the service knows of it."""
        answer = await self.other.ask(op, **params)
        assert answer["ok"], answer
        await self._stream.caught_up(answer)


async def market_data(venue: Venue) -> Conversation:
    market = {"channels": ["book", "trades"], "symbols": ["BTC-USD"]}
    await venue.trade("create_order", **_order("order-2001", "sell", "0.5", "60100"))
    async with venue.reader() as reader:
        await reader.ask("subscribe", market, book=1, trades=1)
        await venue.trade("create_order", **_order("order-2002", "sell", "1", "60200"))
        await reader.wait(book=1)
        await venue.trade(
            "create_order", **_order("order-2003", "buy", "0.2", "60100"),
            self_trade_prevention="none",
        )  # fmt: skip
        await reader.wait(book=1, trades=1)
        await reader.wait(heartbeat=1)
        await reader.ask("get_book", {"symbol": "BTC-USD", "depth": 1})
        await reader.ask("unsubscribe", market)
        await reader.ask("ping", {})
        return reader.conversation(
            "A book and its trades",
            "No login. A snapshot of each channel, then what changes: another firm adds a level, "
            "then takes 0.2 from the best one. The heartbeat has the last `seq` of each channel.",
        )


async def orders(venue: Venue) -> Conversation:
    async with venue.reader(TRADER) as reader:
        channels = ["orders", "executions", "balances"]
        await reader.ask("subscribe", {"channels": channels}, orders=1, executions=1, balances=1)
        await reader.ask(
            "create_order", _order("order-1001", "buy", "0.5", "60000"), orders=1, balances=1
        )
        await venue.trade("create_order", **_order("order-2004", "sell", "0.2", "60000"))
        await reader.wait(orders=1, executions=1, balances=1)
        await reader.ask(
            "replace_order", {"order": "client:order-1001", "quantity": "0.4"},
            orders=1, balances=1,
        )  # fmt: skip
        await reader.ask("cancel_order", {"order": "client:order-1001"}, orders=1, balances=1)
        await reader.ask("create_order", _order("order-1002", "buy", "9000", "60000"), orders=1)
        return reader.conversation(
            "Orders, fills and money",
            "Log in, follow the account, create an order. Another firm sells into it; the rest is "
            "replaced and canceled. The last order is refused, by its answer and on `orders`.",
        )


async def resumption(venue: Venue) -> Conversation:
    async with venue.reader(TRADER) as reader:
        await reader.ask("subscribe", {"channels": ["orders"]}, orders=1)
        last = reader.conversation("", "")["lines"][-1]["message"]["seq"]
    async with venue.reader(TRADER) as away:
        await away.ask("create_order", _order("order-1003", "buy", "1", "59000"))
        await away.ask("cancel_order", {"order": "client:order-1003"})
    async with venue.reader(TRADER) as reader:
        await reader.ask("subscribe", {"channels": ["orders"], "from_seq": last + 1}, orders=2)
        return reader.conversation(
            "Resume after a lost connection",
            "`from_seq` is the first event that the client does not have. What happened meanwhile "
            "comes first, then what happens, without a gap and without a repetition.",
        )


async def money(venue: Venue) -> Conversation:
    async with venue.reader(TRADER) as reader:
        await reader.ask(
            "subscribe", {"channels": ["ledger", "transfers"]}, ledger=1, transfers=1
        )
        with contextlib.closing(venue.engine.client()) as operator:
            operator.submit(
                Deposit(Origin("operator:demo"), "deposit-1001", "alice", "BTC", 2 * 10**8)
            )
        await reader.wait(ledger=1, transfers=1)
        return reader.conversation(
            "A deposit is credited",
            "`ledger` has every posting of the account, `transfers` the deposits, withdrawals and "
            "transfers that cause them, with the same `seq`.",
        )


async def leaving(venue: Venue) -> Conversation:
    async with venue.reader(TRADER) as reader:
        await reader.ask("cancel_on_disconnect", {"scope": "connection", "grace_s": 0})
        await reader.ask("create_order", _order("order-1004", "buy", "0.1", "59000"))
        await reader.ask("cancel_all", {"symbol": "BTC-USD"})
        await reader.ask("logout", {"cancel_orders": False})
        return reader.conversation(
            "Cancel on disconnect, mass cancel, logout",
            "Had the connection been lost, the venue would have canceled `order-1004`. A logout "
            "with `cancel_orders` false leaves what is open.",
        )


async def refusals(venue: Venue) -> Conversation:
    async with venue.reader() as reader:
        await reader.ask("subscribe", {"channels": ["orders"]})
        await reader.ask("subscribe", {"channels": ["book"], "symbols": ["XRP-USD"]})
        await reader.ask("create_ordr", {})
        return reader.conversation(
            "Requests that are refused",
            "The connection stays as it was. `error` is a problem document, as by REST: "
            "[ERRORS.md](../../spec/ERRORS.md) lists the codes.",
        )


CONVERSATIONS: Final[tuple[Callable[[Venue], Awaitable[Conversation]], ...]] = (
    market_data, orders, resumption, money, leaving, refusals,
)  # fmt: skip


async def _hold(engine: EngineProcess) -> list[Conversation]:
    async with (
        running_stream(engine, heartbeat_s=HEARTBEAT_S) as stream,
        stream.client("demo-bob-trade") as other,
    ):
        venue = Venue(engine, stream, other)
        return [await conversation(venue) for conversation in CONVERSATIONS]


def record(folder: Path) -> list[Conversation]:
    """Hold all conversations on a service of their own, with nothing left to chance."""
    with EngineProcess(folder) as engine:
        return constant(asyncio.run(_hold(engine)))


_INSTANT: Final = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_RANDOM: Final = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "{:032x}"),
    (re.compile(r"(?<=\"epoch\": \")[0-9a-f]+"), "65a0{:08x}"),
    (re.compile(r"(?<=:)[0-9a-f]+-\d+(?=\")"), "1ba5e000-{}"),
)  # fmt: skip
"""Ids of requests, of the journal, and of connections."""


def constant(found: list[Conversation]) -> list[Conversation]:
    """Replace what changes from one recording to the next."""
    numbered = json.loads(in_order(json.dumps(found), _RANDOM))
    times: set[int] = set()
    seqs: set[int] = set()
    _changed(numbered, _noting(times), _noting(seqs))
    time_of = {us: BEGIN_US + STEP_US * at for at, us in enumerate(sorted(times))}
    seq_of = {seq: FIRST_SEQ + at for at, seq in enumerate(sorted(seqs))}
    shown: list[Conversation] = _changed(numbered, time_of.__getitem__, seq_of.__getitem__)
    for request in (line["request"] for one in shown for line in one["lines"] if "request" in line):
        if request["op"] == "login":
            params = request["params"]
            request["params"] = signed(params["key"], int(params["timestamp"]))
    return shown


Change = Callable[[int], int]


def _noting(found: set[int]) -> Change:
    def note(value: int) -> int:
        found.add(value)
        return value

    return note


def _changed(value: Any, time: Change, seq: Change, name: str = "", channel: str = "") -> Any:
    """A copy with other times, in microseconds, and other sequence numbers of the engine.

    ``name`` is that of the member and ``channel`` that of the message. On private channels ``seq``
    is the account's own, which is the same each time.
    """
    if isinstance(value, dict):
        channel = value.get("channel", channel)
        # A heartbeat has sequences by symbol.
        numbers = name in ("book", "trades")
        return {
            inner: _changed(part, time, seq, "seq" if numbers else inner, channel)
            for inner, part in value.items()
        }
    if isinstance(value, list):
        return [_changed(part, time, seq, name, channel) for part in value]
    public = channel in ("book", "trades", "heartbeat")
    if name == "as_of_seq" or (public and name in ("seq", "prev_seq")):
        return seq(value)
    if name == "time_ms" or (name == "timestamp" and value.isdecimal()):
        return type(value)(time(int(value) * 1000) // 1000)
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return instant_text(time(int(datetime.fromisoformat(value).timestamp() * 1_000_000)))
    return value


def written(recording: list[Conversation]) -> str:
    """The text of the file."""
    return json.dumps(recording, indent=1, ensure_ascii=False) + "\n"


def kept() -> list[Conversation]:
    """The recording that the tree has."""
    found: list[Conversation] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        recorded = written(record(Path(name)))
    FILE.write_text(recorded, encoding="utf-8")
