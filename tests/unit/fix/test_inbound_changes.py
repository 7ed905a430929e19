"""F, G and q to commands, and why one is refused at the edge."""

from __future__ import annotations

import pytest

from engine.core.commands import CancelOrder, MassCancel, ReplaceOrder
from engine.core.types import (
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    Side,
    TimeInForce,
)
from tests.unit.fix.test_inbound_orders import read, refusal

R = RejectReason
ORIGIN = Origin("fix:ALICE", 3, 7)
F = "35=F|11=A2|55=BTC-USD|54=1|60=20260105-09:30:00"
G = "35=G|11=A2|55=BTC-USD|54=1|60=20260105-09:30:00|40=2"


def test_a_cancel_by_client_order_id_by_order_id_or_by_both() -> None:
    base = CancelOrder(ORIGIN, "alice", "A2", "", 0, "BTC-USD", Side.BUY)
    assert read(f"{F}|41=A1") == base._replace(orig_client_order_id="A1")
    assert read(f"{F}|37=12") == base._replace(order_id=12)
    assert read(f"{F}|41=A1|37=12") == base._replace(orig_client_order_id="A1", order_id=12)
    assert read(f"{F}|41=A1|37=NONE") == base._replace(orig_client_order_id="A1")
    assert read(f"{F}|41=A1|1=alice2").account == "alice2"


@pytest.mark.parametrize("kind", [F, G])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", R.INVALID_FIELD),
        ("|37=NONE", R.INVALID_FIELD),
        ("|37=abc", R.UNKNOWN_ORDER),
        ("|37=0", R.UNKNOWN_ORDER),
        ("|37=99999999999999999999", R.UNKNOWN_ORDER),
        ("|41=A1|1=bob", R.UNKNOWN_ACCOUNT),
    ],
)
def test_a_change_must_name_its_order(kind: str, line: str, reason: RejectReason) -> None:
    found = refusal(kind + line)
    request = RequestKind.CANCEL if kind is F else RequestKind.REPLACE
    assert (found.reason, found.request, found.client_order_id) == (reason, request, "A2")


@pytest.mark.parametrize("kind", [F, G])
def test_a_side_that_no_order_has_cannot_match(kind: str) -> None:
    found = refusal(f"{kind}|41=A1".replace("54=1", "54=5"))
    assert (found.reason, found.orig_client_order_id) == (R.MISMATCH, "A1")


@pytest.mark.parametrize("own_id", ["x" * 65, "a b", "a\tb"])
def test_the_id_of_a_request_is_checked(own_id: str) -> None:
    found = refusal(f"{F}|41=A1".replace("11=A2", f"11={own_id}"))
    assert found.reason is R.INVALID_CLIENT_ORDER_ID


def test_a_replace_with_everything_and_with_nothing() -> None:
    base = ReplaceOrder(ORIGIN, "alice", "A2", "A1", 0, "BTC-USD", Side.BUY, OrdType.LIMIT)
    assert read(f"{G}|41=A1") == base
    full = "|38=2|44=40000|99=39000|111=0.5|59=6|126=20260105-10:00:00|526=x|18=6|20005=1|1028=Y"
    assert read(f"{G}|41=A1{full}") == base._replace(
        tif=TimeInForce.GTD,
        qty=200_000,
        price=4_000_000,
        stop_price=3_900_000,
        display_qty=50_000,
        expire_at=1_767_607_200_000_000,
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("|38=0", R.INVALID_QUANTITY),
        ("|38=0.000001", R.INVALID_QUANTITY),
        (f"|38={'9' * 25}", R.QUANTITY_TOO_LARGE),
        ("|44=0.001", R.INVALID_PRICE),
        ("|99=x", R.INVALID_PRICE),
        ("|59=7", R.UNSUPPORTED_COMBINATION),
        ("|59=6", R.INVALID_EXPIRY),
        ("|59=1|126=20260105-10:00:00", R.INVALID_EXPIRY),
        ("|111=0", R.INVALID_QUANTITY),
        ("|21=3", R.UNSUPPORTED_COMBINATION),
    ],
)
def test_new_terms_must_have_a_form(line: str, reason: RejectReason) -> None:
    found = refusal(f"{G}|41=A1{line}")
    assert (found.reason, found.request) == (reason, RequestKind.REPLACE)
    assert found.orig_client_order_id == "A1"


def test_an_expiry_alone_may_change() -> None:
    assert read(f"{G}|41=A1|126=20260105-10:00:00").tif is None
    assert read(f"{G}|41=A1|126=20260105-10:00:00").expire_at == 1_767_607_200_000_000


def test_a_replace_of_an_unknown_symbol_is_refused() -> None:
    found = refusal(f"{G}|41=A1".replace("BTC-USD", "X"))
    assert found.reason is R.UNKNOWN_SYMBOL


Q = "35=q|11=Q1|60=20260105-09:30:00"


def test_a_mass_cancel_means_this_session_and_the_whole_firm_by_default() -> None:
    base = MassCancel(ORIGIN, "alice", "Q1", True, "fix:ALICE", "", None, "")
    assert read(f"{Q}|530=7") == base
    assert read(f"{Q}|530=7|20008=0") == base
    assert read(f"{Q}|530=7|20008=1") == base._replace(session="")
    assert read(f"{Q}|530=1|55=BTC-USD") == base._replace(symbol="BTC-USD")
    assert read(f"{Q}|530=7|54=2|526=mm") == base._replace(side=Side.SELL, strategy="mm")
    assert read(f"{Q}|530=7|1=alice2") == base._replace(account="alice2", firm_wide=False)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("|530=5", R.UNSUPPORTED_COMBINATION),
        ("", R.UNSUPPORTED_COMBINATION),
        ("|530=1", R.UNKNOWN_SYMBOL),
        ("|530=1|55=X", R.UNKNOWN_SYMBOL),
        ("|530=7|55=BTC-USD", R.INVALID_FIELD),
        ("|530=7|20008=2", R.INVALID_FIELD),
        ("|530=7|54=5", R.UNSUPPORTED_COMBINATION),
        ("|530=7|1=bob", R.UNKNOWN_ACCOUNT),
    ],
)
def test_a_mass_cancel_that_cannot_be_meant(line: str, reason: RejectReason) -> None:
    found = refusal(Q + line)
    assert (found.reason, found.request) == (reason, RequestKind.MASS_CANCEL)
