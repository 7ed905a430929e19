"""`tandem up --tls`: HAProxy is one more process of the venue, beside the plain port."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from config.settings import TLS_SOURCE, TLS_VARIABLE, load
from tandem import tls_proxy, up
from tandem.output import CommandError
from tandem.processes import venue_processes
from tests.fix.rawfix import RawFix
from tests.support import pace
from tests.support.haproxy import program
from tests.tandem.test_up import Up, gone
from tests.tandem.tls_clients import context, over_tls

pytestmark = pytest.mark.serial


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Up]:
    program()
    one = Up(tmp_path, "--tls")
    try:
        one.wait_for(lambda: one.said("Ctrl-C ends it") > 0, "the venue did not start")
        yield one
    finally:
        if one.process.poll() is None:
            one.end(signal.SIGTERM)


def below(pid: int) -> list[int]:
    """The processes that one has started, and those that they have."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *below(int(child))]
    return found


def plain_client(one: Up, comp_id: str) -> RawFix:
    port = load(one.config, {}).fix.port
    return RawFix(("127.0.0.1", port), comp_id)


@pytest.mark.timeout(180)
def test_it_serves_both_ports_comes_back_and_ends_by_its_id(venue: Up) -> None:
    assert venue.said("FIX 4.4, TLS") == 1 and venue.said(f"127.0.0.1:{venue.tls_port}") == 1
    folder = venue.data / "tls"
    carol = over_tls(venue.tls_port, "CAROL", "127.0.0.2", context(folder, "CAROL"))
    assert carol.logon()["35"] == "A"
    alice = plain_client(venue, "ALICE")
    assert alice.logon()["35"] == "A"

    # TLS on the plain port, and plain FIX on the TLS port.
    with pytest.raises(OSError):
        over_tls(load(venue.config, {}).fix.port, "BOB", "127.0.0.3", context(folder, "BOB"))
    wrong = RawFix(("127.0.0.1", venue.tls_port), "BOB", source="127.0.0.3")
    wrong.send("A", wrong.logon_fields())
    assert b"8=FIX" not in wrong.closed()

    # New certificates: the worker changes, and the session stays with the old one.
    log = venue.data / "log" / "tls.log"
    os.kill(venue.children()["tandem.tls_proxy"], signal.SIGHUP)
    venue.wait_for(lambda: log.read_text().count("New worker") == 2, "it was not read again")
    carol.send("1", "112=still|")
    assert carol.expect("0")["112"] == "still"

    # Killed, with all that it had started; the plain port does not notice.
    proxy = venue.children()["tandem.tls_proxy"]
    all_of_it = below(proxy)
    assert len(all_of_it) >= 2
    os.kill(proxy, signal.SIGKILL)
    venue.wait_for(lambda: venue.said("tls is back") > 0, "TLS did not come back")
    assert all(gone(pid) for pid in all_of_it)
    carol.expect_closing()
    alice.send("1", "112=there|")
    assert alice.expect("0")["112"] == "there"
    bob = over_tls(venue.tls_port, "BOB", "127.0.0.2", context(folder, "BOB"))
    assert bob.logon()["35"] == "A"

    # The gateway's last words come through, and nothing is left.
    pids = [*venue.children().values(), *below(venue.children()["tandem.tls_proxy"])]
    assert venue.end(signal.SIGINT) == 0
    assert bob.expect("5")["35"] == "5"
    assert all(gone(pid) for pid in pids)


def test_it_starts_before_the_gateway_and_ends_after_it_and_only_when_asked_for() -> None:
    without = venue_processes()
    assert "tls" not in {process.name for process in without}
    first, *others = venue_processes(tls=True)
    assert (first.name, tuple(others)) == ("tls", without)
    (gateway,) = (process for process in without if process.name == "fix")
    assert first.stage < gateway.stage
    assert len(venue_processes(market=True, tls=True)) == len(without) + 2


def test_the_proxys_address_is_believed_only_while_it_runs_unless_the_file_names_one(
    tmp_path: Path,
) -> None:
    assert load(env={}).fix.trusted_proxies == ()
    assert load(env={TLS_VARIABLE: "1"}).fix.trusted_proxies == (TLS_SOURCE,)
    path = tmp_path / "venue.toml"
    text = load(env={}).file.read_text(encoding="utf-8")
    path.write_text(text.replace("[fix]\n", '[fix]\nproxies = ["127.0.0.8"]\n', 1))
    named = load(path, {TLS_VARIABLE: "1"})
    assert named.fix.trusted_proxies == ("127.0.0.8",)
    told = tls_proxy.environment(named, {})
    assert told["TANDEM_TLS_SOURCE"] == "127.0.0.8"
    assert told["TANDEM_FIX"] == f"127.0.0.1:{named.fix.port}"


def test_a_port_that_somebody_else_has_is_named_like_the_others() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        taken.settimeout(pace.seconds(1))
        settings = load(env={})
        used = taken.getsockname()[1]
        fix = msgspec.structs.replace(settings.fix, tls_port=used)
        with pytest.raises(CommandError, match=f"fix.tls_port: cannot listen on .* port {used}"):
            up.check_ports(msgspec.structs.replace(settings, fix=fix), tls=True)
