"""The FIX door against the table of authority: every message, kind of session and account."""

from __future__ import annotations

from typing import Any, Final, get_args

import pytest

from engine.core import authority
from engine.core.authority import Reach, SessionKind, Thing
from engine.core.commands import Batch, MassCancel, RecordRefusal
from engine.core.types import RejectReason
from fix_gateway.codec.context import HOLDERS, SessionContext
from fix_gateway.codec.decode import SUPPORTED, THINGS, translate
from fix_gateway.codec.requests import InvalidRequest
from tests.support.fix_desk import ACCOUNTS, DICTIONARY, STALE_AFTER_US, FixDesk, instruments
from tests.support.fix_settings import session_settings

WHEN = "60=20260105-09:30:00"
ORDER = f"55=BTC-USD|54=1|{WHEN}"
LINES: Final = {
    "D": f"11=a|{ORDER}|38=1|40=2|44=1",
    "F": f"11=b|41=a|{ORDER}",
    "G": f"11=c|41=a|{ORDER}|40=2|38=2",
    "q": f"11=d|530=7|{WHEN}",
    "E": f"66=e|394=3|68=1|73=1|11=f|67=1|{ORDER}|38=1|40=2|44=1",
    "UB": f"66=g|{WHEN}|20010=1|20011=D|11=h|55=BTC-USD|54=1|38=1|40=2|44=1",
    "H": "11=a|55=BTC-USD|54=1",
    "AF": "584=i|585=7",
    "x": "320=j|559=4",
    "AD": "568=k|569=0",
    "BB": "909=l",
    "UD": "20017=m",
    "V": "262=n|263=1|264=0|265=1|267=1|269=0|146=1|55=BTC-USD",
    "e": "324=o|55=BTC-USD|263=0",
    "g": "335=p|263=0",
}
NAMES_NO_ACCOUNT: Final = frozenset(("x", "UD", "V", "e", "g"))
IN_ENTRY: Final = {"E": ("11=f|", "11=f|1={}|"), "UB": ("11=h|", "11=h|1={}|")}


_REFUSALS: Final = {
    RejectReason.NOT_PERMITTED: "refused",
    RejectReason.UNKNOWN_ACCOUNT: "unreached",
}


def with_account(msg_type: str, account: str) -> str:
    """The message with Account(1), in its entry where it has entries."""
    line = LINES[msg_type]
    if msg_type in IN_ENTRY:
        before, after = IN_ENTRY[msg_type]
        # The order of a group's fields is that of the dictionary.
        return line.replace(before, after.format(account))
    return f"{line}|1={account}"


def session(kind: SessionKind, account: str) -> SessionContext:
    firm = ACCOUNTS[account]
    every = [name for name, owner in ACCOUNTS.items() if owner == firm]
    accounts = authority.accounts_of(account, firm, every)
    settings = session_settings(
        "X", account, firm, accounts, kind=kind, market_data=kind == "order"
    )
    return SessionContext(settings, STALE_AFTER_US)


def meant(context: SessionContext, msg_type: str, line: str) -> Any:
    desk = FixDesk(["ALICE"])
    text = desk.text("ALICE", f"35={msg_type}|{line}")
    return translate(text, context, 1, instruments(), desk.now)


def seen(found: Any) -> str:
    """``refused`` for the kind, ``unreached`` for the account, or ``done``."""
    entries = found.entries if isinstance(found, Batch) else [found]
    for each in entries:
        if isinstance(each, RecordRefusal):
            return _REFUSALS[each.reason]
        if isinstance(each, InvalidRequest):
            assert each.reason == ("3" if each.msg_type == "V" else "6")
            return "refused" if "not allowed on" in each.text else "unreached"
    return "done"


def test_every_message_has_its_row() -> None:
    assert set(THINGS) == SUPPORTED == set(LINES)


def test_every_kind_of_session_is_a_holder_of_the_table() -> None:
    assert set(HOLDERS) == set(get_args(SessionKind))
    assert set(HOLDERS.values()) == set(authority.Holder) - set(authority.SCOPES)
    assert DICTIONARY.is_file()


@pytest.mark.parametrize("account", ["alice", "alice2"])
@pytest.mark.parametrize("kind", get_args(SessionKind))
@pytest.mark.parametrize("msg_type", sorted(SUPPORTED))
def test_every_message_asks_the_table(msg_type: str, kind: SessionKind, account: str) -> None:
    context = session(kind, account)
    allowed = authority.reach(HOLDERS[kind], THINGS[msg_type]) is not Reach.NONE
    assert context.may(THINGS[msg_type]) is allowed
    assert seen(meant(context, msg_type, LINES[msg_type])) == ("done" if allowed else "refused")
    if msg_type in NAMES_NO_ACCOUNT:
        return
    for other, firm in ACCOUNTS.items():
        reached = authority.reaches(account, ACCOUNTS[account], other, firm)
        wanted = "refused" if not allowed else "done" if reached else "unreached"
        assert seen(meant(context, msg_type, with_account(msg_type, other))) == wanted, other


@pytest.mark.parametrize(("account", "firm_wide"), [("alice", True), ("alice2", False)])
def test_a_mass_cancel_without_account_is_for_what_the_session_reaches(
    account: str, firm_wide: bool
) -> None:
    command = meant(session("order", account), "q", LINES["q"])
    assert isinstance(command, MassCancel)
    assert (command.account, command.firm_wide) == (account, firm_wide)


def test_a_sub_accounts_drop_copy_hears_of_its_own_account_alone() -> None:
    desk = FixDesk()
    copy = session("drop_copy", "alice2")
    for comp_id in ("ALICE", "ALICE2"):
        desk.send(comp_id, f"35=D|{LINES['D']}")
    from fix_gateway.codec.routing import messages

    told = [len(messages(each, copy, desk.instruments)) for each in desk.transactions[-2:]]
    assert told == [0, 1]
    assert not copy.may(Thing.CANCEL_ON_DISCONNECT)


@pytest.mark.parametrize("msg_type", ["V", "e", "g"])
def test_an_order_session_reads_the_market_only_where_its_setting_says_so(msg_type: str) -> None:
    settings = session_settings("X", "alice", kind="order")
    found = meant(SessionContext(settings, STALE_AFTER_US), msg_type, LINES[msg_type])
    assert isinstance(found, InvalidRequest)
    assert found.text == (
        f"MsgType(35) {msg_type} is not allowed on this session; its setting market_data is false"
    )
