"""The loader: what the demo says, and that every wrong value is refused with its key."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from config.checks import notes
from config.settings import DEMO_FILE, Settings, SettingsError, ensure_data, load

DEMO = DEMO_FILE.read_text(encoding="utf-8")
PRODUCTION = (DEMO_FILE.parent / "production.example.toml").read_text(encoding="utf-8")
FIRMS = ("alice", "bob", "carol", "cert")


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "venue.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def load_text(folder: Path, text: str, mode: int = 0o600) -> Settings:
    return load(write(folder, text, mode), env={})


def refusal(folder: Path, text: str, mode: int = 0o600) -> str:
    with pytest.raises(SettingsError) as caught:
        load_text(folder, text, mode)
    return str(caught.value)


def changed(old: str, new: str, text: str = DEMO) -> str:
    assert old in text
    return text.replace(old, new, 1)


def production() -> str:
    """The example for production with every placeholder filled in."""
    text = PRODUCTION.replace("<tandem password>", PasswordHasher(1, 8, 1).hash("correct horse"))
    text = text.replace("<sha256 of the token>", hashlib.sha256(b"a token").hexdigest())
    text = text.replace("<32 bytes in base64>", base64.b64encode(bytes(32)).decode())
    return text.replace('secret = ""', f'secret = "{"5a" * 32}"')


def test_the_demo_is_what_clients_and_examples_expect() -> None:
    settings = load(env={})
    assert settings.environment == "demo"
    assert (settings.fix.host, settings.fix.port) == ("127.0.0.1", 9878)
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert (settings.stream.host, settings.stream.port) == ("127.0.0.1", 8081)
    assert settings.fix.comp_id == "TANDEM"
    assert {asset.asset: asset.scale for asset in settings.assets} == {
        "BTC": 8, "ETH": 8, "USD": 8,
    }  # fmt: skip
    assert [(i.symbol, i.tick, i.lot) for i in settings.instruments] == [
        ("BTC-USD", "0.01", "0.00001"),
        ("ETH-USD", "0.01", "0.0001"),
        ("ETH-BTC", "0.00001", "0.001"),
    ]
    hasher = PasswordHasher()
    for session in settings.sessions:
        market_data = "-MD" if session.kind == "market_data" else ""
        assert session.comp_id == session.username.upper() + market_data
        assert hasher.verify(session.password_hash, f"{session.username}-demo")
        assert session.reset_on_logon == (session.comp_id in ("CERT", "TAKER"))
        assert session.cancel_on_disconnect == 0
    assert [session.username for session in settings.sessions] == [
        *FIRMS, "taker", "alice", "bob", "carol",
    ]
    unit = 10**8
    for account in settings.accounts:
        assert (account.maker_fee_ppm, account.taker_fee_ppm) == (500, 1000)
        assert account.self_trade == 0
        if account.account in FIRMS:
            assert dict(account.grants) == {
                "BTC": 1_000 * unit, "ETH": 10_000 * unit, "USD": 100_000_000 * unit,
            }  # fmt: skip


def test_the_demo_keys_are_as_documented() -> None:
    keys = {key.key: key for key in load(env={}).keys}
    for firm in FIRMS:
        token = hashlib.sha256(f"demo-{firm}-read".encode()).hexdigest()
        assert keys[f"{firm}-read"].token_sha256 == token
        for scope in ("trade", "withdraw", "address", "approve"):
            key = keys[f"demo-{firm}-{scope}"]
            assert (key.account, key.secret) == (firm, f"{key.key}-secret")
            assert scope in key.scopes
        assert keys[f"demo-{firm}-approve"].user != keys[f"demo-{firm}-withdraw"].user
    assert keys["demo-operator"].secret == "demo-operator-secret"


def test_file_and_folder_come_from_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, changed("port = 9878", "port = 9900"))
    data = tmp_path / "elsewhere"
    settings = load(env={"TANDEM_CONFIG": str(path), "TANDEM_DATA": str(data)})
    assert (settings.file, settings.fix.port) == (path, 9900)
    assert settings.engine.socket == data / "engine.sock"
    assert settings.fix.store == data / "fix"
    assert settings.history.url == f"sqlite:///{data}/history.db"
    assert not data.exists()
    ensure_data(settings)
    assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("port = 9878", "port = 98780", ("fix.port", "<= 65535")),
        ("port = 9878", 'port = "9878"',
         ("fix.port", "expected a whole number, got text; write it without quotes")),
        ("port = 9878", "prot = 9878", ("fix.prot", "is not a known key; the nearest is port")),
        ('data = "data"', 'date = "data"', ("date", "is not a known key")),
        ('data = "data"', "data = 1", ("data", "the path of a folder")),
        ('environment = "demo"', 'environment = "prod"', ("environment", "'production'")),
        ('environment = "demo"', "", ("environment", "None")),
        ('day_roll = "00:00"', 'day_roll = "24:00"', ("venue.day_roll", "HH:MM")),
        ("scale = 8", "scale = 19", ("assets[0].scale", "<= 18")),
        ("scale = 8", "", ("assets[0].scale", "is missing")),
        ('stp = "none"', 'stp = "both"', ("accounts[0].stp", "'cancel_newest'")),
        ("maker_fee_ppm = 500", "maker_fee_ppm = 0.05",
         ("accounts[0].maker_fee_ppm", "expected a whole number, got a decimal number")),
        ('BTC = "1000",', "BTC = 1000,",
         ("accounts[0].grants", 'write it in quotes, as in "0.01" (in the table of alice)')),
        ('BTC = "1000",', 'BTC = "1e3",', ("accounts[0].grants.BTC", "plain decimal")),
        ('BTC = "1000",', 'DOGE = "1000",', ("accounts[0].grants.DOGE", "one of the assets")),
        ('withdrawal_step = "0.00000001"', 'withdrawal_step = "0"',
         ("networks[0].withdrawal_step", "more than zero")),
        ('withdrawal_fee = "0.0002"', 'withdrawal_fee = "0.000000001"',
         ("networks[0].withdrawal_fee", "more than 8 decimal places")),
        ('network = "bitcoin"', 'network = "Bit coin"', ("networks[0].network", "like bitcoin")),
        ('lot = "0.00001"', 'lot = "0.0000001"', ("instruments[0]", "whole number of USD")),
        ('quote = "USD"', 'quote = "EUR"', ("instruments[0].quote", "'EUR'")),
        ('max_qty = "10000"', 'max_qty = "1000000"', ("instruments[0]", "64 bits")),
        ('min_qty = "0.00001"', 'min_qty = "0.000015"', ("instruments[0]", "multiple")),
        ('comp_id = "BOB"', 'comp_id = "ALICE"', ("sessions[1].comp_id", "twice")),
        ('comp_id = "BOB"', 'comp_id = "TANDEM"', ("sessions[1].comp_id", "another name")),
        ('comp_id = "BOB"', 'comp_id = "../BOB"', ("sessions[1].comp_id", "like ALICE")),
        ('username = "alice"', 'username = ""', ("sessions[0].username", "1 to 64")),
        ('comp_id = "BOB"\naccount = "bob"', 'comp_id = "BOB"\naccount = "bobby"',
         ("sessions[1].account", "'bobby'")),
        ('user = "alice-approver"', 'user = "alice-treasurer"',
         ("keys[4].user", "cannot approve")),
        ('scopes = ["read", "approve"]', 'scopes = ["approve", "withdraw"]',
         ("keys[4].scopes", "cannot be in one key")),
        ('scopes = ["read"]', 'scopes = ["read", "trade"]', ("keys[0].scopes", "read only")),
        ('scopes = ["operator"]', 'scopes = ["read"]', ("keys[21].scopes", '["operator"]')),
        ('kind = "bearer"', 'kind = "basic"', ("keys[0].kind", "'ed25519'", "'basic'")),
        ("port = 8081", "port = 8080", ("stream.port", "http.port")),
        ('BTC-USD = "60000"', 'BTC-EUR = "60000"', ("bots.prices.BTC-EUR", "instruments")),
        ('BTC-USD = "60000"', 'BTC-USD = "60000.001"', ("bots.prices.BTC-USD", "tick 0.01")),
        ('{ BTC = "0.5"', '{ BTC = "half"', ("bots.quantities.BTC", "decimal text")),
        ('{ BTC = "0.5"', '{ EUR = "0.5"', ("bots.quantities.EUR", "base asset")),
        ('maker_key = "demo-maker-trade"', 'maker_key = "alice-read"',
         ("bots.maker_key", "may trade", "'alice-read'")),
        ('taker_comp_id = "TAKER"', 'taker_comp_id = "NOBODY"',
         ("bots.taker_comp_id", "FIX session")),
        ("seed = 1", "sead = 1", ("bots.sead", "is not a known key")),
        ('portions = { BTC = "1"', 'portions = { BTC = "0"', ("faucet.portions.BTC", "more than")),
        ('portions = { BTC = "1"', 'portions = { DOGE = "1"',
         ("faucet.portions.DOGE", "one of the assets")),
        ("portions_per_day = 10", "portions_per_day = 0", ("faucet.portions_per_day", ">= 1")),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_file_key_and_expectation(
    tmp_path: Path, old: str, new: str, expected: tuple[str, ...]
) -> None:
    message = refusal(tmp_path, changed(old, new))
    assert str(tmp_path / "venue.toml") in message
    for part in expected:
        assert part in message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = changed("port = 9878", "port = -1")
    text = changed("port = 8080", 'port = "x"', text)
    text = changed('tick = "0.01"', 'tick = "0"', text)
    message = refusal(tmp_path, text)
    for key in ("fix.port", "http.port", "instruments[0]"):
        assert key in message
    assert len(message.splitlines()) == 4


def test_a_file_that_cannot_be_read_or_parsed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", env={})
    assert "is not valid TOML" in refusal(tmp_path, "port = ")
    assert "expected a list of tables" in refusal(tmp_path, 'assets = "BTC"\n' + "x = 1")


def test_several_gateways_share_their_sessions_and_have_a_store_and_a_port_each(
    tmp_path: Path,
) -> None:
    one = load_text(tmp_path, DEMO).fix
    assert one.names == ("fix",) and not one.shared and one.inner_ports == (0,)
    assert one.stores == (one.store / "store",)
    several = load_text(tmp_path, changed("[fix]", "[fix]\ngateways = 3\ninner_port = 9000")).fix
    assert several.shared
    assert several.names == ("fix", "fix2", "fix3")
    assert several.stores == tuple(one.store / name for name in ("store", "store2", "store3"))
    assert several.inner_ports == (9000, 9001, 9002)


def test_gateways_that_there_cannot_be_are_refused(tmp_path: Path) -> None:
    assert "fix.gateways: expected" in refusal(tmp_path, changed("[fix]", "[fix]\ngateways = 0"))
    text = changed("[fix]", "[fix]\ngateways = 3\ninner_port = 8079")
    assert "expected another port than fix.inner_port, got 8080 for both" in refusal(tmp_path, text)
    text = changed("[fix]", "[fix]\ngateways = 3\ninner_port = 65534")
    assert "fix.inner_port: expected at most 65533" in refusal(tmp_path, text)


def test_a_wrong_secret_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    text = changed('secret = "demo-alice-trade-secret"', 'secret = "hunter2"')
    text = changed('password_hash = "$argon2id', 'password_hash = "hunter3$argon2id', text)
    message = refusal(tmp_path, text)
    assert "keys[1].secret" in message
    assert "sessions[0].password_hash" in message
    assert "hunter" not in message


def test_settings_do_not_show_secrets() -> None:
    text = repr(load(env={}))
    assert "argon2" not in text
    assert "secret" not in text


@pytest.mark.parametrize("section", ["fix", "http", "stream"])
@pytest.mark.parametrize("environment", ["demo", "test"])
def test_demo_secrets_keep_every_listener_on_loopback(
    tmp_path: Path, section: str, environment: str
) -> None:
    text = changed('environment = "demo"', f'environment = "{environment}"')
    head, _, tail = text.partition(f"[{section}]\n")
    text = f'{head}[{section}]\n{tail.replace("127.0.0.1", "0.0.0.0", 1)}'
    message = refusal(tmp_path, text)
    assert f"{section}.host: expected a loopback address" in message


def test_other_loopback_addresses_are_fine(tmp_path: Path) -> None:
    settings = load_text(tmp_path, DEMO.replace('"127.0.0.1"', '"::1"'))
    assert settings.fix.host == "::1"


def test_production_refuses_demo_secrets_by_what_they_are(tmp_path: Path) -> None:
    fresh = PasswordHasher(1, 8, 1).hash("alice-demo")
    shown = load(env={}).sessions[1].password_hash
    text = production()
    assert load_text(tmp_path, text).environment == "production"
    for old, new, key in (
        ('secret = "5a', 'secret = "demo-operator-secret" #', "keys[3].secret"),
        (hashlib.sha256(b"a token").hexdigest(),
         hashlib.sha256(b"demo-alice-read").hexdigest(), "keys[0].token_sha256"),
        ("correct horse", shown, "sessions[0].password_hash"),
        ("correct horse", fresh, "sessions[0].password_hash"),
    ):  # fmt: skip
        if old == "correct horse":
            start = text.index("$argon2id")
            end = text.index('"', start)
            bad = text[:start] + new + text[end:]
            bad = bad.replace('username = "example"', 'username = "alice"')
        else:
            bad = changed(old, new, text)
        message = refusal(tmp_path, bad)
        assert f"{key}: is a demo secret" in message


def test_the_example_for_production_is_refused_until_it_is_filled_in(tmp_path: Path) -> None:
    message = refusal(tmp_path, PRODUCTION)
    for key in ("sessions[0].password_hash", "keys[0].token_sha256", "keys[1].public_key",
                "keys[3].secret"):  # fmt: skip
        assert key in message


def test_production_has_neither_bots_nor_test_coins(tmp_path: Path) -> None:
    text = production()
    assert load_text(tmp_path, text).faucet.portions == ()
    message = refusal(tmp_path, text + '\n[faucet]\nportions = { BTC = "1" }\n')
    assert "faucet.portions: expected none" in message
    message = refusal(tmp_path, text + "\n[bots]\nenabled = true\n")
    assert "bots.enabled: expected false" in message


def test_bots_are_off_unless_they_are_asked_for() -> None:
    settings = load(env={})
    assert not settings.bots.enabled
    assert "taker-demo" not in repr(settings.bots)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602])
def test_production_refuses_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    assert f"got {mode:04o}" in refusal(tmp_path, production(), mode)


def test_a_production_file_for_a_group_to_read_is_fine(tmp_path: Path) -> None:
    assert load_text(tmp_path, production(), 0o640).fix.proxy_protocol
    assert os.stat(tmp_path / "venue.toml").st_mode & 0o777 == 0o640


def sub_account(more: str) -> str:
    """The demo whose firm alice is strict, and whose sub-account says ``more``."""
    strict = changed(
        'approval_above = { BTC = "10", ETH = "100", USD = "1000000" }',
        'approval_above = { BTC = "1" }\ndaily_limits = { BTC = "5" }\n'
        "require_known_address = true\naddress_cooloff_s = 60",
    )
    head, _, tail = strict.partition('account = "alice:desk"')
    old = 'approval_above = { BTC = "10", ETH = "100", USD = "1000000" }'
    return head + 'account = "alice:desk"' + tail.replace(old, more, 1)


def test_a_sub_account_that_is_looser_than_its_firm_is_noted(tmp_path: Path) -> None:
    loose = 'approval_above = { BTC = "10", USD = "1" }\ndaily_limits = { BTC = "6" }'
    found = notes(load_text(tmp_path, sub_account(loose)))
    assert [line.split(":")[0] for line in found] == [
        "accounts[6].approval_above.BTC", "accounts[6].daily_limits.BTC",
        "accounts[6].require_known_address", "accounts[6].address_cooloff_s",
    ]  # fmt: skip
    assert "10 is looser than 1 of alice, which holds for all accounts of the firm" in found[0]
    tight = (
        'approval_above = { BTC = "0.5" }\ndaily_limits = { BTC = "5" }\n'
        "require_known_address = true\naddress_cooloff_s = 61"
    )
    assert notes(load_text(tmp_path, sub_account(tight))) == []
    assert notes(load(env={})) == []


def test_a_firm_with_several_accounts_has_one_that_bears_its_name(tmp_path: Path) -> None:
    text = DEMO.replace('firm = "alice"', 'firm = "wonderland"')
    found = refusal(tmp_path, text)
    assert "accounts[0].firm: firm 'wonderland' has several accounts" in found


def test_what_refers_to_an_entry_that_is_wrong_is_not_wrong_itself(tmp_path: Path) -> None:
    text = changed('maker_fee_ppm = 500', 'maker_fee_ppm = "500"').replace(
        'scale = 8\n', 'scale = "8"\n', 1
    )
    with pytest.raises(SettingsError) as refused:
        load(write(tmp_path, text), env={})
    lines = str(refused.value).splitlines()[1:]
    assert len(lines) == 2, lines
    assert "in the table of BTC" in lines[0] and "in the table of alice" in lines[1]


def test_a_name_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    text = changed('account = "bob"\nusername', 'account = "bbo"\nusername')
    with pytest.raises(SettingsError, match=r"'bbo'; the nearest is bob"):
        load(write(tmp_path, text), env={})
