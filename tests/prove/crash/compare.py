"""What every client was told, held against what the venue holds."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from config.settings import Settings
from engine.client import EngineClient, Transaction, queries
from engine.core import events as ev
from engine.core.commands import Deposit, Tick
from engine.core.exchange import Exchange
from engine.core.instruments import Instrument, format_scaled
from engine.core.types import WithdrawalState
from engine.history.projector import Projector
from engine.history.queries import wait_for
from engine.history.store import open_reader, open_writer
from engine.journal.verify import verify
from fix_gateway.codec.routing import messages
from fix_gateway.main import gateway_settings
from fix_gateway.session.session import Session
from tests.fix.rawfix import Message
from tests.prove.crash.fixclient import FixClient, fields_of
from tests.prove.crash.restclient import OrderClient, Treasury
from tests.prove.crash.wsclient import WsClient
from tests.prove.venue import Venue
from tests.unit.history.test_projector import dump

WAIT_S = 60.0
Found = Callable[[str], None]


def journal_of(client: EngineClient) -> list[Transaction]:
    """Everything that happened, as a new subscriber gets it."""
    found: list[Transaction] = []
    last, done = client.fetch(queries.Status()).value.seq, threading.Event()

    def take(transactions: list[Transaction]) -> None:
        found.extend(transactions)
        if found[-1].seq >= last:
            done.set()

    client.subscribe(1, take)
    if not done.wait(WAIT_S):
        raise AssertionError(f"a subscriber got {len(found)} of {last} transactions")
    return found


class Replayed:
    """The journal applied once more; ``at`` has things looked at as of a sequence."""

    def __init__(self, journal: list[Transaction]) -> None:
        self.journal = journal
        self.exchange = Exchange()
        self._questions: dict[int, list[Callable[[Exchange], None]]] = {}

    def at(self, seq: int, question: Callable[[Exchange], None]) -> None:
        """Look at the state as it was after ``seq``."""
        self._questions.setdefault(seq, []).append(question)

    def run(self, found: Found) -> None:
        """Apply everything, ask everything."""
        for transaction in self.journal:
            seq, time_us, command, events = transaction
            again = self.exchange.apply(seq, time_us, command)
            if tuple(again) != events:
                found(f"replay of seq {seq} gives other events")
            for question in self._questions.pop(seq, ()):
                question(self.exchange)
        if self._questions:
            found(f"answers as of {sorted(self._questions)[:5]} are of no transaction")


def sequences(journal: list[Transaction], found: Found) -> None:
    """No gap in seq or account_seq; no identity twice."""
    if [transaction.seq for transaction in journal] != list(range(1, len(journal) + 1)):
        found("the journal's sequence has gaps")
    numbers: Counter[str] = Counter()
    done: Counter[Any] = Counter()
    for transaction in journal:
        origin = transaction.command.origin
        if origin.token:
            done[origin.token] += 1
        if origin.num:
            done[origin.source, origin.epoch, origin.num] += 1
        for event in transaction.events:
            if event.account_seq:
                numbers[event.account] += 1
                if event.account_seq != numbers[event.account]:
                    found(f"account_seq of {event.account} at seq {transaction.seq}")
            if isinstance(event, ev.OrderAccepted):
                done[event.account, event.order.client_order_id] += 1
    for name, count in done.items():
        if count > 1:
            found(f"{name} was done {count} times")


REACH = {"fix:ALICE": {"alice", "alice:desk"}, "fix:DESK": {"alice:desk"}}
"""What a session may do things for: the firm's account for the firm, a sub-account for itself."""


def authority(journal: list[Transaction], found: Found) -> None:
    """No session entered or changed an order of an account that it does not speak for."""
    for seq, _, command, events in journal:
        reach = REACH.get(command.origin.source)
        for event in events if reach is not None else ():
            kinds = ev.OrderAccepted | ev.OrderReplaced | ev.MassCanceled
            if isinstance(event, kinds) and event.account not in reach:
                found(f"seq {seq}: {command.origin.source} acted for {event.account}")


def pieces(journal: list[Transaction]) -> int:
    """How many Ticks went on with what a command had left over (rules M-10, C-10)."""
    kinds = ev.OrderFilled | ev.OrderCanceled
    return sum(
        isinstance(transaction.command, Tick)
        and any(isinstance(event, kinds) for event in transaction.events)
        for transaction in journal
    )


def portions(clients: list[OrderClient], journal: list[Transaction], found: Found) -> int:
    """What was asked for under one Idempotency-Key was done once, whoever died on the way."""
    answered = [name for client in clients for name in client.portions]
    least = len(answered) + sum(client.done for client in clients)
    most = least + sum(client.doubtful for client in clients)
    made = {
        transaction.command.deposit_id for transaction in journal
        if isinstance(transaction.command, Deposit)
        and transaction.command.deposit_id.startswith("faucet")
    }  # fmt: skip
    once = len(answered) == len(set(answered)) and set(answered) <= made
    if not once or not least <= len(made) <= most:
        found(f"the faucet said that it gave {least} to {most} portions and gave {len(made)}")
    return len(made)


