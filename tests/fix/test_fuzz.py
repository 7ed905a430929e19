"""Hostile input of every kind, beside a session that behaves. Bounded, seeded, one venue.

Whatever is sent: the gateway stays up and logs no error of its own, a session that behaves
goes on trading without a gap, and nothing reaches the engine that it must not see. The seed
is TANDEM_FUZZ_SEED (1 unless given); a failure names it by being reproducible with it.
TANDEM_FUZZ_TURNS sets how much is sent (default 12); ``make prove`` sends more.
"""

from __future__ import annotations

import itertools
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import queries
from tests.fix.hostile import APPLICATION, Hostile
from tests.fix.processes import Process, Venue
from tests.fix.rawfix import SOH, Closed, Message, RawFix, encode, framed, now_text
from tests.support import pace

SEED = int(os.environ.get("TANDEM_FUZZ_SEED", "1"))
TURNS = int(os.environ.get("TANDEM_FUZZ_TURNS", "12"))
pytestmark = pytest.mark.timeout(15 * max(12, TURNS))
ROUND_TRIP_S_MAX = 10.0
MEMORY_GROWTH_MAX = 192 << 20
HARMLESS = {
    "refused", "cut", "logged_on", "logged_out", "epoch", "ready", "engine_connected",
    "numbers_begin_again",
}  # fmt: skip
"""What the gateway may say about hostile clients; anything else is a fault of ours."""


def memory(process: Process) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{process.popen.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


_RUNS = itertools.count(1)


class Behaving:
    """BOB: enters an order, cancels it, and again, and minds every message and number."""

    def __init__(self, venue: Venue) -> None:
        self.client = RawFix(venue.address, "BOB", source="127.0.20.1")
        self.rounds = 0
        self.slowest_s = 0.0
        self.error: BaseException | None = None
        self._name = f"b{next(_RUNS)}"
        self._told = threading.Condition()
        self._stop = threading.Event()
        self._next = int(self.client.logon(reset=True)["34"]) + 1
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.02):
                self._round()
        except BaseException as error:
            with self._told:
                self.error = error
                self._told.notify_all()

    def _round(self) -> None:
        begin = time.monotonic()
        own_id = f"{self._name}-{self.rounds}"
        about = f"55=ETH-BTC|54=1|60={now_text()}|"
        self.client.send("D", f"11={own_id}|{about}38=0.001|40=2|44=0.00001|59=1|")
        new = self._report()
        assert (new["11"], new["150"], new["151"]) == (own_id, "0", "0.001"), new
        self.client.send("F", f"11={own_id}c|41={own_id}|{about}")
        canceled = self._report()
        assert (canceled["41"], canceled["150"], canceled["39"]) == (own_id, "4", "4"), canceled
        self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
        with self._told:
            self.rounds += 1
            self._told.notify_all()

    def go_on(self, rounds: int) -> None:
        """Wait for so many rounds from now on."""
        wanted = self.rounds + rounds
        with self._told:
            self._told.wait_for(
                lambda: self.rounds >= wanted or self.error is not None,
                pace.seconds(ROUND_TRIP_S_MAX) * rounds,
            )

    def _report(self) -> Message:
        while True:
            message = self.client.receive(ROUND_TRIP_S_MAX)
            assert int(message["34"]) == self._next, f"expected {self._next}: {message!r}"
            assert "43" not in message and "97" not in message, message
            self._next += 1
            if message["35"] not in ("0", "1"):
                assert message["35"] == "8", message
                return message

    def end(self) -> None:
        """Stop, log out in order, and fail if anything was wrong."""
        self._stop.set()
        self._thread.join(pace.seconds(ROUND_TRIP_S_MAX + 5))
        if self.error is not None:
            raise AssertionError(f"the session that behaves: {self.error!r}") from self.error
        self.client.send("5")
        assert self.client.expect("5")["34"] == str(self._next)
        self.client.close()


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    changes = {r"\[fix\]": "[fix]\nlogon_timeout_s = 1"}
    running = Venue(tmp_path_factory.mktemp("fuzz"), changes)
    history: Process | None = None
    try:
        running.start()
        history = Process("engine.history.main", running.environment)
        history.wait_for("ready")
        yield running
    finally:
        if history is not None:
            history.kill()
        running.stop()


