"""Orders at a steady rate, by one FIX session; a process of its own for ``benchmarks.sustained``.

Pairs that trade in full, as in the crossing flow of the peers, are due at fixed moments, whether
the venue keeps up or not. An order's time counts from the moment when it was due until its last
report, so that a venue that is late does not slow down those that measure it. Prints one JSON
object: for each piece of the time the p50, p99 and longest of these in milliseconds; the rate;
and the share of a processor that the load used.
"""

from __future__ import annotations

import argparse
import json
import select
import time
from collections import deque
from typing import Final

from benchmarks.common import percentile
from benchmarks.fix_load import SOH, TEST_REQUEST, encode, now_text, split_whole
from benchmarks.peers_load import REPORT, UNWANTED, Session, cpu_s

BURST_S: Final = 0.005
"""Orders are due in bursts, this far apart."""
REPORTS_A_PAIR: Final = 4
ANSWER_S: Final = 60.0
"""What is not reported so long after the end never is."""
STAMP: Final = "20260105-09:30:00"


class Pairs:
    """Encodes pairs of orders; only what changes is computed."""

    def __init__(self, trader: str, prefix: str) -> None:
        self.head = f"35=D{SOH}34="
        self.middle = f"{SOH}49={trader.upper()}{SOH}52="
        self.ids = f"{SOH}56=TANDEM{SOH}11={prefix}"
        self.sides = tuple(
            f"{SOH}21=1{SOH}55=BTC-USD{SOH}54={side}{SOH}60={STAMP}{SOH}38=0.001{SOH}40=2{SOH}44="
            for side in (1, 2)
        )
        self.tail = f"{SOH}59=0{SOH}"
        self.made = 0

    def encoded(self, count: int, number: int) -> bytes:
        """Return so many pairs, the first order of which is MsgSeqNum ``number``."""
        stamp = now_text()
        sample = f"{self.head}00000000{self.middle}{stamp}{self.ids}000000000{self.sides[0]}"
        size = len(f"{sample}3000.00{self.tail}")
        start = f"8=FIX.4.4{SOH}9={size}{SOH}{self.head}"
        fixed = sum(f"{start}{self.middle}{stamp}{self.ids}{self.tail}".encode())
        bases = [fixed + sum(side.encode()) for side in self.sides]
        found = []
        for _ in range(count):
            price = f"3{self.made // 2 % 1000:03d}.00"
            for side, base in zip(self.sides, bases, strict=True):
                own, order = f"{number:08d}", f"{self.made:09d}"
                check = (base + sum(f"{own}{order}{price}".encode())) % 256
                found.append(
                    f"{start}{own}{self.middle}{stamp}{self.ids}{order}{side}{price}{self.tail}"
                    f"10={check:03d}{SOH}"
                )
                number += 1
                self.made += 1
        return "".join(found).encode()


class Steady:
    """Sends what is due and measures what is reported."""

    def __init__(self, session: Session, prefix: str, rate: float, seconds: float) -> None:
        self.session = session
        self.pairs = Pairs(session.trader, prefix)
        self.rate = rate
        self.seconds = seconds
        self.unsent = bytearray()
        self.bursts: deque[tuple[int, float]] = deque()
        """The report with which a burst is answered, and when it was due."""
        self.due = 0
        self.took: list[tuple[float, float]] = []

    def run(self) -> None:
        """Send and receive until everything is answered."""
        sock = self.session.socket
        sock.setblocking(False)
        start = time.perf_counter()
        bursts, pairs = int(self.seconds / BURST_S), 0
        number = 0
        while number < bursts or self.bursts:
            now = time.perf_counter()
            while number < bursts and start + number * BURST_S <= now:
                due = start + number * BURST_S
                number += 1
                wanted = int(self.rate * number * BURST_S / 2)
                if wanted > pairs:
                    self.add(wanted - pairs, due)
                    pairs = wanted
            wait = start + number * BURST_S - now if number < bursts else 1.0
            if now > start + self.seconds + ANSWER_S:
                raise TimeoutError(f"{len(self.bursts)} bursts were not answered")
            writes = [sock] if self.unsent else []
            readable, writable, _ = select.select([sock], writes, [], max(0.0, min(wait, 1.0)))
            if writable:
                del self.unsent[: sock.send(self.unsent)]
            if readable:
                self.receive(start)
        sock.setblocking(True)

    def add(self, count: int, due: float) -> None:
        """Queue pairs that are due."""
        session = self.session
        self.unsent += self.pairs.encoded(count, session.number + 1)
        session.number += 2 * count
        self.due += REPORTS_A_PAIR * count
        self.bursts.append((self.due, due))

    def receive(self, start: float) -> None:
        session = self.session
        data = session.socket.recv(1 << 20)
        if not data:
            raise ConnectionError(
                f"the server closed the connection after {session.reports} reports"
            )
        whole, session.tail = split_whole(session.tail + data)
        session.reports += whole.count(REPORT)
        for unwanted in UNWANTED:
            if unwanted in whole:
                bad = [text for text in whole.split(b"8=FIX") if unwanted in text]
                raise ConnectionError(f"the server answered {bad[0]!r}")
        for asked in TEST_REQUEST.findall(whole):
            session.number += 1
            answer = f"35=0{SOH}34={session.number}{SOH}49={session.trader.upper()}{SOH}"
            answer += f"52={now_text()}{SOH}56=TANDEM{SOH}112={asked.decode()}{SOH}"
            self.unsent += encode(answer)
        now = time.perf_counter()
        while self.bursts and self.bursts[0][0] <= session.reports:
            _, due = self.bursts.popleft()
            self.took.append((due - start, (now - due) * 1_000))


def pieces(took: list[tuple[float, float]], seconds: float, count: int) -> list[list[float]]:
    """Return p50, p99 and longest of each of so many pieces of the time, in milliseconds."""
    groups: list[list[float]] = [[] for _ in range(count)]
    for at, each in took:
        groups[min(count - 1, int(at * count / seconds))].append(each)
    return [
        [round(value, 3) for value in (percentile(g, 0.5), percentile(g, 0.99), max(g))]
        for g in groups
        if g
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--prefix", required=True, help="of the orders' ids, one for each run")
    parser.add_argument("--rate", type=float, required=True, help="orders a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pieces", type=int, default=1)
    parser.add_argument("--processes", nargs="*", default=[], help="NAME=PID")
    options = parser.parse_args()
    processes = {name: int(pid) for name, pid in (each.split("=") for each in options.processes)}
    session = Session(options.port, "t00", "FIX.4.4")
    session.logon()
    steady = Steady(session, options.prefix, options.rate, options.seconds)
    before = {name: cpu_s(pid) for name, pid in processes.items()}
    own, started = time.process_time(), time.perf_counter()
    steady.run()
    own, elapsed = time.process_time() - own, time.perf_counter() - started
    orders = steady.pairs.made
    spent = {name: 1e6 * (cpu_s(pid) - before[name]) / orders for name, pid in processes.items()}
    session.logout()
    took = [each for _, each in steady.took]
    found = {
        "rate": orders / elapsed,
        "p50": percentile(took, 0.5),
        "p99": percentile(took, 0.99),
        "longest": max(took),
        "pieces": pieces(steady.took, options.seconds, options.pieces),
        "cpu_us": spent,
        "load": own / elapsed,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
