"""The door: who is let in, what a stranger learns (nothing), and whom a bad peer delays."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import argon2
import pytest

from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import RawFix, encode, now_text
from tests.support import pace

Connect = Callable[..., RawFix]


def logon_bytes(client: RawFix, fields: str = "", header: str = "") -> bytes:
    """A Logon that is right but for what the test changes."""
    body = client.logon_fields() if not fields else fields
    return encode((header or client.header("A", num=1)) + body)


def wrong_checksum(client: RawFix) -> bytes:
    return re.sub(rb"10=\d{3}\x01$", b"10=000\x01", logon_bytes(client, client.logon_fields()))[
        :-4
    ] + b"999\x01"


REFUSALS: dict[str, Callable[[RawFix], bytes]] = {
    "wrong password": lambda c: logon_bytes(c, c.logon_fields(password="guess")),
    "wrong username": lambda c: logon_bytes(c, "98=0|108=30|553=bob|554=alice-demo|"),
    "no password": lambda c: logon_bytes(c, "98=0|108=30|553=alice|"),
    "unknown SenderCompID": lambda c: logon_bytes(
        c, header=f"35=A|34=1|49=NOBODY|52={now_text()}|56=TANDEM|"
    ),
    "wrong TargetCompID": lambda c: logon_bytes(
        c, header=f"35=A|34=1|49=ALICE|52={now_text()}|56=OTHER|"
    ),
    "first message is no Logon": lambda c: encode(c.header("0", num=1)),
    "wrong password and SendingTime": lambda c: logon_bytes(
        c, c.logon_fields(password="guess"), f"35=A|34=1|49=ALICE|52={now_text(-600)}|56=TANDEM|"
    ),
    "wrong password and an unknown tag": lambda c: logon_bytes(
        c, c.logon_fields(password="guess", extra="1137=9|")
    ),
    "wrong checksum": wrong_checksum,
    "wrong BeginString": lambda c: logon_bytes(c).replace(b"FIX.4.4", b"FIX.4.2"),
    "wrong body length": lambda c: re.sub(rb"\x019=\d+", b"\x019=50", logon_bytes(c)),
    "endless body length": lambda c: re.sub(rb"\x019=\d+", b"\x019=99999999", logon_bytes(c)),
    "not FIX": lambda c: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "141=Y without password": lambda c: logon_bytes(c, "98=0|108=30|141=Y|"),
}


@pytest.mark.parametrize("cause", REFUSALS)
def test_every_refusal_of_a_stranger_is_one_silent_close(
    connect: Connect, venue: Venue, cause: str
) -> None:
    # From an address of its own: failures slow down the address that they come from.
    client = connect(source=f"127.0.1.{list(REFUSALS).index(cause) + 1}")
    client.send_raw(REFUSALS[cause](client))
    assert client.closed() == b"", "a stranger must learn nothing"


def test_refusals_say_why_in_our_log_and_never_a_password(
    connect: Connect, venue: Venue
) -> None:
    client = connect()
    client.send_raw(logon_bytes(client, client.logon_fields(password="hunter2-secret")))
    assert client.closed() == b""
    assert venue.gateway is not None
    venue.gateway.wait_for("refused", reason="wrong Username or Password")
    client = connect("BOB")
    client.logon()
    client.logout()
    venue.gateway.wait_for("logged_out", session="BOB")
    log = "".join(venue.gateway.raw)
    assert "hunter2" not in log
    assert "bob-demo" not in log


def test_refusals_take_the_same_time_for_a_known_and_an_unknown_name(connect: Connect) -> None:
    took = {}
    for name, comp_id in (("known", "CAROL"), ("unknown", "NOBODY")):
        client = connect(comp_id, source=f"127.0.2.{len(took) + 1}")
        begin = time.monotonic()
        client.send_raw(logon_bytes(client, client.logon_fields(password="guess")))
        assert client.closed() == b""
        took[name] = time.monotonic() - begin
        assert took[name] >= 0.25, "the delay of a refusal is part of every refusal"


def test_141_without_credentials_changes_no_sequence_number(
    connect: Connect, venue: Venue
) -> None:
    client = connect("CAROL")
    client.logon()
    client.order("before-attack")
    assert client.expect("8")["150"] == "0"
    client.logout()
    for password in ("guess", "carol-dem"):
        stranger = connect("CAROL", source="127.0.3.1")
        stranger.send_raw(
            logon_bytes(stranger, stranger.logon_fields(reset=True, password=password))
        )
        assert stranger.closed() == b""
    again = connect("CAROL", num=client.num)
    answer = again.logon()
    assert int(answer["34"]) > 2, "the numbers go on"
    again.send("2", "7=2|16=2|")
    report = again.expect("8")
    assert (report["34"], report["43"], report["11"]) == ("2", "Y", "before-attack")
    again.logout()


def test_second_logon_of_a_live_identity_is_closed_and_the_first_stays(
    connect: Connect, venue: Venue
) -> None:
    first = connect("BOB", num=1)
    first.logon(reset=True)
    second = connect("BOB", num=2)
    second.send("A", second.logon_fields())
    assert second.closed() == b""
    first.send("1", "112=still here|")
    assert first.expect("0")["112"] == "still here"
    first.logout()


def test_a_client_that_lost_its_connection_is_let_in_at_once(connect: Connect) -> None:
    first = connect("BOB", num=1)
    first.logon(reset=True)
    first.close()
    second = connect("BOB", num=first.num)
    assert second.logon(timeout=3)["35"] == "A"
    second.logout()


def test_a_dripping_peer_delays_nobody(connect: Connect) -> None:
    drip = connect("CAROL")
    data = logon_bytes(drip)
    stop = threading.Event()

    def drop_by_drop() -> None:
        for position in range(len(data)):
            if stop.wait(0.05):
                return
            try:
                drip.send_raw(data[position : position + 1])
            except OSError:
                return

    thread = threading.Thread(target=drop_by_drop)
    thread.start()
    try:
        client = connect("BOB")
        client.logon(reset=True)
        worst = 0.0
        for number in range(40):
            begin = time.monotonic()
            client.send("1", f"112=t{number}|")
            client.expect("0")
            worst = max(worst, time.monotonic() - begin)
        client.logout()
        assert worst < pace.seconds(1), f"a round trip took {worst:.2f} s"
    finally:
        stop.set()
        thread.join()


def test_who_says_nothing_is_closed_in_time(connect: Connect, venue: Venue) -> None:
    client = connect()
    client.send_raw(b"8=FIX.4.4\x019=")
    begin = time.monotonic()
    assert client.closed(timeout=9) == b""
    assert 3.0 < time.monotonic() - begin < pace.seconds(8)


def test_a_logon_that_arrives_in_pieces_is_let_in(connect: Connect) -> None:
    client = connect("BOB", num=1)
    data = encode(client.header("A") + client.logon_fields(reset=True))
    for start in range(0, len(data), 40):
        client.send_raw(data[start : start + 40])
        time.sleep(0.01)
    assert client.expect("A")["141"] == "Y"
    client.logout()


def test_messages_sent_together_with_the_logon_are_answered_at_once(connect: Connect) -> None:
    """QuickFIX by itself would leave them lying until something more comes."""
    client = connect("BOB", num=1)
    both = encode(client.header("A") + client.logon_fields(reset=True))
    both += encode(client.header("1") + "112=together|")
    last = encode(client.header("1") + "112=in pieces|")
    client.send_raw(both + last[:20])
    client.expect("A")
    assert client.expect("0")["112"] == "together"
    client.send_raw(last[20:])
    assert client.expect("0")["112"] == "in pieces"
    client.logout()


def listening_sockets(pid: int) -> set[str]:
    """Inodes of the TCP sockets on which a process listens."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                found.add(words[1])
    return found