@pytest.fixture(autouse=True)
def unharmed(venue: Venue) -> Iterator[None]:
    """What must hold after every test, whatever it sent."""
    engine, gateway = venue.engine, venue.gateway
    assert engine is not None and gateway is not None
    behaving = Behaving(venue)
    before = memory(engine), memory(gateway)
    begin = len(gateway.lines)
    yield
    behaving.go_on(5)
    behaving.end()
    assert behaving.slowest_s < pace.seconds(ROUND_TRIP_S_MAX)
    assert gateway.popen.poll() is None and engine.popen.poll() is None
    odd = [line for line in gateway.lines[begin:] if line.get("event") not in HARMLESS]
    assert not odd, f"the gateway says {odd[:3]}"
    loud = [line for line in engine.lines if line.get("level") not in ("info", "debug")]
    assert not loud, f"the engine says {loud[:3]}"
    assert venue.client().fetch(queries.Check()).value == []
    after = memory(engine), memory(gateway)
    assert all(b - a < MEMORY_GROWTH_MAX for a, b in zip(before, after, strict=True)), after


def logged_on(venue: Venue, comp_id: str = "CERT") -> RawFix:
    client = RawFix(venue.address, comp_id, source="127.0.20.2")
    try:
        client.logon(reset=comp_id != "CERT")
    except Closed as error:
        assert venue.gateway is not None
        raise AssertionError(
            f"{comp_id} is not let in; the gateway says {venue.gateway.lines[-20:]}"
        ) from error
    return client


