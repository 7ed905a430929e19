"""The operator's commands on a running venue, as they are typed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from account_api.security.keystore import KeyStore, StoredKey
from config.settings import Cluster, load
from engine.client import EngineClient, EngineRefused, queries
from engine.core.commands import NewOrder, RequestWithdrawal
from engine.core.types import (
    ClusterStatus,
    MemberRow,
    OrdType,
    Origin,
    Side,
    TimeInForce,
)
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from tandem import cluster_certificates, http_client
from tandem.__main__ import main
from tandem.backup import backup
from tandem.demo.venue import TemporaryVenue
from tandem.metrics import certificate_families, cluster_families
from tandem.output import CommandError
from tandem.up import environment
from tests.fix.rawfix import Closed, RawFix, now_text
from tests.support import pace
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("venues")
ROOT = Path(__file__).parent.parent.parent
SMALL = {"[fix]\n": "[engine]\nsnapshot_every = 60\nsegment_records_max = 50\n\n[fix]\n"}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryVenue]:
    with TemporaryVenue(tmp_path_factory.mktemp("operate"), print, SMALL) as one:
        yield one


@pytest.fixture(scope="module")
def engine(venue: TemporaryVenue) -> Iterator[EngineClient]:
    client = EngineClient(str(venue.settings.engine.socket), "test", timeout_s=pace.seconds(5))
    yield client
    client.close()


class Done(NamedTuple):
    """What a command printed and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def tandem(venue: TemporaryVenue, *words: str) -> Done:
    """Run a command in this process, which saves the second that Python takes to start."""
    out, err = io.StringIO(), io.StringIO()
    env = {"TANDEM_CONFIG": str(venue.settings.file), "TANDEM_DATA": str(venue.settings.data)}
    with (
        mock.patch.dict(os.environ, {**env, "COLUMNS": "200"}),
        mock.patch.object(sys, "argv", ["tandem", *words]),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
    ):  # fmt: skip
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def told(venue: TemporaryVenue, *words: str) -> str:
    done = tandem(venue, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(venue: TemporaryVenue, *words: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(told(venue, *words, "--json"))
    return found


def scrape(venue: TemporaryVenue) -> dict[tuple[str, ...], float]:
    """(name, label values…) → value."""
    metrics = venue.settings.metrics
    answer = requests.get(f"http://{metrics.host}:{metrics.port}/metrics", timeout=pace.seconds(10))
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def order(number: int) -> NewOrder:
    return NewOrder(
        Origin("api:test"), "carol", f"op-{number}", "BTC-USD", Side.BUY, OrdType.LIMIT,
        TimeInForce.GTC, 10, 100,
    )  # fmt: skip


def test_accounts_and_the_money_of_one(venue: TemporaryVenue) -> None:
    assert "alice" in {row["account"] for row in rows(venue, "accounts")}
    money = {row["asset"]: row["posted"] for row in rows(venue, "accounts", "bob")}
    assert money == {"BTC": "1000", "ETH": "10000", "USD": "100000000"}
    assert "1000" in told(venue, "accounts", "bob")
    unknown = tandem(venue, "accounts", "nobody")
    assert unknown.returncode == 1
    assert unknown.stderr == (
        "tandem: there is no account nobody; `tandem accounts` lists them\n"
    )


def test_keys_are_listed_without_their_secrets(venue: TemporaryVenue) -> None:
    text = told(venue, "keys", "--json")
    assert {"demo-alice-trade", "demo-operator"} <= {row["key"] for row in json.loads(text)}
    for key in venue.settings.keys:
        for secret in (key.secret, key.token_sha256, key.public_key):
            assert not secret or secret not in text


def test_a_key_is_revoked_in_the_running_venue(venue: TemporaryVenue) -> None:
    def status() -> int:
        signer = http_client.signer("demo-carol-address", None, venue.settings.file)
        base = http_client.base_url(venue.settings)
        target = "/v1/balances"
        return http_client.send(base, signer, "GET", target, b"")[0]

    assert status() == 200
    assert told(venue, "keys", "revoke", "demo-carol-address") == (
        "demo-carol-address is revoked.\n"
    )
    assert status() == 401
    assert "was revoked at" in told(venue, "keys", "revoke", "demo-carol-address")
    states = {row["key"]: row["state"] for row in rows(venue, "keys")}
    assert (states["demo-carol-address"], states["demo-carol-trade"]) == ("revoked", "active")
    unknown = tandem(venue, "keys", "revoke", "nobody")
    assert unknown.stderr == "tandem: there is no API key nobody; `tandem keys` lists them\n"


def test_what_a_key_made_is_revoked_with_it(venue: TemporaryVenue) -> None:
    keys = KeyStore(str(venue.settings.data / "keys.db"), str(venue.settings.data / "keys.master"))
    for key, maker in (("tk-maker", "demo-carol-trade"), ("tk-made", "tk-maker")):
        keys.add(
            StoredKey(
                key, key, "hmac", "carol", "carol", "u", ("read",), (), "active", 1, maker,
                secret=b"a secret of some length",
            )
        )  # fmt: skip
    keys.close()
    assert told(venue, "keys", "revoke", "tk-maker", "--descendants") == (
        "tk-maker is revoked.\ntk-made, which it or one of its keys made, is revoked.\n"
    )
    states = {row["key"]: row["state"] for row in rows(venue, "keys")}
    assert (states["tk-maker"], states["tk-made"]) == ("revoked", "revoked")
    assert states["demo-carol-trade"] == "active"


def test_accounts_are_suspended_and_act_again(venue: TemporaryVenue) -> None:
    def status(name: str) -> str:
        return {row["account"]: row["status"] for row in rows(venue, "accounts")}[name]

    with RawFix((venue.settings.fix.host, venue.settings.fix.port), "BOB") as bob:
        bob.logon(reset=True)
        bob.order("s-1", price="1")
        assert bob.expect("8")["150"] == "0"
        said = told(venue, "suspend", "bob", "alice:desk", "--note", "runaway")
        assert re.fullmatch(
            r"bob is suspended as of sequence \d+; canceled: 1 orders, 0 withdrawals\.\n"
            r"alice:desk is suspended as of sequence \d+; canceled: 0 orders, 0 withdrawals\.\n",
            said,
        )
        assert bob.expect("8")["58"] == "Canceled by the venue"
        assert (status("bob"), status("alice:desk"), status("alice")) == (
            "suspended", "suspended", "active",
        )  # fmt: skip
        assert told(venue, "suspend", "bob", "--keep-open") == "bob was suspended already.\n"
        refused = tandem(venue, "resume", "bob", "nobody")
        assert refused.returncode == 1
        assert "there is no account nobody, so nothing was done" in refused.stderr
        assert status("bob") == "suspended"
        told(venue, "resume", "bob", "alice:desk")
        assert (status("bob"), status("alice:desk")) == ("active", "active")
        bob.order("s-2", price="1")
        assert bob.expect("8")["150"] == "0"
        bob.send("F", f"11=s-3|41=s-2|55=BTC-USD|54=1|60={now_text()}|")
        assert bob.expect("8")["150"] == "4"
        bob.logout()


def test_orders_of_fix_and_of_rest_are_the_same_orders(venue: TemporaryVenue) -> None:
    signer = http_client.signer("demo-bob-trade", None, venue.settings.file)
    base = http_client.base_url(venue.settings)

    def rest(method: str, target: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        raw = json.dumps(body).encode() if body else b""
        status, text = http_client.send(base, signer, method, target, raw)
        assert status < 300, text
        found: dict[str, Any] = json.loads(text)
        return found

    with RawFix((venue.settings.fix.host, venue.settings.fix.port), "BOB") as bob:
        bob.logon(reset=True)
        # Entered by FIX; seen, replaced and canceled by REST, under the same client order id.
        bob.order("x-1")
        number = bob.expect("8")["37"]
        row = rest("GET", "/v1/orders/client:x-1")
        assert (row["order_id"], row["entered_by"], row["price"]) == (number, "fix:BOB", "100")
        assert rest("PATCH", "/v1/orders/client:x-1", {"price": "99"})["price"] == "99"
        replaced = bob.expect("8")
        assert (replaced["150"], replaced["37"], replaced["44"]) == ("5", number, "99")
        rest("DELETE", "/v1/orders/client:x-1")
        canceled = bob.expect("8")
        assert (canceled["150"], canceled["37"], canceled["11"]) == ("4", number, "x-1")
        # Entered by REST; seen, replaced and canceled by FIX.
        number = rest(
            "POST", "/v1/orders",
            {"client_order_id": "y-1", "symbol": "BTC-USD", "side": "buy", "quantity": "0.01",
             "price": "100"},
        )["order_id"]  # fmt: skip
        bob.send("H", "790=q|11=y-1|55=BTC-USD|54=1|")
        seen = bob.expect("8")
        assert (seen["150"], seen["37"], seen["11"]) == ("I", number, "y-1")
        bob.send("G", f"41=y-1|{bob.order_fields('y-2', price='98')}")
        assert (replaced := bob.expect("8"))["150"] == "5" and replaced["37"] == number
        row = rest("GET", "/v1/orders/client:y-1")
        assert (row["client_order_id"], row["first_client_order_id"]) == ("y-2", "y-1")
        assert row["price"] == "98"
        bob.send("F", f"41=y-2|11=y-3|55=BTC-USD|54=1|60={replaced['60']}|38=0.01|")
        assert (bob.expect("8")["150"], rest("GET", f"/v1/orders/{number}")["status"]) == (
            "4", "canceled",
        )  # fmt: skip
        bob.logout()


def test_a_session_is_kicked_reset_and_comes_back_at_1(venue: TemporaryVenue) -> None:
    address = (venue.settings.fix.host, venue.settings.fix.port)
    alice = RawFix(address, "ALICE")
    alice.logon()

    def connected() -> str:
        return {row["session"]: row["connected"] for row in rows(venue, "sessions")}["ALICE"]

    until(lambda: connected() == "yes", "the session is not shown")
    refused = tandem(venue, "sessions", "reset", "ALICE")
    assert refused.stderr == "tandem: fix refuses: ALICE is logged on; kick it first\n"
    assert told(venue, "sessions", "kick", "ALICE") == "ALICE was logged out.\n"
    assert alice.expect("5")["58"] == "The operator has ended this connection"
    with pytest.raises(Closed):
        alice.receive()
    before = {row["session"]: int(row["epoch"]) for row in rows(venue, "sessions")}["ALICE"]
    said = told(venue, "sessions", "reset", "ALICE")
    assert said == f"ALICE begins at 1, in epoch {before + 1}. Tell the client to do the same.\n"
    again = RawFix(address, "ALICE")
    assert again.logon()["34"] == "1"
    again.socket.close()
    assert "was not logged on" in told(venue, "sessions", "kick", "BOB")
    assert "there is no session NOBODY" in tandem(venue, "sessions", "kick", "NOBODY").stderr


def test_an_instrument_is_halted_and_resumed(venue: TemporaryVenue) -> None:
    said = told(venue, "instruments", "halt", "ETH-BTC", "--note", "maintenance")
    assert said.startswith("ETH-BTC is halted as of sequence ")
    assert told(venue, "instruments", "halt", "ETH-BTC") == "ETH-BTC was halted already.\n"
    status = {row["symbol"]: row["status"] for row in rows(venue, "instruments")}
    assert status == {"BTC-USD": "open", "ETH-USD": "open", "ETH-BTC": "halted"}
    assert scrape(venue)["tandem_instrument_halted", "ETH-BTC"] == 1
    assert "is open as of" in told(venue, "instruments", "resume", "ETH-BTC")
    assert tandem(venue, "instruments", "halt", "XXX-USD").returncode == 1


def test_P2_an_operator_sets_a_reference_price(venue: TemporaryVenue) -> None:
    said = told(venue, "instruments", "reference", "ETH-BTC", "0.05", "--note", "opening")
    assert said == (
        "The reference price of ETH-BTC is 0.05; it has no price band, so this bounds nothing.\n"
    )
    for arguments, sentence in (
        (("ETH-BTC", "5.5e1"), "price '5.5e1' is not a plain decimal number such as 1 or 0.5"),
        (("XXX-USD", "1"), "there is no instrument 'XXX-USD'; there are BTC-USD, ETH-BTC, ETH-USD"),
    ):
        refused = tandem(venue, "instruments", "reference", *arguments)
        assert (refused.returncode, refused.stderr) == (1, f"tandem: {sentence}\n")


def test_withdrawals_that_wait_for_a_person(venue: TemporaryVenue, engine: EngineClient) -> None:
    engine.submit(
        RequestWithdrawal(
            Origin("api:test", user="alice-treasurer"), "alice", "op-w", "BTC", "bitcoin",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 20 * 10**8,
        )
    )  # fmt: skip
    (waiting,) = rows(venue, "withdrawals", "--waiting")
    assert (waiting["client_id"], waiting["amount"]) == ("op-w", "20 BTC")
    assert (waiting["state"], waiting["requested_by"]) == ("pending_approval", "alice-treasurer")
    assert scrape(venue)["tandem_withdrawals_open", "pending_approval"] == 1


def test_every_process_is_measured(venue: TemporaryVenue) -> None:
    for name in ("engine", "history", "fix", "api", "stream", "settlement", "webhooks"):
        until(lambda name=name: scrape(venue)["tandem_up", name] == 1, name)
    metrics = scrape(venue)
    seq = metrics["tandem_engine_seq",]
    assert seq > 0
    assert metrics["tandem_engine_commit_seconds_bucket", "+Inf"] == metrics[
        "tandem_engine_commit_seconds_count",
    ]
    until(lambda: scrape(venue)["tandem_history_seq", "history"] >= seq, "history is behind")
    until(lambda: scrape(venue)["tandem_stream_seq", "stream"] >= seq, "stream is behind")
    assert metrics["tandem_fix_session_connected", "fix", "BOB"] == 0


def test_the_dashboard_and_the_alerts_use_metrics_that_exist(
    venue: TemporaryVenue, tmp_path: Path
) -> None:
    http = venue.settings.http
    requests.get(f"http://{http.host}:{http.port}/healthz", timeout=pace.seconds(10))
    metrics = venue.settings.metrics
    answer = requests.get(f"http://{metrics.host}:{metrics.port}/metrics", timeout=pace.seconds(10))
    # A family is named also while it has nothing to show, as when no withdrawal is open.
    known = set(re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE))
    known |= {name for name, *_ in scrape(venue)}
    # A single machine has none of these.
    row = MemberRow("a", "10.0.0.1:9470", True, "leader", 1, 1, 0, 0)
    member = ClusterStatus("a", "leader", 1, "a", "", 1, 1, (row,), alarms=("NOSPACE",))
    tls = tmp_path / "tls"
    cluster_certificates.make(tls, {"a": ["127.0.0.1"]}, 30)
    of = tls / "a"
    files = Cluster(
        name="v", node="a", address="a:1", etcd=("a:2",), ca=of / cluster_certificates.CA,
        certificate=of / cluster_certificates.CERTIFICATE, key=of / cluster_certificates.KEY,
    )  # fmt: skip
    families = [*cluster_families(member), *certificate_families(files)]
    known |= {family.name for family in families}
    left_s = [sample.value - time.time() for sample in families[-1].samples]
    assert len(left_s) == 2 and min(left_s) > 29 * 86_400 and max(left_s) < 11_000 * 86_400
    words = (ROOT / "config/prometheus/rules.yml").read_text()
    words += (ROOT / "config/grafana/tandem.json").read_text()
    used = set(re.findall(r"\b(?:tandem|process)_[a-z_]+\b", words))
    assert len(used) > 20
    assert used - known == set()


def test_a_backup_of_the_running_venue_can_be_restored_and_started(
    venue: TemporaryVenue, engine: EngineClient, tmp_path: Path
) -> None:
    for number in range(40):
        engine.submit(order(number))
    seq = engine.fetch(queries.Status()).value.seq
    keys = KeyStore(str(venue.settings.data / "keys.db"), str(venue.settings.data / "keys.master"))
    keys.add(
        StoredKey(
            "tk-1", "desk", "hmac", "carol", "carol", "u", ("read",), (), "active", 1, "test",
            secret=b"a secret that no backup opens",
        )
    )  # fmt: skip
    keys.revoke("demo-carol-approve", "test", 1)
    keys.close()
    said = told(venue, "backup", str(tmp_path / "copy"))
    assert "audited: every byte is as written" in said and "keys.master" in said
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    assert manifest["last_seq"] >= seq
    settings = load(venue.settings.file, environment(venue.settings.file, tmp_path / "new"))
    with pytest.raises(CommandError, match="is not empty"):
        backup(settings, tmp_path / "copy", print)
    told(venue, "restore", str(tmp_path / "copy"), "--data", str(tmp_path / "new"))
    # What was revoked is so after a restore; what was secret stays behind.
    assert not (tmp_path / "new" / "keys.master").exists()
    keys = KeyStore(str(tmp_path / "new" / "keys.db"), str(tmp_path / "new" / "keys.master"))
    assert "demo-carol-approve" in keys.revocations()
    kept = keys.find("tk-1")
    assert kept is not None and kept.secret == b""
    keys.close()
    journal = LocalJournal(tmp_path / "new" / "journal", segment_records_max=50)
    try:
        exchange, _ = recover(
            journal, tmp_path / "new" / "journal" / "snapshots", print, lambda *a: None
        )
        assert exchange.state_hash() == manifest["state_hash"]
    finally:
        journal.close()
    state = json.loads((tmp_path / "new" / "fix" / "store" / "gateway.state").read_text())
    assert (state["boot_id"], state["clean"]) == ("restored", False)
    over = tandem(venue, "restore", str(tmp_path / "copy"), "--data", str(tmp_path / "new"))
    assert "is not empty" in over.stderr


def test_a_damaged_backup_is_not_restored(venue: TemporaryVenue, tmp_path: Path) -> None:
    told(venue, "backup", str(tmp_path / "copy"))
    history = tmp_path / "copy" / "history.db"
    data = bytearray(history.read_bytes())
    data[len(data) // 2] ^= 1
    history.write_bytes(data)
    done = tandem(venue, "restore", str(tmp_path / "copy"), "--data", str(tmp_path / "new"))
    assert done.stderr == "tandem: the backup is not what was written: history.db\n"
    assert not (tmp_path / "new").exists()


def test_the_journal_is_exported_as_json(venue: TemporaryVenue, engine: EngineClient) -> None:
    lines = told(venue, "journal", "export", "--from", "2", "--to", "4").splitlines()
    found = [json.loads(line) for line in lines]
    assert [each["seq"] for each in found] == [2, 3, 4]
    assert found[0]["command"]["kind"] == "DefineAsset"
    everything = told(venue, "journal", "export").splitlines()
    assert len(everything) >= engine.fetch(queries.Status()).value.seq - 5
    assert any('"kind": "NewOrder"' in line and '"side": "buy"' in line for line in everything)


def test_old_segments_are_archived_while_the_venue_runs(
    venue: TemporaryVenue, engine: EngineClient, tmp_path: Path
) -> None:
    folder = venue.settings.engine.journal

    def newest() -> str:
        return max((path.name for path in (folder / "snapshots").glob("*.snapshot")), default="")

    # While one snapshot is written, none that comes due is begun: each is waited for.
    for first in (100, 200, 300):
        before_these = newest()

        def is_written(before: str = before_these) -> bool:
            return newest() > before

        for number in range(first, first + 100):
            engine.submit(order(number))
        until(is_written, "no snapshot")
    until(lambda: len(list((folder / "snapshots").glob("*.snapshot"))) == 3, "not 3 are kept")
    before = sorted(path.name for path in folder.glob("*.segment"))
    seq = engine.fetch(queries.Status()).value.seq
    until(lambda: scrape(venue)["tandem_history_seq", "history"] >= seq, "history is behind")

    def archived() -> bool:
        # The gateway writes down how far its sessions are once a second.
        return "segments archived" in told(venue, "journal", "archive", str(tmp_path / "old"))

    until(archived, "nothing was archived")
    after = sorted(path.name for path in folder.glob("*.segment"))
    moved = sorted(path.name for path in (tmp_path / "old").glob("*.segment"))
    assert moved and [*moved, *after] == before
    assert engine.fetch(queries.Status()).value.first_seq == int(after[0].removesuffix(".segment"))
    refused = tandem(venue, "journal", "export", "--from", "1")
    assert "seq 1 was archived" in refused.stderr
    assert engine.submit(order(999)).transaction.seq > seq
    assert "Every byte is as it was written" in told(venue, "journal", "verify")
    assert "All invariants hold" in told(venue, "check")


def test_the_engine_lets_go_of_nothing_that_no_snapshot_covers(engine: EngineClient) -> None:
    first = engine.fetch(queries.Status()).value.first_seq
    with pytest.raises(EngineRefused, match="there is no snapshot"):
        engine.fetch(queries.Forget(engine.fetch(queries.Status()).value.seq + 100))
    assert engine.fetch(queries.Status()).value.first_seq == first