def test_quickfix_listens_on_no_port(venue: Venue) -> None:
    assert venue.gateway is not None
    ports = {int(each.split(":")[1], 16) for each in listening_sockets(venue.gateway.popen.pid)}
    assert ports == {venue.address[1]}, "the door's port is the only one"


def test_a_flood_of_connections_is_bounded_and_ends(tmp_path: Path) -> None:
    with Venue(tmp_path, {r"\[fix\]": "[fix]\nconnections_max = 20\nlogon_timeout_s = 2"}) as venue:
        venue.start()
        client = logged_on(venue, "ALICE")
        flood = [socket.create_connection(venue.address) for _ in range(60)]
        assert venue.gateway is not None
        venue.gateway.wait_for("refused", reason="a newer connection took its place")
        client.send("1", "112=during|")
        assert client.expect("0")["112"] == "during"
        for each in flood:
            each.settimeout(pace.seconds(10))
            assert each.recv(100) == b""
            each.close()
        other = logged_on(venue, "BOB")
        other.close()
        client.close()


def test_failed_logons_slow_an_address_down_but_not_who_is_known(
    connect: Connect, venue: Venue
) -> None:
    known = connect("BOB", num=1, source="127.0.4.1")
    known.logon(reset=True)
    known.logout()
    begin = time.monotonic()
    for _ in range(3):
        stranger = connect("CAROL", source="127.0.4.1")
        stranger.send_raw(logon_bytes(stranger, stranger.logon_fields(password="guess")))
        assert stranger.closed() == b""
    assert time.monotonic() - begin > 3 * 0.25 + 0.25
    begin = time.monotonic()
    back = connect("BOB", num=known.num, source="127.0.4.1")
    back.logon()
    assert time.monotonic() - begin < pace.seconds(1)
    back.logout()