def test_hostile_openings(venue: Venue) -> None:
    hostile = Hostile(SEED)
    for wave in range(max(2, TURNS // 6)):
        peers: list[socket.socket] = []
        for number in range(60):
            source = f"127.0.{30 + wave}.{number + 1}"
            peer = socket.create_connection(
                venue.address, pace.seconds(10), source_address=(source, 0)
            )
            peers.append(peer)
            logon = hostile.logon(hostile.random.choice(("CERT", "CAROL")))
            try:
                peer.sendall(hostile.opening(logon))
                if number % 7 == 0:
                    peer.shutdown(socket.SHUT_WR)
            except OSError:
                continue  # It was closed on us already.
        wait_for_the_end(peers)
    for comp_id in ("CERT", "CAROL"):
        logged_on(venue, comp_id).logout()


def wait_for_the_end(peers: list[socket.socket], timeout: float = 8.0) -> None:
    """Wait until every peer is closed or has been let in; then close them."""
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            selector.register(peer, selectors.EVENT_READ)
        deadline = time.monotonic() + pace.seconds(timeout)
        while selector.get_map():
            assert time.monotonic() < deadline, "a stranger is neither let in nor sent away"
            for key, _ in selector.select(0.5):
                selector.unregister(key.fileobj)
    for peer in peers:
        peer.close()


def test_damaged_frames_in_a_session(venue: Venue) -> None:
    hostile = Hostile(SEED + 1)
    client = logged_on(venue)
    connections = 1
    for number in range(20 * TURNS):
        body = f"35={hostile.random.choice(APPLICATION)}|34={client.num}|49=CERT|52={now_text()}|"
        message = encode(body + f"56=TANDEM|11={hostile.name()}|55=BTC-USD|54=1|60={now_text()}|")
        change = hostile.flipped if number % 2 else hostile.reframed
        try:
            client.send_raw(change(message))
            if number % 10 == 9:
                client.num = settled(client)
        except (OSError, Closed):
            client.close()
            connections += 1
            client = logged_on(venue)
    client.close()
    logged_on(venue).logout()
    assert connections > 2, "some damage ends a session"


def settled(client: RawFix) -> int:
    """What the venue expects next: it says so when asked by a number that is too high.

    Everything in front of it that could be taken has been by then. Raises Closed when it
    does not answer any more, as after a frame that swallows what follows.
    """
    high = client.num + 1000
    client.fill_gaps = False
    for _ in range(3):
        # Enough to fill what a damaged BodyLength may still wait for.
        for _ in range(20):
            client.send("0", num=high)
        try:
            while True:
                message = client.receive(0.2)
                if message["35"] == "2":
                    client.send("4", f"123=Y|36={high + 1}|", num=int(message["7"]), extra="43=Y|")
                    return high + 1
        except TimeoutError:
            continue
    raise Closed("it does not answer")


def test_hostile_fields_and_groups_are_all_answered(venue: Venue) -> None:
    hostile = Hostile(SEED + 2)
    client = logged_on(venue)
    for turn in range(2 * TURNS):
        sent = 0
        for _ in range(25):
            msg_type = hostile.random.choice(APPLICATION)
            fields = hostile.fields(msg_type)
            head = client.header(msg_type).replace("|", SOH)
            client.send_raw(framed(head + fields))
            sent += 1
        last = f"sure-{SEED}-{turn}"
        client.order(last, price="1")
        answers, done = 0, False
        deadline = time.monotonic() + pace.seconds(20)
        while answers < sent or not done:
            message = client.receive(max(0.0, deadline - time.monotonic()))
            assert message["35"] not in ("5", "2"), f"turn {turn}: {message!r}"
            answers += message["35"] not in ("0", "1")
            if message.get("11") == last:
                done = True
                assert message["150"] == "0", message
        client.send("q", f"11={hostile.name()}|530=7|20008=1|60={now_text()}|")
        client.collect(1, "r")
    client.logout()


def test_hostile_session_messages(venue: Venue) -> None:
    hostile = Hostile(SEED + 3)
    numbers = ("0", "-1", "1", "2", "5", "999999999", "2147483648", "9" * 20, "", "x", "1.5")
    for _ in range(3 * TURNS):
        client = logged_on(venue, hostile.random.choice(("CERT", "CAROL")))
        try:
            for _ in range(6):
                pick = hostile.random.choice
                msg_type, fields = pick((
                    ("2", f"7={pick(numbers)}|16={pick(numbers)}|"),
                    ("4", f"123={pick('YN')}|36={pick(numbers)}|"),
                    ("4", f"36={pick(numbers)}|"),
                    ("1", f"112={hostile.value()}|"),
                    ("0", f"112={hostile.value()}|"),
                    ("3", f"45={pick(numbers)}|373={pick(numbers)}|"),
                    ("A", f"98=0|108={pick(numbers)}|141={pick('YN')}|"),
                    ("5", f"58={hostile.value()}|"),
                    ("D", client.order_fields(hostile.name(), price="1")),
                ))  # fmt: skip
                first_sent = pick((now_text(-3), now_text(60), "x", ""))
                extra = pick(("", "", "43=Y|", f"43=Y|122={first_sent}|", "97=Y|"))
                head = client.header(msg_type, extra=extra)
                if hostile.random.random() < 0.3:
                    head = head.replace(f"34={client.num - 1}|", f"34={pick(numbers)}|")
                if hostile.random.random() < 0.1:
                    head = head.replace("49=", f"49={hostile.value()[:50]}")
                client.send_raw(framed((head + fields).replace("|", SOH)))
            client.send("5")
            while True:
                client.receive(1.0)
        except (OSError, Closed, TimeoutError):
            client.close()
    for comp_id in ("CERT", "CAROL"):
        again = logged_on(venue, comp_id)
        again.order(f"after-{comp_id}", price="1")
        # CERT is told first what it missed, as its numbers begin again.
        while (report := again.expect("8"))["11"] != f"after-{comp_id}":
            assert comp_id == "CERT", report
        assert report["150"] == "0"
        again.logout()


def test_wrong_logons_at_connect_and_within_sessions_lose_no_order(venue: Venue) -> None:
    """Numbers go on or begin again in a new epoch: in either case every order is answered."""
    hostile, engine = Hostile(SEED + 4), venue.client()
    client = logged_on(venue, "CAROL")
    for turn in range(TURNS):
        before = engine.fetch(queries.Session("fix:CAROL")).value
        within = hostile.random.random() < 0.5
        wrong = hostile.wrong_logon("CAROL", hostile.random.choice((1, 1, client.num, 7)))
        if not within:
            client.logout()
            # Failures slow an address down, so each has its own.
            client = RawFix(
                venue.address, "CAROL", num=client.num, source=f"127.0.61.{turn + 1}"
            )
        client.send_raw(wrong)
        let_in, logged_out = False, False
        try:
            while not let_in:
                message = client.receive(8)
                let_in = message["35"] == "A"
                if message["35"] == "5" and within and not logged_out:
                    logged_out = True
                    if not message["58"].startswith("The Logon within the session is refused"):
                        client.send("5")  # Behind such a Logon nothing is taken, a Logout neither.
        except Closed:
            pass
        client.close()
        after = engine.fetch(queries.Session("fix:CAROL")).value
        assert before is not None and after is not None
        began = after.epoch != before.epoch
        # One that nothing is wrong with after all begins them again, within a session too.
        assert let_in or not began, f"turn {turn}: {wrong!r}"
        # The one that was let in counts; its answer tells whether with it numbers began again.
        client = RawFix(venue.address, "CAROL", num=client.num, source="127.0.20.2")
        if let_in:
            client.num = 1
        client.logon(reset=let_in)
        name = hostile.name()
        client.order(name, price="1")
        assert client.collect(1)[0]["11"] == name, f"turn {turn}: {wrong!r}"
        client.send("q", f"11={hostile.name()}|530=7|20008=1|60={now_text()}|")
        client.collect(1, "r")
    client.logout()


def test_a_sequence_reset_behind_a_logout_does_not_end_quickfix(venue: Venue) -> None:
    client = logged_on(venue)
    behind = encode(client.header("5")) + encode(client.header("4") + "123=Y|36=1|")
    client.send_raw(behind)
    client.expect_closing()
    logged_on(venue).logout()


def test_a_logon_behind_a_logout_is_not_let_in(venue: Venue) -> None:
    client = logged_on(venue, "CAROL")
    client.order("kept-1", price="1")
    assert client.expect("8")["150"] == "0"
    behind = encode(client.header("A", num=1) + client.logon_fields(reset=True))
    client.send_raw(encode(client.header("5")) + behind)
    client.expect_closing()
    # The numbers go on, so nothing is taken for a repeat.
    again = RawFix(venue.address, "CAROL", num=client.num, source="127.0.20.2")
    assert again.logon()["34"] == "4"
    again.order("kept-2", price="1")
    assert again.expect("8")["11"] == "kept-2"
    again.logout()


def test_a_logon_within_a_session_without_141_leaves_the_numbers(venue: Venue) -> None:
    client = logged_on(venue, "CAROL")
    client.send("A", client.logon_fields(), num=client.num)
    client.expect_closing()
    again = RawFix(venue.address, "CAROL", num=client.num, source="127.0.20.2")
    assert again.logon()["34"] == "4", "behind a Reject and a Logout"
    again.logout()


def test_a_logon_behind_one_that_is_refused_is_not_let_in(venue: Venue) -> None:
    logged_on(venue, "CAROL").logout()
    client = RawFix(venue.address, "CAROL", source="127.0.20.2")
    client.send("A", client.logon_fields(extra="44=1|"), num=3)
    client.send("A", client.logon_fields(reset=True), num=1)
    told = []
    with pytest.raises(Closed):
        while True:
            told.append(client.receive(timeout=8))
    assert [message["35"] for message in told] == ["5"]
    client.close()
    again = logged_on(venue, "CAROL")
    again.order("after-that", price="1")
    assert again.expect("8")["11"] == "after-that"
    again.logout()