def fix_session(
    client: FixClient, settings: Settings, journal: list[Transaction],
    instruments: dict[str, Instrument], found: Found,
) -> int:  # fmt: skip
    """Every report came, once, in order, with the content that the journal gives it.

    What was canceled because it left in the end is for its next Logon.
    """
    journal = _until_left(client, journal)
    gateway = gateway_settings(settings)
    every = {s.comp_id: Session(s, gateway).context for s in settings.sessions}
    context = every[client.comp_id]
    expected: dict[tuple[int, int, int], str] = {}
    for transaction in journal:
        for out in messages(transaction, context, instruments):
            expected[transaction.seq, out.event_index, out.part] = out.body
    heard = _without_repeats([client.received[num] for num in sorted(client.received)], found)
    cursors = [message.cursor for message in heard if message.cursor is not None]
    for cursor, count in Counter(cursors).items():
        if count > 1:
            found(f"{client.comp_id} was told {cursor} {count} times")
    if cursors != sorted(cursors):
        found(f"{client.comp_id} was told things out of order")
    for cursor in expected.keys() - set(cursors):
        found(f"{client.comp_id} was never told {cursor}: {expected[cursor]!r:.200}")
    for message in heard:
        cursor = message.cursor
        if cursor is None:
            continue
        if cursor not in expected:
            found(f"{client.comp_id} was told what did not happen: {message!r:.300}")
        elif fields_of(message.text) != fields_of(expected[cursor]):
            found(f"{client.comp_id} was told {message!r:.300}, it is {expected[cursor]!r:.300}")
    numbers = set(range(1, client.next_in))
    if not set(client.received) <= numbers:
        found(f"{client.comp_id} has numbers beyond {client.next_in}")
    _by_events(client, heard, journal, found)
    return len(cursors)


def _without_repeats(heard: list[Message], found: Found) -> list[Message]:
    """Leave out what was said again with PossResend(97)=Y; it must say the same."""
    first: dict[tuple[int, int, int], Message] = {}
    kept = []
    for message in heard:
        cursor = message.cursor
        before = first.get(cursor) if cursor is not None else None
        if before is not None and message.get("97") == "Y":
            if fields_of(message.text) != fields_of(before.text):
                found(f"{message!r:.300} was {before!r:.300} before")
            continue
        if cursor is not None:
            first.setdefault(cursor, message)
        kept.append(message)
    return kept


def _until_left(client: FixClient, journal: list[Transaction]) -> list[Transaction]:
    """What happened before the session was closed for the last time."""
    for place in range(len(journal) - 1, -1, -1):
        for event in journal[place].events:
            if isinstance(event, ev.SessionChanged) and (event.session, event.what) == (
                f"fix:{client.comp_id}", "closed",
            ):  # fmt: skip
                return journal[:place]
    return journal


def _by_events(
    client: FixClient, heard: Iterable[Message], journal: list[Transaction], found: Found
) -> None:
    """The same once more, from the events alone: orders of the session, by ExecID."""
    source, owned = f"fix:{client.comp_id}", {}
    kinds = ev.OrderAccepted | ev.OrderFilled | ev.OrderReplaced | ev.OrderCanceled
    for transaction in journal:
        for index, event in enumerate(transaction.events):
            if isinstance(event, kinds) and event.order.session == source:
                owned[f"{transaction.seq}-{index}"] = event
    told = {message["17"]: message for message in heard if message["35"] == "8"}
    for exec_id, event in owned.items():
        message = told.get(exec_id)
        if message is None:
            found(f"{client.comp_id} has no report {exec_id} of {event!r:.200}")
        elif message["37"] != str(event.order.order_id):
            found(f"report {exec_id} names order {message['37']}: {event!r:.200}")


def rest_client(client: OrderClient, replayed: Replayed, found: Found) -> int:
    """Each answer was true as of its sequence, and each order acknowledged is there."""
    checked = 0
    for answer in client.answers:
        body = answer.body
        if answer.request.kind == "balances" and answer.status == 200:
            checked += 1
            replayed.at(body["as_of_seq"], _balances(client.account, body, found))
        elif answer.request.kind in ("create", "order") and answer.status in (200, 201):
            checked += 1
            replayed.at(body["as_of_seq"], _order(client.account, body, found))
    return checked


def _balances(account: str, body: dict[str, Any], found: Found) -> Callable[[Exchange], None]:
    def question(exchange: Exchange) -> None:
        money = exchange.accounts[account].balances
        for row in body["balances"]:
            scale = exchange.assets[row["asset"]]
            one = money[row["asset"]]
            held = (one.available + one.held, one.held, one.available)
            texts = tuple(format_scaled(amount, scale) for amount in held)
            if texts != (row["posted"], row["held"], row["available"]):
                found(f"{account} was told {row} as of {exchange.seq}, it was {texts}")

    return question


