"""Whoever may not, does not: every holder walks at random through other accounts' things.

Each account of the venue has an order that rests under a name which tells whose it is. Firms'
sessions, a sub-account's session, drop copies and keys of every kind then ask by FIX and HTTP for
what is not theirs, name other accounts in every place where an account can stand, and leave with
every kind of cancel on disconnect. What they are told may name no account that they do not
reach, and what happened to whose things is read from the journal afterwards.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import requests

from account_api.routes import ROUTES
from config.settings import DEMO_FILE
from engine.client import EngineClient, Transaction, queries
from engine.core import events as ev
from engine.core.authority import Thing
from engine.core.commands import NewOrder, Transfer
from engine.core.types import OrdType, Origin, Side, TimeInForce
from tests.fix.rawfix import Closed, Message, RawFix, now_text
from tests.prove.venue import Venue

Found = Callable[[str], None]
FIRMS: Final = {"alice": "alice", "alice:desk": "alice", "bob": "bob", "carol": "carol"}
"""Accounts and their firms; one that bears its firm's name speaks for the firm."""
MARK: Final = "thing-of-"
ASKED: Final = 40
"""How many things a session asks for before it leaves."""
_HASH: Final = re.search(
    r'comp_id = "ALICE".*?(password_hash = "[^"]+")', DEMO_FILE.read_text(encoding="utf-8"), re.S
)
assert _HASH is not None


class Holder(NamedTuple):
    """A FIX session and its account; ``copy``: it may read and cause nothing."""

    comp_id: str
    account: str
    password: str
    copy: bool = False


HOLDERS: Final = (
    Holder("ALICE", "alice", "alice-demo"), Holder("BOB", "bob", "bob-demo"),
    Holder("DESK", "alice:desk", "alice-demo"), Holder("COPY", "alice", "alice-demo", True),
    Holder("DESKCOPY", "alice:desk", "alice-demo", True),
)  # fmt: skip
SCOPES: Final = ("read", "trade", "withdraw", "address", "approve", "keys")


def _extra() -> str:
    """Sessions and keys that the demo configuration does not have."""
    assert _HASH is not None
    found = ""
    for holder in HOLDERS[2:]:
        kind = 'kind = "drop_copy"\n' if holder.copy else ""
        found += (
            f'\n[[sessions]]\ncomp_id = "{holder.comp_id}"\naccount = "{holder.account}"\n'
            f'username = "{holder.comp_id.lower()}"\n{_HASH[1]}\n{kind}'
        )
    for scope in SCOPES:
        found += (
            f'\n[[keys]]\nkey = "demo-desk-{scope}"\nkind = "hmac"\naccount = "alice:desk"\n'
            f'user = "desk-{scope}"\nscopes = ["{scope}"]\nsecret = "demo-desk-{scope}-secret"\n'
        )
    return found


CHANGES: Final = {"\n# API keys.": _extra() + "\n# API keys."}
"""What the configuration of the venue needs for the walk."""


def reached(account: str) -> frozenset[str]:
    """The accounts that who acts for this one may act for and read of."""
    if FIRMS[account] != account:
        return frozenset((account,))  # A sub-account reaches itself alone.
    return frozenset(one for one, firm in FIRMS.items() if firm == account)


