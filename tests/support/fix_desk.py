"""FIX clients around the real exchange, in memory: messages in, messages out, no sockets.

Every message that is sent goes through QuickFIX with our dictionary, as in the gateway, and
every message that comes back is validated with it, too. The venue is that of the demo
configuration; ``ALICE2`` is a session of the sub-account ``alice2`` of firm alice;
``DESK`` belongs to alice as well and asked for all reports of its firm; ``DROP`` is her drop
copy. ``ALICE-MD`` and ``BOB-MD`` are market data sessions of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import quickfix

from engine.core.commands import (
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineVenue,
    Deposit,
    SetInstrumentStatus,
    StartEpoch,
    Tick,
)
from engine.core.exchange import Exchange
from engine.core.instruments import Instrument, make_instrument
from engine.core.types import InstrumentStatus, Origin, SelfTrade
from engine.wire import Transaction, decode_transaction, encode_transaction
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.decode import translate
from fix_gateway.codec.message import SOH, parse_time, time_text
from fix_gateway.codec.requests import Query
from fix_gateway.codec.responses import Response
from fix_gateway.codec.routing import Router, messages
from tests.support.fix_settings import session_settings
from tests.support.market_desk import MarketDesk, outgoing

DICTIONARY = Path(__file__).parent.parent.parent / "spec" / "FIX44.xml"
START_US = parse_time("20260105-09:30:00")
ENGINE = Origin("engine")
SCALE = 8
STALE_AFTER_US = 5_000_000
HEADER = frozenset(("43", "97", "115", "116", "122", "128", "129"))
"""What of the header a client's line may have."""
GRIDS = {
    "BTC-USD": ("0.01", "0.00001"),
    "ETH-USD": ("0.01", "0.0001"),
    "ETH-BTC": ("0.00001", "0.001"),
}
ACCOUNTS = {"alice": "alice", "alice2": "alice", "bob": "bob", "carol": "carol"}
FUNDS = {"BTC": 1_000, "ETH": 10_000, "USD": 100_000_000}
ALICE = frozenset({"alice", "alice2"})
MARKET_DATA = {"ALICE-MD": "alice", "BOB-MD": "bob"}


def instruments() -> dict[str, Instrument]:
    """The demo instruments."""
    made = {}
    for symbol, (tick, lot) in GRIDS.items():
        base, quote = symbol.split("-")
        made[symbol] = make_instrument(
            symbol, base, SCALE, quote, SCALE, tick, lot, 1, 100_000_000, 100_000_000
        )
    return made


def sessions() -> dict[str, SessionContext]:
    """The sessions of the desk."""

    def session(
        comp_id: str, account: str, accounts: frozenset[str], **more: Any
    ) -> SessionContext:
        settings = session_settings(comp_id, account, ACCOUNTS[account], accounts, **more)
        return SessionContext(settings, STALE_AFTER_US)

    made = [
        session("ALICE", "alice", ALICE),
        session("ALICE2", "alice2", frozenset({"alice2"})),
        session("DESK", "alice", ALICE, reports="firm"),
        session("DROP", "alice", ALICE, kind="drop_copy"),
        session("BOB", "bob", frozenset({"bob"})),
        session("CAROL", "carol", frozenset({"carol"})),
    ]
    return {context.settings.comp_id: context for context in made}


@lru_cache(maxsize=1)
def dictionary() -> Any:
    """Our data dictionary, as QuickFIX reads it."""
    return quickfix.DataDictionary(str(DICTIONARY))


def wire_text(msg_type: str, body: str, sender: str, target: str, num: int, head: str = "") -> str:
    """A complete message; ``body`` is SOH-joined."""
    inner = (
        f"35={msg_type}{SOH}34={num}{SOH}49={sender}{SOH}52=20260105-09:30:00.000{SOH}"
        f"56={target}{SOH}{head}{body}"
    )
    text = f"8=FIX.4.4{SOH}9={len(inner.encode())}{SOH}{inner}"
    return f"{text}10={sum(text.encode()) % 256:03d}{SOH}"


