"""Hostile requests for market data, beside a reader and a trader that behave. Bounded, seeded.

Whatever is sent: the session lives on or is ended by a Logout that says why, the process logs no
error of its own, and a reader that behaves misses nothing of what a trader that behaves does. The
seed is TANDEM_FUZZ_SEED (1 unless given).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from fix_gateway.codec.message import SOH, FixMessage
from tests.fix.hostile import SHAPES, Hostile
from tests.fix.rawfix import Closed, RawFix, encode, framed, now_text
from tests.fix.test_fuzz import MEMORY_GROWTH_MAX, Behaving, memory
from tests.fix.test_market_data import MarketVenue
from tests.support import pace
from tests.support.market_reader import RebuiltBook

SEED = int(os.environ.get("TANDEM_FUZZ_SEED", "1"))
TURNS = int(os.environ.get("TANDEM_FUZZ_TURNS", "12"))
pytestmark = pytest.mark.timeout(15 * max(12, TURNS))
HARMLESS = {"refused", "cut", "logged_on", "logged_out", "ready", "following"}
"""What the process may say about hostile clients; anything else is a fault of ours."""
REQUESTS = ("V", "V", "V", "V", "e", "g", "x", "D", "AF")


class MarketHostile(Hostile):
    """Requests for market data, most of their fields right."""

    def fields(self, msg_type: str) -> str:
        """Fields that are all there, one of them hostile now and then; else anything."""
        if msg_type not in "Veg" or self.random.random() < 0.15:
            return super().fields(msg_type)
        shape = SHAPES[msg_type]
        parts = [f"{tag}={self._usual(tag)}" for tag in shape.tags]
        for group in shape.groups:
            values = list(dict.fromkeys(self._usual(group.members[0]) for _ in range(3)))
            parts.append(f"{group.count}={len(values)}")
            parts += [f"{group.members[0]}={value}" for value in values]
        if self.random.random() < 0.3:
            place = self.random.randrange(len(parts))
            parts[place] = f"{parts[place].partition('=')[0]}={self.value()}"
        return "".join(part + SOH for part in parts)

    def _usual(self, tag: str) -> str:
        pick = self.random
        right = {
            "262": f"q{pick.randrange(8)}", "324": f"q{pick.randrange(4)}",
            "335": f"q{pick.randrange(4)}", "263": pick.choice("01122"),
            "264": pick.choice(("0", "1", "10", "1000")), "265": pick.choice("01"),
            "266": pick.choice("YN"), "269": pick.choice("0124578B9"), "336": "DAY",
            "55": pick.choice(("BTC-USD", "ETH-USD", "ETH-BTC")),
        }  # fmt: skip
        return right.get(tag) or super()._usual(tag)


class Watching:
    """CAROL-MD: keeps the book in which BOB trades, and minds every number and every link."""

    def __init__(self, venue: MarketVenue) -> None:
        self.client = market_client(venue, "CAROL-MD", "127.0.21.1")
        self.client.send("V", "262=own|263=1|264=0|265=1|267=2|269=0|269=1|146=1|55=ETH-BTC|")
        self.book = RebuiltBook("ETH-BTC")
        self.error: BaseException | None = None
        self._next = 2
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                message = self.client.receive(60)
                assert int(message["34"]) == self._next, f"expected {self._next}: {message!r}"
                self._next += 1
                if message["35"] in ("W", "X"):
                    self.book.take(FixMessage(message.text))
                elif message["35"] == "5":
                    return
                else:
                    assert message["35"] in ("0", "1"), message
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        """Log out, and fail if anything was wrong."""
        self.client.send("5")
        self._thread.join(pace.seconds(30))
        self.client.close()
        assert not self._thread.is_alive(), "the Logout is not answered"
        if self.error is not None:
            raise AssertionError(f"the reader that behaves: {self.error!r}") from self.error
        assert self.book.snapshots == 1 and self.book.changes > 10


def market_client(venue: MarketVenue, comp_id: str, source: str) -> RawFix:
    client = RawFix(venue.address, comp_id, source=source)
    firm = comp_id.partition("-")[0].lower()
    client.send("A", f"98=0|108=30|553={firm}|554={firm}-demo|")
    client.expect("A")
    return client


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketVenue]:
    with MarketVenue(tmp_path_factory.mktemp("fuzz")) as one:
        yield one.start()


@pytest.fixture(autouse=True)
def unharmed(venue: MarketVenue) -> Iterator[None]:
    """What must hold after every test, whatever it sent."""
    process = venue.market_data
    assert process is not None
    watching, behaving = Watching(venue), Behaving(venue)
    before, begin = memory(process), len(process.lines)
    yield
    behaving.go_on(10)
    behaving.end()
    watching.end()
    assert process.popen.poll() is None
    odd = [line for line in process.lines[begin:] if line.get("event") not in HARMLESS]
    assert not odd, f"the process says {odd[:3]}"
    assert memory(process) - before < MEMORY_GROWTH_MAX


def settled(client: RawFix, name: str, timeout: float = 20.0) -> bool:
    """Whether the session lives on; one that does not has been told why by a Logout."""
    try:
        client.send("1", f"112={name}|")
        while True:
            message = client.receive(timeout)
            if message["35"] == "0" and message.get("112") == name:
                return True
            if message["35"] == "5":
                assert message.get("58"), message
                client.close()
                return False
    except TimeoutError:
        raise
    except (OSError, Closed):
        last = next((one for one in reversed(client.received) if one["35"] == "5"), None)
        assert last is not None and last.get("58"), f"ended without a word: {client.received[-3:]}"
        client.close()
        return False


def all_answered(client: RawFix, request_id: str) -> None:
    """Wait for the answers to all requests so far: they come in order, and this one's is a Y."""
    client.send("V", f"262={request_id}|263=2|264=0|267=1|269=0|146=1|55=BTC-USD|")
    while True:
        message = client.receive(20)
        if message["35"] == "Y" and message.get("262") == request_id:
            return