class Walk:
    """One walk of a seed. ``found`` is told what should not be."""

    def __init__(self, venue: Venue, seed: int, found: Found) -> None:
        self.venue = venue
        self.random = random.Random(f"walk {seed}")
        self.found = found
        self.engine: EngineClient = venue.client("walk")
        self.orders: dict[str, tuple[int, str]] = {}
        """By account: the order that must stay as it is, and its name."""
        self.asked = 0
        self._ids = 0
        self._begin = 0

    def walk(self, rounds: int, sign: Callable[..., dict[str, str]]) -> int:
        """Let everybody try so many times; gives how many things were asked for."""
        for account in FIRMS:
            self._rest(account)
        self._begin = self.engine.fetch(queries.Status()).value.seq
        for number in range(rounds):
            self._session(self.random.choice(HOLDERS) if number >= 5 else HOLDERS[number])
        with requests.Session() as session:
            for _ in range(rounds * 20):
                self._request(session, sign)
        self._judge()
        self.engine.close()
        return self.asked

    def _rest(self, account: str) -> None:
        """An order far from the market, and money for it."""
        name = f"{MARK}{account.replace(':', '-of-')}"
        if account == "alice:desk":
            money = Transfer(Origin("api:alice"), "alice", account, "USD", 10**12, "walk")
            self.engine.submit(money)
        order = NewOrder(
            Origin(f"api:{account}"), account, name, "ETH-USD", Side.BUY, OrdType.LIMIT,
            TimeInForce.GTC, 10, 100,
        )  # fmt: skip
        for event in self.engine.submit(order).transaction.events:
            if isinstance(event, ev.OrderAccepted):
                self.orders[account] = event.order.order_id, name

    # By FIX.

    def _session(self, holder: Holder) -> None:
        """Log on, with or without cancel on disconnect; ask; leave, in order or not."""
        pick = self.random
        may_firm = holder.account in ("alice", "bob")
        scope = pick.choice(("", "0", "1", "2", "3"))
        may = scope in ("", "0") or not holder.copy and (scope != "2" or may_firm)
        user = f"553={holder.comp_id.lower()}|554={holder.password}|"
        more = f"20003={scope}|20004=0|" if scope else ""
        with RawFix(self.venue.fix, holder.comp_id) as client:
            client.send("A", f"98=0|108=30|141=Y|{user}{more}")
            try:
                answer = client.receive()
            except Closed:
                self.found(f"{holder.comp_id} with 20003={scope} is closed without a word")
                return
            self.asked += 1
            if (answer["35"] == "A") is not may:
                self.found(f"{holder.comp_id} with 20003={scope}: {answer!r:.200}")
            if answer["35"] != "A":
                return
            try:
                self._ask(client, holder)
            except Closed:
                self.found(f"{holder.comp_id}: the venue closed the connection: "
                           f"{client.received[-1:]!r:.300}")  # fmt: skip
            if pick.random() < 0.5:
                client.logout()

    def _ask(self, client: RawFix, holder: Holder) -> None:
        pick = self.random
        strange = [one for one in FIRMS if one not in reached(holder.account)]
        # Nearest is what belongs to the same firm.
        near = [one for one in strange if FIRMS[one] == FIRMS[holder.account]] or strange
        waiting: set[str] = set()
        for _ in range(ASKED):
            other = pick.choice(pick.choice((near, near, strange, tuple(FIRMS))))
            number, _ = self.orders[other]
            self._ids += 1
            own_id = f"{holder.comp_id}.{self._ids}"
            account = pick.choice(("", f"1={other}|"))
            about = f"55=ETH-USD|54=1|60={now_text()}|"
            msg_type, fields = pick.choice((
                ("D", f"11={own_id}|1={other}|{about}38=0.01|40=2|44=2|59=1|"),
                ("F", f"11={own_id}|37={number}|41={own_id}x|{account}{about}"),
                ("G", f"11={own_id}|37={number}|41={own_id}x|{account}{about}38=0.02|40=2|44=1|"),
                ("q", f"11={own_id}|530=7|1={other}|60={now_text()}|"),
                ("H", f"790={own_id}|37={number}|11={own_id}|{account}55=ETH-USD|54=1|"),
                ("AF", f"584={own_id}|585=7|{account}"),
                ("AD", f"568={own_id}|569=0|{account}"),
                ("BB", f"909={own_id}|{account}"),
            ))  # fmt: skip
            if other in reached(holder.account) and msg_type in "FGq":
                continue  # What is its own it may change, and then it does not stay as it was.
            client.send(msg_type, fields)
            waiting.add(own_id)
            self.asked += 1
        while waiting:
            message = client.receive()
            self._heard(holder, message)
            for tag in ("11", "379", "568", "584", "790", "909"):
                waiting.discard(message.get(tag, ""))

    def _heard(self, holder: Holder, message: Message) -> None:
        text = message.text
        for account, (_, name) in self.orders.items():
            if account not in reached(holder.account) and f"{name}\x01" in text:
                self.found(f"{holder.comp_id} is told of {account}: {message!r:.300}")

    # By HTTP.

    def _request(
        self, session: requests.Session, sign: Callable[..., dict[str, str]]
    ) -> None:
        """Something about somebody, by a key of somebody else."""
        pick = self.random
        firm = pick.choice(("alice", "bob", "carol", "desk"))
        account = "alice:desk" if firm == "desk" else firm
        scope = pick.choice(SCOPES if firm in ("desk", "alice") else SCOPES[1:-1])
        if scope == "read":
            scope = "trade"
        others = [one for one in FIRMS if one not in reached(account)]
        other = pick.choice(others)
        number, _ = self.orders[other]
        route = pick.choice(ROUTES)
        path = re.sub(r"\{symbol\}", "ETH-USD", route.path)
        path = path.replace("{account}", other).replace("{order}", str(number))
        path = re.sub(r"\{\w+\}", "1", path)
        body: dict[str, Any] | None = None
        names = {"account": other, "from_account": other}
        if route.method == "GET" and route.thing.name.startswith("READ"):
            path += pick.choice(("", f"?account={other}"))
        elif route.body is not None:
            body = {"quantity": "0.01", "price": "3", "symbol": "ETH-USD", "side": "buy"}
            body |= {"client_order_id": f"h{self._ids}", **names}
            self._ids += 1
            if route.path == "/v1/orders/{order}":
                body = {"price": "3"}
            if route.path == "/v1/orders/batch":
                named = {"order": str(number)}
                change = {"op": "replace", "price": "3", **named}
                body = {"operations": [{"op": "cancel", **named}, change]}
        if route.method == "DELETE" and path == "/v1/orders":
            path += f"?account={other}"
        data = b"" if body is None else json.dumps(body).encode()
        headers = sign(f"demo-{firm}-{scope}", route.method, path, data)
        answer = session.request(
            route.method, self.venue.url + path, data=data or None, headers=headers, timeout=20
        )
        self.asked += 1
        if answer.status_code >= 500 and route.path not in ("/readyz",):
            self.found(f"{route.method} {path}: {answer.status_code} {answer.text:.300}")
        private = answer.ok and route.thing is not Thing.READ_REFERENCE
        told = answer.text.replace(" ", "") if private else ""
        for each in others:
            if f'"account":"{each}"' in told:
                self.found(f"{firm}-{scope}: {route.method} {path} is about {each}: {told:.200}")
            if self.orders[each][1] in answer.text.replace('"', "\x01").split("\x01"):
                self.found(f"{firm}-{scope}: {route.method} {path} tells of {each}")

    # What came of it.

    def _judge(self) -> None:
        """Whose things changed, by whom; each order that was to stay is as it was."""
        for seq, _, command, events in self._journal():
            source, user = command.origin.source, command.origin.user
            who = next((h for h in HOLDERS if source == f"fix:{h.comp_id}"), None)
            if who is None:
                name = user.partition("-")[0].replace("desk", "alice:desk")
                if name not in FIRMS:
                    continue  # Nobody of a firm.
                who = Holder(user, name, "")
            for event in events:
                kinds = ev.OrderAccepted | ev.OrderReplaced | ev.OrderCanceled
                if not isinstance(event, kinds):
                    continue
                if who.copy or event.account not in reached(who.account):
                    self.found(f"seq {seq}: {source} caused {event!r:.200}")
        # What alice and bob have may be canceled by their own sessions; carol was not there.
        number, name = self.orders["carol"]
        rows = self.engine.fetch(queries.OpenOrders("carol")).value
        if name not in {row.order.client_order_id for row in rows}:
            self.found(f"the order {number} of carol is gone")

    def _journal(self) -> list[Transaction]:
        last, done = self.engine.fetch(queries.Status()).value.seq, threading.Event()
        found: list[Transaction] = []

        def take(transactions: list[Transaction]) -> None:
            found.extend(transactions)
            if found[-1].seq >= last:
                done.set()

        self.engine.subscribe(self._begin, take)
        if not done.wait(60):
            self.found("the journal does not come to its end")
        return found
