"""What the configuration may say of market data by FIX, and what of it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.model import MarketData
from config.settings import DEMO_FILE, Settings, SettingsError, load

DEMO = DEMO_FILE.read_text(encoding="utf-8")
WHERE = {'comp_id = "ALICE"\n': "sessions[0]", 'comp_id = "ALICE-MD"\n': "sessions[5]"}
ORDERS, MARKET = WHERE


def loaded(folder: Path, more: str, after: str = ORDERS, text: str = DEMO) -> Settings:
    assert after in text
    path = folder / "venue.toml"
    path.write_text(text.replace(after, after + more, 1), encoding="utf-8")
    return load(path, env={})


def refusal(folder: Path, more: str, after: str = ORDERS, text: str = DEMO) -> str:
    """The one sentence that says what is wrong, without the file."""
    with pytest.raises(SettingsError) as caught:
        loaded(folder, more, after, text)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2, lines
    return lines[1].strip()


def test_an_order_session_has_no_market_data_unless_it_is_set(tmp_path: Path) -> None:
    session = loaded(tmp_path, "").sessions[0]
    assert (session.kind, session.market_data, session.conflation_ms) == ("order", False, 0)
    session = loaded(tmp_path, "market_data = true\nconflation_ms = 10\n").sessions[0]
    assert (session.market_data, session.conflation_ms) == (True, 10)


@pytest.mark.parametrize("interval", [0, 10, 100])
def test_a_market_data_session_chooses_its_interval(tmp_path: Path, interval: int) -> None:
    session = loaded(tmp_path, f"conflation_ms = {interval}\n", MARKET).sessions[5]
    assert (session.comp_id, session.kind) == ("ALICE-MD", "market_data")
    assert session.conflation_ms == interval


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("throttle_rate = 5", "throttle_rate: expected 0: it enters no orders"),
        ("reset_on_logon = true",
         "reset_on_logon: expected false: its numbers begin again with every Logon anyway"),
        ("cancel_on_disconnect = 1", "cancel_on_disconnect: expected 0: it enters no orders"),
        ("cancel_on_logout = false", "cancel_on_logout: expected true: it enters no orders"),
        ('reports = "firm"', 'reports: expected none or "own": it gets no reports'),
        ("market_data = true",
         "market_data: expected none: it reads the market and nothing else"),
    ],
)  # fmt: skip
def test_what_means_nothing_for_a_market_data_session_is_refused(
    tmp_path: Path, line: str, expected: str
) -> None:
    said = refusal(tmp_path, f"{line}\n", MARKET)
    assert said == f'sessions[5].{expected} (kind is "market_data")'


@pytest.mark.parametrize("interval", [10, 100])
def test_an_interval_without_market_data_is_refused(tmp_path: Path, interval: int) -> None:
    assert refusal(tmp_path, f"conflation_ms = {interval}\n") == (
        'sessions[0].conflation_ms: needs market_data = true, or kind = "market_data"'
    )


def test_a_drop_copy_has_no_market_data(tmp_path: Path) -> None:
    assert refusal(tmp_path, 'kind = "drop_copy"\nmarket_data = true\n') == (
        "sessions[0].market_data: expected false: a drop copy reads its firm's orders alone"
    )


@pytest.mark.parametrize("after", list(WHERE))
@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("conflation_ms = 50", ("conflation_ms", "50")),
        ("conflation_ms = -10", ("conflation_ms", "-10")),
        ('conflation_ms = "10"', ("conflation_ms",)),
        ("conflation = 10", ("conflation", "is not a known key", "conflation_ms")),
        ("market_data = 1", ("market_data", "expected true or false, got a whole number")),
        ('market_data = "true"', ("market_data", "expected true or false, got text")),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(
    tmp_path: Path, after: str, line: str, parts: tuple[str, ...]
) -> None:
    said = refusal(tmp_path, f"{line}\n", after)
    assert said.startswith(f"{WHERE[after]}.")
    for part in parts:
        assert part in said


@pytest.mark.parametrize("kind", ["market-data", "marketdata", "MARKET_DATA"])
def test_the_kind_is_written_in_one_way(tmp_path: Path, kind: str) -> None:
    said = refusal(tmp_path, f'kind = "{kind}"\n')
    assert said.startswith("sessions[0].kind") and kind in said and "'market_data'" in said


def test_the_bounds_are_a_table_of_their_own(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").market_data == MarketData()
    bounds = "\n[market_data]\nsubscriptions_max = 7\nslow_bytes = 4096\n"
    found = loaded(tmp_path, "", text=DEMO + bounds).market_data
    assert (found.subscriptions_max, found.slow_bytes, found.depth_max) == (7, 4096, 1_000)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("subscriptions_max = 0", "expected `int` >= 1"),
        ("symbols_max = 0", "expected `int` >= 1"),
        ("depth_max = 10001", "expected `int` <= 10000"),
        ("recent_trades_max = 0", "expected `int` >= 1"),
        ("slow_bytes = 4095", "expected `int` >= 4096"),
        ("unread_s_max = 0", "expected `int` >= 1"),
    ],
)
def test_a_bound_that_is_none_is_refused(tmp_path: Path, line: str, expected: str) -> None:
    said = refusal(tmp_path, "", text=f"{DEMO}\n[market_data]\n{line}\n")
    assert said.startswith(f"market_data.{line.split()[0]}: ")
    assert expected.split("` ")[1] in said
