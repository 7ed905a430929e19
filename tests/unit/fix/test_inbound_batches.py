"""NewOrderList(E) and OrderBatch(UB) to batches."""

from __future__ import annotations

import pytest

from engine.core.commands import Batch, CancelOrder, NewOrder, RecordRefusal, ReplaceOrder
from engine.core.types import BatchMode, RejectReason, RequestKind
from engine.wire import decode_command, encode_command
from tests.support.fix_desk import FixDesk
from tests.unit.fix.test_inbound_orders import read, refusal

R = RejectReason
ORDER = "55=BTC-USD|54=1|38=1|40=2|44=40000|59=1"


def listed(count: int, total: int | None = None, more: str = "") -> str:
    rows = "|".join(f"11=L{n}|67={n}|{ORDER}" for n in range(1, count + 1))
    return f"35=E|66=LIST|394=3|68={count if total is None else total}{more}|73={count}|{rows}"


def test_a_list_of_orders_becomes_a_batch() -> None:
    found = read(listed(3))
    assert isinstance(found, Batch)
    assert (found.batch_id, found.mode, found.account) == ("LIST", BatchMode.INDEPENDENT, "alice")
    assert [entry.client_order_id for entry in found.entries] == ["L1", "L2", "L3"]
    assert all(isinstance(entry, NewOrder) for entry in found.entries)


def test_creates_replaces_and_cancels_go_into_one_batch() -> None:
    found = read(
        "35=UB|66=B|60=20260105-09:30:00|20009=1|20010=4|"
        f"20011=D|11=a|{ORDER}|20011=G|11=b|41=x|55=ETH-USD|54=2|38=2|"
        "20011=F|11=c|37=5|55=BTC-USD|54=1|20011=D|11=d|55=BTC-USD|54=1|38=1|40=2|44=1.001"
    )
    assert isinstance(found, Batch)
    assert found.mode is BatchMode.VALIDATE_ALL
    kinds = [type(entry) for entry in found.entries]
    assert kinds == [NewOrder, ReplaceOrder, CancelOrder, RecordRefusal]
    last = found.entries[3]
    assert isinstance(last, RecordRefusal)
    assert (last.request, last.reason, last.client_order_id) == (
        RequestKind.NEW, R.INVALID_PRICE, "d",
    )  # fmt: skip
    assert decode_command(5, encode_command(found)) == found


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (listed(2).replace("394=3", "394=1"), "BidType(394) 1 is not supported"),
        (listed(2, 3), "TotNoOrders(68) is 3, but the message has 2 orders"),
        (listed(2).replace("67=2", "67=3"), "ListSeqNo(67) of order 2 is 3"),
        (listed(51), "A batch has 1 to 50 entries; this one has 51"),
        (listed(1, more="|20009=7"), "BatchMode(20009) 7 is neither"),
        ("35=UB|66=B|60=x", "A batch has 1 to 50 entries; this one has 0"),
        (f"35=UB|66=B|20010=1|20011=X|11=a|{ORDER}", "BatchAction(20011) X is not one of"),
    ],
)
def test_a_batch_that_is_refused_as_a_whole(line: str, text: str) -> None:
    found = refusal(line)
    assert (found.reason, found.request) == (R.INVALID_BATCH, RequestKind.BATCH)
    assert text in found.text


def test_the_id_of_a_batch_is_checked() -> None:
    assert refusal(listed(1).replace("66=LIST", "66=a b")).reason is R.INVALID_CLIENT_ORDER_ID


def test_fifty_entries_fit() -> None:
    found = read(listed(50))
    assert isinstance(found, Batch)
    assert len(found.entries) == 50


def test_an_old_copy_of_a_batch_is_refused_whole() -> None:
    found = refusal(listed(2).replace("35=E", "35=E|43=Y|122=20250101-00:00:00"))
    assert (found.reason, found.request) == (R.STALE_RESEND, RequestKind.BATCH)


def test_batches_survive_quickfix() -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", listed(50))
    assert isinstance(desk.command, Batch)
    assert [entry.client_order_id for entry in desk.command.entries] == [
        f"L{n}" for n in range(1, 51)
    ]
    rows = "|".join(f"20011=F|11=c{n}|41=L{n}|55=BTC-USD|54=1" for n in range(1, 51))
    told = desk.send("ALICE", f"35=UB|66=B2|60=20260105-09:30:00|20010=50|{rows}")
    assert len(told) == 51
    assert told[-1][1].startswith("35=UC|66=B2|20014=0|20015=50|")


def test_a_batch_of_two_accounts_of_the_firm() -> None:
    desk = FixDesk(["ALICE"])
    rows = f"20011=D|11=a|{ORDER}|20011=D|11=b|1=alice2|{ORDER}"
    told = desk.send("ALICE", f"35=UB|66=B|60=20260105-09:30:00|20010=2|{rows}")
    assert ["|1=alice|" in text for _, text in told[:2]] == [True, False]
    assert "|1=alice2|" in told[1][1]


def test_orders_of_a_list_that_trade_with_each_other_are_shown_as_they_end() -> None:
    desk = FixDesk(["BOB"])
    told = desk.send(
        "BOB",
        "35=E|66=L|394=3|68=2|73=2|11=s|67=1|55=BTC-USD|54=2|38=1|40=2|44=40000|59=1|"
        "11=b|67=2|55=BTC-USD|54=1|38=3|40=2|44=40000|59=3",
    )
    status = told[-1][1]
    assert "|431=6|" in status
    assert "|11=s|14=1|39=2|151=0|84=0|6=40000|" in status
    assert "|11=b|14=1|39=4|151=0|84=2|6=40000|" in status