def validated(text: str) -> str:
    """A message as QuickFIX hands it on, after its own checks with our dictionary."""
    message = quickfix.Message(text, dictionary(), True)
    dictionary().validate(message)
    return str(message.toString())


def shown(msg_type: str, body: str) -> str:
    """A message as conversations write it."""
    return f"35={msg_type}|{body.replace(SOH, '|').removesuffix('|')}"


class FixDesk:
    """A venue with its FIX sessions. ``send`` returns what every session is told."""

    def __init__(
        self,
        comp_ids: Iterable[str] = ("ALICE", "ALICE2", "BOB", "CAROL"),
        *,
        open_orders_max: int = 1000,
        work_max: int = 500,
        stp: SelfTrade = SelfTrade.NONE,
    ) -> None:
        self.exchange = Exchange()
        self.instruments = instruments()
        known, comp_ids = sessions(), list(comp_ids)
        self.sessions = {
            comp_id: known[comp_id] for comp_id in comp_ids if comp_id not in MARKET_DATA
        }
        self.router = Router(self.sessions.values())
        self.now = START_US
        self.nums = dict.fromkeys(comp_ids, 1)
        self.market: MarketDesk | None = None
        self.transactions: list[Transaction] = []
        self.query: Query | None = None
        self.command: Command | None = None
        for command in self._definitions(open_orders_max, stp, work_max):
            self.apply(command)
        for context in known.values():
            start = Origin(context.source, 1)
            self.apply(StartEpoch(start, context.settings.account, (0, 0, 0), "first"))
        firms = {comp_id: firm for comp_id, firm in MARKET_DATA.items() if comp_id in comp_ids}
        if firms:
            self.market = MarketDesk(firms, self.instruments, lambda: self.now)
            assert self._market_told(self.market.take(self.transactions)) == []

    @staticmethod
    def _definitions(
        open_orders_max: int, stp: SelfTrade, work_max: int
    ) -> Iterable[Command]:
        yield DefineVenue(ENGINE, 0, 100, 10_000, 30 * 86_400_000_000, work_max)
        for asset in FUNDS:
            yield DefineAsset(ENGINE, asset, SCALE)
        for symbol, (tick, lot) in GRIDS.items():
            base, quote = symbol.split("-")
            yield DefineInstrument(
                ENGINE, symbol, base, quote, tick, lot, 1, 100_000_000, 100_000_000
            )
        for account, firm in ACCOUNTS.items():
            yield DefineAccount(ENGINE, account, firm, 500, 1000, stp, open_orders_max)
            for asset, amount in FUNDS.items():
                grant = f"genesis:{account}:{asset}"
                yield Deposit(ENGINE, grant, account, asset, amount * 10**SCALE)

    def apply(self, command: Command) -> list[tuple[str, str]]:
        """Apply a command and route what it caused: (CompID, message) pairs."""
        seq = self.exchange.seq + 1
        events = tuple(self.exchange.apply(seq, self.now, command))
        transaction = decode_transaction(encode_transaction(seq, self.now, command, events))
        self.transactions.append(transaction)
        told = []
        for name, message in self.router.deliveries(transaction, self.instruments):
            comp_id = name.removeprefix("fix:")
            text = wire_text(message.msg_type, message.body, "TANDEM", comp_id, 1, message.header)
            validated(text)
            told.append((comp_id, shown(message.msg_type, message.header + message.body)))
        for comp_id, context in self.sessions.items():
            alone = messages(transaction, context, self.instruments)
            mine = [text for name, text in told if name == comp_id]
            assert [shown(one.msg_type, one.header + one.body) for one in alone] == mine
        if self.market is not None:
            told += self._market_told(self.market.take([transaction]))
        return told

    @staticmethod
    def _market_told(responses: Iterable[tuple[str, Response]]) -> list[tuple[str, str]]:
        """What market data sessions are told; a client with FIX 4.4's dictionary takes it."""
        told = []
        for comp_id, one in responses:
            text = wire_text(one.msg_type, one.body, "TANDEM", comp_id, 1, one.header)
            for known in outgoing():
                known.validate(quickfix.Message(text, known, True))
            told.append((comp_id, shown(one.msg_type, one.header + one.body)))
        return told

    def text(self, comp_id: str, line: str) -> str:
        """A client's line (``35=D|11=a|...``) as the gateway gets it from QuickFIX."""
        pairs = [field.split("=", 1) for field in line.split("|")]
        head = "".join([f"{tag}={value}{SOH}" for tag, value in pairs if tag in HEADER])
        body = "".join([f"{t}={v}{SOH}" for t, v in pairs if t != "35" and t not in HEADER])
        num = self.nums[comp_id]
        self.nums[comp_id] += 1
        whole = wire_text(pairs[0][1], body, comp_id, "TANDEM", num, head)
        return whole if comp_id in MARKET_DATA else validated(whole)

    def send(self, comp_id: str, line: str) -> list[tuple[str, str]]:
        """Send a message and return what all sessions are told, in order."""
        self.now += 1_000
        text = self.text(comp_id, line)
        if comp_id in MARKET_DATA:
            assert self.market is not None
            return self._market_told(self.market.send(comp_id, text))
        meant = translate(text, self.sessions[comp_id], 1, self.instruments, self.now)
        if meant is None or isinstance(meant, get_args(Query)):
            self.query = meant  # type: ignore[assignment]
            return []
        self.command = meant  # type: ignore[assignment]
        return self.apply(meant)  # type: ignore[arg-type]

    def report(self, comp_id: str, line: str) -> dict[str, str]:
        """Send a message that the sender gets one answer to; that answer's fields."""
        told = [text for name, text in self.send(comp_id, line) if name == comp_id]
        assert len(told) == 1, told
        return fields(told[0])

    def halt(self, symbol: str, status: InstrumentStatus, note: str = "") -> list[tuple[str, str]]:
        """An operator halts or resumes an instrument."""
        return self.apply(SetInstrumentStatus(ENGINE, symbol, status, note))

    def advance(self, seconds: int) -> list[tuple[str, str]]:
        """Time passes, and timers fire."""
        self.now += seconds * 1_000_000
        return self.apply(Tick(ENGINE))