def _order(account: str, body: dict[str, Any], found: Found) -> Callable[[Exchange], None]:
    def question(exchange: Exchange) -> None:
        order = exchange.accounts[account].client_ids.get(body["client_order_id"])
        if order is None:
            found(f"{body['client_order_id']} was acknowledged and is not there")
            return
        instrument = order.book.instrument
        is_so = (
            str(order.order_id), order.status.name.lower(),
            instrument.quantity_text(order.cum), instrument.quantity_text(order.leaves),
        )  # fmt: skip
        told = tuple(
            body[name] for name in ("order_id", "status", "filled_quantity", "leaves_quantity")
        )
        if is_so != told:
            found(f"{body['client_order_id']} was told as {told} as of {exchange.seq}, is {is_so}")

    return question


def ws_client(client: WsClient, journal: list[Transaction], found: Found) -> int:
    """Every event of the account came, on its channels, with what it did."""
    events = {
        event.account_seq: event for transaction in journal for event in transaction.events
        if event.account == client.account and event.account_seq
    }  # fmt: skip
    told = client.events
    heard = told["orders"].keys() | told["transfers"].keys()
    if heard != events.keys():
        missing, extra = sorted(events.keys() - heard), sorted(heard - events.keys())
        found(f"{client.name} lacks {missing[:10]} ({len(missing)}), has {extra[:10]} more")
    fills = {seq for seq, event in events.items() if isinstance(event, ev.OrderFilled)}
    if told["executions"].keys() != fills:
        found(f"{client.name} has fills {sorted(told['executions'].keys() ^ fills)[:10]} wrong")
    for seq in fills & told["executions"].keys():
        event = events[seq]
        if told["executions"][seq]["trade_id"] != event.trade_id:  # type: ignore[union-attr]
            found(f"{client.name}: the fill {seq} is {event}")
    if told["balances"].keys() != told["ledger"].keys():
        found(f"{client.name}: balances and ledger tell of different events")
    accepted = {
        event.order.client_order_id: event.order.order_id
        for event in events.values() if isinstance(event, ev.OrderAccepted)
    }  # fmt: skip
    for name, row in client.created.items():
        if str(accepted.get(name)) != row["order_id"]:
            found(f"{client.name}: {name} was acknowledged as {row['order_id']}")
    return len(heard)


def ws_money(client: WsClient, exchange: Exchange, found: Found) -> None:
    """The last balance that was told of each asset is what the account has."""
    last = {row["asset"]: row for _, rows in sorted(client.events["balances"].items())
            for row in rows}  # fmt: skip
    for asset, money in exchange.accounts[client.account].balances.items():
        row = last.get(asset)
        text = format_scaled(money.available, exchange.assets[asset])
        if row is not None and row["available"] != text:
            found(f"{client.name} was last told {row}, available is {text}")


def ws_books(client: WsClient, engine: EngineClient, found: Found) -> None:
    """The copies of the books are the books."""
    instruments = {row.symbol: row for row in engine.fetch(queries.Instruments()).value}
    for symbol, copy in client.books.items():
        book, instrument = engine.fetch(queries.Book(symbol, 1000)).value, instruments[symbol]
        assert book is not None
        for name, rows in (("bids", book.bids), ("asks", book.asks)):
            is_so = [
                [instrument.price_text(r.price), instrument.quantity_text(r.qty), r.orders]
                for r in rows
            ]
            if copy.side(name) != is_so:
                found(f"{client.name}: {name} of {symbol} are {copy.side(name)}, not {is_so}")


def withdrawals(
    client: Treasury, exchange: Exchange, network: Path, found: Found
) -> int:
    """Each withdrawal was paid once, in full, and told as it is."""
    rows = [record.row for record in exchange.withdrawals.values()]
    with sqlite3.connect(network) as database:
        payments = dict(database.execute("SELECT key, amount FROM payments").fetchall())
    for row in rows:
        if row.state is not WithdrawalState.COMPLETED:
            found(f"withdrawal {row.client_withdrawal_id} ended as {row.state.name}")
        if payments.pop(f"W{row.withdrawal_id}", None) != str(row.amount):
            found(f"withdrawal {row.client_withdrawal_id} was not paid as asked for")
    if payments:
        found(f"the network was asked for what nobody wanted: {payments}")
    if {row.client_withdrawal_id for row in rows} != client.completed.keys():
        found("the treasury was told of other withdrawals than there are")
    return len(rows)


def history(venue: Venue, journal: list[Transaction], found: Found) -> None:
    """The read model is what one projection of the whole journal gives."""
    url = venue.settings.history.url
    reader = open_reader(url)
    if not wait_for(reader, journal[-1].seq, WAIT_S):
        found("the history does not reach the end of the journal")
    reader.dispose()
    again = f"sqlite:///{venue.folder / 'again.db'}"
    writer = open_writer(again)
    Projector(writer).apply(journal)
    is_so = dump(writer)
    writer.dispose()
    there = open_writer(url)
    stored = dump(there)
    there.dispose()
    for table, rows in is_so.items():
        if stored[table] != rows:
            found(f"the table {table} of the history is not what the journal gives")


def audit(venue: Venue, found: Found) -> int:
    """``tandem journal verify`` finds nothing."""
    report = verify(venue.data / "journal", venue.data / "journal" / "snapshots")
    for finding in report.findings:
        found(f"verify: {finding.place} seq {finding.seq}: {finding.text}")
    return report.replayed