def test_a_logon_with_a_foreign_tag_does_not_block_the_identity(connect: Connect) -> None:
    client = connect("BOB", num=1)
    client.send("A", client.logon_fields(reset=True, extra="44=1|"))
    again = connect("BOB", num=1)
    assert again.logon(reset=True)["35"] == "A"
    assert client.expect("5")["58"] == "Price(44) does not belong in a Logon here"
    again.logout()


def test_behind_a_tls_terminator_the_client_is_the_one_that_it_names(tmp_path: Path) -> None:
    with Venue(
        tmp_path,
        {
            r"\[fix\]": "[fix]\nproxy_protocol = true",
            'comp_id = "ALICE"\n': 'comp_id = "ALICE"\nallow = ["192.0.2.0/24"]\n',
        },
    ) as venue:
        venue.start()
        outside = RawFix(venue.address, "ALICE")
        outside.send_raw(b"PROXY TCP4 198.51.100.9 127.0.0.1 1 2\r\n")
        outside.send("A", outside.logon_fields())
        assert outside.closed() == b""
        without = RawFix(venue.address, "ALICE")
        without.send("A", without.logon_fields())
        assert without.closed() == b""
        inside = RawFix(venue.address, "ALICE")
        inside.send_raw(b"PROXY TCP4 192.0.2.9 ")
        time.sleep(0.05)
        inside.send_raw(b"127.0.0.1 1 2\r\n" + logon_bytes(inside))
        assert inside.expect("A")["35"] == "A"
        inside.close()


def test_a_storm_of_logons_is_served_in_a_moment(tmp_path: Path) -> None:
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
    stored = cheap.hash("alice-demo")
    extra = "".join(
        f'\n[[sessions]]\ncomp_id = "S{n}"\naccount = "alice"\nusername = "s{n}"\n'
        f'password_hash = "{stored}"\n'
        for n in range(100)
    )
    with Venue(tmp_path, extra=extra) as venue:
        venue.start()
        clients = [RawFix(venue.address, f"S{n}") for n in range(100)]

        def storm() -> float:
            begin = time.monotonic()
            for n, client in enumerate(clients):
                client.send("A", f"98=0|108=30|553=s{n}|554=alice-demo|")
            for client in clients:
                client.expect("A", timeout=60)
            return time.monotonic() - begin

        storm()
        for n, client in enumerate(clients):
            client.order(f"s{n}", price="10")
        for n, client in enumerate(clients):
            assert client.expect("8", timeout=20)["11"] == f"s{n}"
            client.logout()
        clients = [RawFix(venue.address, c.comp_id, num=c.num) for c in clients]
        again = storm()
        assert again < pace.seconds(5), f"passwords that are known took {again:.1f} s"
        for client in clients:
            client.close()
