"""Price bands by REST and by FIX: one reason, and what is shown of them (rules P)."""

from __future__ import annotations

from pathlib import Path

from config.settings import DEMO_FILE, load
from engine.core.commands import DefineInstrument, SetReferencePrice
from tests.api.client import CallerOf
from tests.api.inprocess import ENGINE, InProcessEngine
from tests.support.fix_desk import FixDesk

ORDER = {"client_order_id": "x", "symbol": "BTC-USD", "side": "buy", "quantity": "1"}
DEFINE = DefineInstrument(ENGINE, "BTC-USD", "BTC", "USD", "0.01", "0.00001", 1, 100_000_000,
                          100_000_000, 100_000)  # fmt: skip


def shown(caller: CallerOf) -> list[str | None]:
    rows = caller("").get("/v1/instruments").ok()["instruments"]
    (row,) = [row for row in rows if row["symbol"] == "BTC-USD"]
    return [row["band"], row["reference_price"], row["band_low"], row["band_high"]]


def test_an_operator_sets_the_reference_and_rest_refuses_what_is_outside(
    caller: CallerOf, engine: InProcessEngine
) -> None:
    engine.submit(DEFINE)
    assert shown(caller) == ["0.1", None, None, None]
    alice, operator = caller("alice-trade"), caller("operator")
    path = "/v1/instruments/BTC-USD/reference-price"
    alice.put(path, {"price": "60000"}).problem(403, "insufficient_scope")
    operator.put(path, {"price": "0.001"}).problem(422, "invalid_price")
    answer = operator.put(path, {"price": "60000", "note": "opening"}).ok()
    assert (answer["symbol"], answer["reference_price"]) == ("BTC-USD", "60000")
    assert shown(caller) == ["0.1", "60000", "54000", "66000"]
    problem = alice.post("/v1/orders", ORDER | {"price": "66000.01"}).problem(
        422, "price_outside_band"
    )
    assert "54000 to 66000 of BTC-USD, which lies around 60000" in problem["detail"]
    alice.post("/v1/orders", ORDER | {"price": "54000"}).ok(201)
    alice.patch("/v1/orders/client:x", {"price": "53999.99"}).problem(422, "price_outside_band")


def test_fix_refuses_it_for_the_same_reason() -> None:
    desk = FixDesk()
    desk.apply(DEFINE)
    desk.apply(SetReferencePrice(ENGINE, "BTC-USD", 6_000_000))
    head = "55=BTC-USD|54=1|60=20260105-09:30:00|40=2|38=1"
    refused = desk.report("ALICE", f"35=D|11=A|{head}|44=66000.01")
    assert (refused["103"], refused["20016"]) == ("99", "price_outside_band")
    assert "54000 to 66000" in refused["58"]
    assert desk.report("ALICE", f"35=D|11=B|{head}|44=54000")["150"] == "0"
    refused = desk.report("ALICE", f"35=G|11=C|41=B|{head}|44=53999.99")
    assert (refused["102"], refused["20016"]) == ("99", "price_outside_band")
    desk.apply(SetReferencePrice(ENGINE, "BTC-USD", 9_000_000))
    told = [text for name, text in desk.send("BOB", f"35=D|11=S|{head.replace('54=1', '54=2')}"
            .replace("|40=2", "|40=1")) if name == "BOB"]  # fmt: skip
    assert "58=Canceled: what is left could only trade outside the price band" in told[-1]


def test_the_market_of_the_test_net_has_a_band_and_the_plain_demo_none(tmp_path: Path) -> None:
    plain = load(DEMO_FILE, {"TANDEM_DATA": str(tmp_path)})
    market = load(DEMO_FILE, {"TANDEM_DATA": str(tmp_path), "TANDEM_MARKET": "1"})
    assert {one.band_ppm for one in plain.instruments} == {0}
    assert market.bots.enabled
    simulated = market.simulation.symbol
    assert {one.symbol: one.band_ppm for one in market.instruments} == {
        **{one.symbol: 100_000 for one in plain.instruments}, simulated: 0,
    }  # fmt: skip
