"""docs/reference/authority.md, from the table of authority and from what the doors offer."""

from __future__ import annotations

from typing import Final

from account_api.routes import ROUTES
from account_api.stream.operations import OPERATIONS
from engine.core.authority import TABLE, Holder, Reach, Row, Thing, reach
from fix_gateway.codec.decode import THINGS

_SHOWN: Final = {Reach.NONE: "", Reach.OWN: "own", Reach.VENUE: "every"}
_ELSEWHERE: Final = {
    Thing.CANCEL_ON_DISCONNECT: ("Logon 20003=1, 3", "", "`cancel_on_disconnect`"),
    Thing.CANCEL_FIRM_ON_DISCONNECT: ("Logon 20003=2", "", "`cancel_on_disconnect` firm"),
    Thing.STREAM_ACCOUNT: ("", "", "`subscribe` `unsubscribe` `snapshot`"),
}
"""Doors that are no message, route or operation of a table: FIX, HTTP, WebSocket."""

HEAD: Final = """# Who may do what

Made by `python docs/generate.py` from `engine/core/authority.py`; a test holds the two together,
and another tries every interface with every kind of session and key.

One table applies to every interface: the FIX gateway, the HTTP API, the WebSocket and the engine
all use it.
A FIX session has the authority of its kind, an API key that of all its scopes. **own** means the
account of the session or key; where that is the account that bears the firm's name, every account
of the firm, by Account(1) or `account`. A session or key of a sub-account reaches that account
alone. **every** means every account. An empty cell means no.
"""


def document() -> str:
    """The page: the table, then the doors of each thing."""
    holders = list(Holder)
    lines = [HEAD, f"| Action | {' | '.join(_title(each) for each in holders)} |"]
    lines.append("|---" * (len(holders) + 1) + "|")
    for row in TABLE:
        cells = [_SHOWN[reach(holder, row.thing)] for holder in holders]
        lines.append(f"| {_name(row)} | {' | '.join(cells)} |")
    lines += ["", "¹ only for the account that bears the firm's name, which acts for the firm.",
              "² public: no key is needed.", "", "## Over which interface", "",
              "| Action | FIX | HTTP | WebSocket |", "|---|---|---|---|"]  # fmt: skip
    lines += [f"| {row.thing.value} | {' | '.join(_doors(row.thing))} |" for row in TABLE]
    return "\n".join(lines) + "\n"


def _title(holder: Holder) -> str:
    return holder.value if holder.value.startswith("FIX") else f"`{holder.value}`"


def _name(row: Row) -> str:
    return row.thing.value + ("¹" if row.firm else "²" if row.public else "")


def _doors(thing: Thing) -> tuple[str, str, str]:
    fix, http, stream = _ELSEWHERE.get(thing, ("", "", ""))
    routes = {(route.method, route.path) for route in ROUTES if route.thing is thing}
    fix = fix or " ".join(f"`{name}`" for name, each in THINGS.items() if each is thing)
    http = http or "<br>".join(
        f"`{route.method} {route.path}`" for route in ROUTES if route.thing is thing
    )
    stream = stream or " ".join(f"`{op}`" for op, where in OPERATIONS.items() if where in routes)
    return fix, http, stream