def play(script: str) -> str:
    """A conversation with every answer filled in: comments and what is sent are kept.

    ``ALICE > 35=D|...`` is sent by ALICE, ``ALICE < 35=8|...`` is what she is told. The line
    ``sessions ...`` names who takes part; ``wait``, ``halt`` and ``resume`` let something
    happen.
    """
    lines = []
    desk: FixDesk | None = None
    for line in script.splitlines():
        word, _, rest = line.partition(" ")
        if rest.startswith("< "):
            continue
        lines.append(line)
        told: list[tuple[str, str]] = []
        if word == "sessions":
            desk = FixDesk(rest.split())
        elif line and not line.startswith("#"):
            assert desk is not None, "a conversation begins with its sessions"
            told = _happen(desk, word, rest)
        lines += [f"{name} < {text}" for name, text in told]
    return "\n".join(lines) + "\n"


def _happen(desk: FixDesk, word: str, rest: str) -> list[tuple[str, str]]:
    if rest.startswith("> "):
        return desk.send(word, rest[2:])
    if word == "wait":
        return desk.advance(int(rest))
    statuses = {"halt": InstrumentStatus.HALTED, "resume": InstrumentStatus.OPEN}
    return desk.halt(rest, statuses[word])


def fields(text: str) -> dict[str, str]:
    """The fields of a message as conversations write it, last value of each."""
    return dict(field.split("=", 1) for field in text.split("|"))  # type: ignore[misc]


__all__ = ["FixDesk", "fields", "instruments", "sessions", "time_text"]