def test_hostile_requests_are_answered_and_end_no_session(venue: MarketVenue) -> None:
    hostile = MarketHostile(SEED + 10)
    client = market_client(venue, "ALICE-MD", "127.0.21.2")
    answers: dict[str, int] = {}
    for turn in range(TURNS):
        for _ in range(25):
            msg_type = hostile.random.choice(REQUESTS)
            head = client.header(msg_type).replace("|", SOH)
            client.send_raw(framed(head + hostile.fields(msg_type)))
        assert settled(client, f"t{turn}"), f"turn {turn}: {client.received[-3:]}"
        all_answered(client, f"end-{turn}")
    for message in client.received:
        answers[message["35"]] = answers.get(message["35"], 0) + 1
        assert message["35"] in ("A", "0", "1", "3", "W", "X", "Y", "f", "h", "y", "j"), message
        if message["35"] in ("Y", "j", "3"):
            assert message.get("58"), message
    client.logout()  # At first: the tests after this one want the session.
    assert all(answers.get(kind, 0) for kind in "WYfhy3j"), answers


def test_damaged_requests_end_a_session_only_with_a_reason(venue: MarketVenue) -> None:
    hostile = MarketHostile(SEED + 11)
    ended = swallowed = 0
    client = market_client(venue, "ALICE-MD", "127.0.21.3")
    for turn in range(TURNS * 2):
        right = (
            f"35=V|34={client.num}|49=ALICE-MD|52={now_text()}|56=TANDEM|262=d{turn}|263=0|264=1|"
            "267=1|269=0|146=1|55=BTC-USD|"
        )
        client.send_raw(hostile.reframed(encode(right)))
        # It has used the number up, or is garbled and has not; a gap is filled by ourselves.
        client.num += 1
        try:
            alive = settled(client, f"d{turn}", timeout=1.0)
        except TimeoutError:
            # A BodyLength in the middle of a message may make the next ones a part of it.
            swallowed += 1
            client.close()
            alive = False
        if not alive:
            ended += 1
            client = market_client(venue, "ALICE-MD", "127.0.21.3")
    client.close()
    assert ended < TURNS and swallowed < TURNS / 2, "most are survived"


def test_a_flood_of_requests_is_answered_or_ends_with_a_reason(venue: MarketVenue) -> None:
    client = market_client(venue, "ALICE-MD", "127.0.21.4")
    one = "263=0|264=0|267=2|269=0|269=1|146=3|55=BTC-USD|55=ETH-USD|55=ETH-BTC|"
    for number in range(400):
        try:
            client.send("V", f"262=f{number}|{one}")
        except OSError:
            break
    told = 0
    while told < 3 * 400:
        message = client.receive(20)
        told += message["35"] == "W"
        if message["35"] == "5":
            assert message["58"].startswith("Too many requests wait"), message
            client.close()
            return
    client.logout()


def test_readers_that_leave_without_a_word_leave_nothing_behind(venue: MarketVenue) -> None:
    for number in range(12):
        client = market_client(venue, "ALICE-MD", "127.0.21.5")
        for kind in "01":
            client.send("V", f"262=r{kind}|263=1|264=0|265=1|267=1|269={kind}|146=1|55=ETH-BTC|")
        if number % 2:
            client.expect("W")
        client.close()
    client = market_client(venue, "ALICE-MD", "127.0.21.5")
    client.send("V", "262=r0|263=2|264=0|267=1|269=0|146=1|55=ETH-BTC|")
    assert client.expect("Y")["58"] == "MDReqID(262) r0 is not subscribed"
    client.logout()
