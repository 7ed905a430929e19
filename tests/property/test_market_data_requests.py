"""Requests for market data, right and wrong in any way: what is read is what was meant.

A second reading of the rules says what is wrong with each request; what ``read`` refuses must be
one of that, with its reason, and what it grants must be what was asked for.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import quickfix
from hypothesis import given
from hypothesis import strategies as st

from fix_gateway.codec import market_data as render
from fix_gateway.codec.market_data_requests import (
    ENTRY_TYPES,
    REQUEST_ID_MAX,
    Bounds,
    MarketDataQuery,
    MarketQuery,
    MarketRequestError,
    SecurityStatusQuery,
    TradingSessionQuery,
    read,
)
from fix_gateway.codec.message import SOH, FixMessage
from tests.fix.hostile import VALUES, Hostile
from tests.support.fix_desk import wire_text

SEED: Final = int(os.environ.get("TANDEM_FUZZ_SEED", "1"))
MUTATIONS: Final = int(os.environ.get("TANDEM_MARKET_DATA_MUTATIONS", "3000"))
BOUNDS: Final = Bounds(symbols_max=3, depth_max=1000)
SYMBOLS: Final = ("BTC-USD", "ETH-USD", "ETH-BTC", "SOL-USD")
REASONS: Final = {"V": {"", *"0123456789ABC"}, "e": set("01234567"), "g": set("01234567")}
"""What 281 of Y and 380 of j may be in FIX 4.4; "" where Y has none that fits."""
ID_TAGS: Final = {"V": "262", "e": "324", "g": "335"}
TAGS: Final = ("262", "263", "264", "265", "266")
STOCK: Final = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"


@pytest.fixture(scope="module")
def stock() -> Any:
    """FIX 4.4 as QuickFIX brings it, which passes over tags of ours."""
    dictionary = quickfix.DataDictionary(str(STOCK))
    dictionary.checkUserDefinedFields(False)
    return dictionary


def hold_to(stock: Any, error: MarketRequestError) -> None:
    """Hold a refusal to what FIX 4.4 allows, and to what a person can use."""
    assert error.reason in REASONS[error.msg_type]
    answer = render.reject(error)
    assert answer.msg_type == ("Y" if error.msg_type == "V" else "j")
    message = quickfix.Message(
        wire_text(answer.msg_type, answer.body, "TANDEM", "READER", 2), stock, True
    )
    stock.validate(message)
    told = FixMessage(message.toString())
    if answer.msg_type == "Y":
        assert told.get("281") == error.reason
    else:
        assert (told.get("45"), told.get("372")) == (str(error.num), error.msg_type)
    text = told.get("58")
    assert text.isascii() and text.isprintable() and len(text) < 400
    assert text[0].isupper() and not text.endswith(".")


def values(*right: str) -> st.SearchStrategy[str]:
    """Mostly one of these, else something that has broken parsers; no value may hold SOH."""
    text = st.text(st.characters(exclude_characters=SOH, exclude_categories=["Cs"]), max_size=80)
    wrong = st.sampled_from([value for value in VALUES if SOH not in value]) | text
    return st.sampled_from(right) | st.sampled_from(right) | st.sampled_from(right) | wrong


REQUEST: Final = st.fixed_dictionaries({
    "262": values("r1", "r" * REQUEST_ID_MAX, "a=b"),
    "263": values("0", "1", "2"),
    "264": values("0", "1", "10", "1000"),
    "265": values("0", "1", ""),
    "266": values("Y", "N", ""),
    "kinds": st.lists(values(*ENTRY_TYPES), max_size=5) | st.just(list(ENTRY_TYPES)),
    "symbols": st.lists(values(*SYMBOLS), max_size=4) | st.permutations(SYMBOLS[:3]),
})  # fmt: skip


def request_text(fields: dict[str, Any]) -> str:
    """A MarketDataRequest as ``toString`` gives it; what is "" is left out."""
    head = "".join(f"{tag}={fields[tag]}{SOH}" for tag in TAGS if fields[tag])
    kinds = "".join(f"269={kind}{SOH}" for kind in fields["kinds"])
    symbols = "".join(f"55={symbol}{SOH}" for symbol in fields["symbols"])
    groups = f"267={len(fields['kinds'])}{SOH}{kinds}146={len(fields['symbols'])}{SOH}{symbols}"
    return f"8=FIX.4.4{SOH}9=0{SOH}35=V{SOH}34=7{SOH}{head}{groups}10=000{SOH}"


def faults(fields: dict[str, Any]) -> dict[str, set[str]]:
    """What is wrong with a request: reasons, each with the tags that the sentence may name."""
    found: dict[str, set[str]] = {}

    def wrong(reason: str, tag: str) -> None:
        found.setdefault(reason, set()).add(tag)

    kinds, symbols = fields["kinds"], fields["symbols"]
    if not all(text.isascii() for text in (*(fields[tag] for tag in TAGS), *kinds, *symbols)):
        wrong("", "ASCII")
    if len(fields["262"]) > 64:
        wrong("", "(262)")
    if fields["263"] not in ("0", "1", "2"):
        wrong("4", "(263)")
    if fields["263"] == "2":
        return found
    depth = fields["264"]
    if not (depth.isascii() and depth.isdecimal() and int(depth[:12]) <= 1000 and len(depth) < 10):
        wrong("5", "(264)")
    if fields["265"] not in ("0", "1") and (fields["265"] or fields["263"] == "1"):
        wrong("6", "(265)")
    if fields["266"] not in ("", "Y", "N"):
        wrong("7", "(266)")
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set("0124578B9"):
        wrong("8", "(269)")
    if not symbols or not set(symbols) <= set(SYMBOLS):
        wrong("0", "(55)")
    if len(set(symbols)) < len(symbols):
        wrong("", "(55)")
    if len(symbols) > 3:
        wrong("2", "(146)")
    return found


@given(REQUEST)
def test_a_request_is_granted_as_it_was_meant_or_refused_for_what_is_wrong(
    stock: Any, fields: dict[str, Any]
) -> None:
    wrong = faults(fields)
    try:
        query = read(request_text(fields), BOUNDS, SYMBOLS)
    except MarketRequestError as error:
        if fields["262"]:
            hold_to(stock, error)
        assert error.reason in wrong, error.text
        assert any(tag in error.text for tag in wrong[error.reason]), error.text
        assert (error.num, error.request_id) == (7, fields["262"])
        return
    assert not wrong
    if fields["263"] == "2":
        assert query == MarketDataQuery(7, fields["262"], "2")
        return
    assert query == MarketDataQuery(
        7, fields["262"], fields["263"], int(fields["264"]), fields["265"] == "1",
        fields["266"] != "N", tuple(fields["kinds"]), tuple(fields["symbols"]),
    )  # fmt: skip


@given(
    st.sampled_from("eg"), values("s1", "s" * REQUEST_ID_MAX), values("0", "1", "2"),
    values(*SYMBOLS), values("DAY", ""),
)  # fmt: skip
def test_a_request_for_a_state_is_granted_as_it_was_meant_or_refused_for_what_is_wrong(
    stock: Any, msg_type: str, request_id: str, subscription: str, symbol: str, session: str
) -> None:
    request_id = request_id or "s"
    own = f"55={symbol}{SOH}" if msg_type == "e" else f"336={session}{SOH}" if session else ""
    wrong = set()
    if not (request_id + subscription + own).isascii():
        wrong.add("ASCII")
    if len(request_id) > REQUEST_ID_MAX:
        wrong.add(f"({ID_TAGS[msg_type]})")
    if subscription not in ("0", "1", "2"):
        wrong.add("(263)")
    if msg_type == "e" and symbol not in SYMBOLS and subscription != "2":
        wrong.add("(55)")
    if msg_type == "g" and session not in ("DAY", ""):
        wrong.add("(336)")
    text = (
        f"8=FIX.4.4{SOH}9=0{SOH}35={msg_type}{SOH}34=7{SOH}{ID_TAGS[msg_type]}={request_id}{SOH}"
        f"{own}263={subscription}{SOH}10=000{SOH}"
    )
    try:
        query = read(text, BOUNDS, SYMBOLS)
    except MarketRequestError as error:
        hold_to(stock, error)
        assert any(each in error.text for each in wrong), (error.text, wrong)
        assert (error.num, error.msg_type, error.request_id) == (7, msg_type, request_id)
        return
    assert not wrong
    if msg_type == "e":
        assert query == SecurityStatusQuery(7, request_id, subscription, symbol)
    else:
        assert query == TradingSessionQuery(7, request_id, subscription)


def test_whatever_damage_a_request_has_it_is_read_or_refused(stock: Any) -> None:
    hostile = Hostile(SEED)
    granted = refused = 0
    for number in range(MUTATIONS):
        msg_type = "VVVeg"[number % 5]
        right = {
            "V": f"262=r{number}|263=1|264=10|265=1|266=Y|267=2|269=0|269=1|146=2|55=BTC-USD|"
                 "55=ETH-USD|",
            "e": f"324=s{number}|55=BTC-USD|263=1|",
            "g": f"335=t{number}|336=DAY|263=1|",
        }[msg_type].replace("|", SOH)  # fmt: skip
        whole = wire_text(msg_type, right, "READER", "TANDEM", 7).encode()
        text = hostile.reframed(whole).decode("latin-1")
        number_text = FixMessage(text).get("34")
        if not number_text.isdecimal() or len(number_text) > 9:
            continue  # QuickFIX lets none in without a number.
        try:
            query: MarketQuery | None = read(text, BOUNDS, SYMBOLS)
        except MarketRequestError as error:
            refused += 1
            if error.request_id:
                hold_to(stock, error)
            continue
        granted += 1
        hold_within_bounds(query, text)
    assert granted > MUTATIONS // 20 and refused > MUTATIONS // 20


def hold_within_bounds(query: MarketQuery | None, text: str) -> None:
    """Hold what was granted to the bounds and to the instruments that there are."""
    if query is None:
        assert FixMessage(text).msg_type not in ("V", "e", "g")
        return
    assert query.subscription in ("0", "1", "2")
    assert query.request_id.isascii() and len(query.request_id) <= REQUEST_ID_MAX
    if isinstance(query, MarketDataQuery) and query.subscription != "2":
        assert 0 <= query.depth <= BOUNDS.depth_max
        assert 0 < len(query.symbols) <= BOUNDS.symbols_max and set(query.symbols) <= set(SYMBOLS)
        assert query.entry_types and set(query.entry_types) <= set(ENTRY_TYPES)
    if isinstance(query, SecurityStatusQuery) and query.subscription != "2":
        assert query.symbol in SYMBOLS
